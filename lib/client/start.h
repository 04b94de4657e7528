/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * start.h - the start of a pool in two steps, for who has something to do meanwhile.
 */
#ifndef PX_POOL_H
#define PX_POOL_H

#include <stdbool.h>
#include <sys/types.h>

#include "client/pxrun.h"

/* A pool on its way. */
struct px_launch {
	const char *profile; /* the options', or name */
	char name[64];       /* of a private pool */
	bool private;
	int ready, owner; /* our ends of two pipes: it is ready; we live. owner -1: not private */
	pid_t pid;
};

/* The first step of px_pool_start(); *launch stays where it is until the second. */
int px_pool_launch(const struct px_pool_options *options, struct px_launch *launch);
/* The second step, which waits. It always ends the launch. */
int px_pool_launched(struct px_launch *launch, struct px_client **client);

#endif
