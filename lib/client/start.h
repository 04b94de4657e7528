/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * start.h - the start of a pool in two steps, for who has something to do meanwhile.
 */
#ifndef PX_POOL_H
#define PX_POOL_H

#include <stdbool.h>
#include <sys/types.h>

#include "client/pxrun.h"
#include "pool/runtime.h"
#include "pool/settings.h"

/* A pool on its way. */
struct px_launch {
	const char *profile; /* the caller's, or name */
	char name[64];       /* of a private pool */
	bool private;
	int ready, owner; /* our ends of two pipes: it is ready; we live. owner -1: not private */
	pid_t pid;
};

/*
 * The first step of px_pool_start(), whose options profile and command are; *launch stays where it is
 * until the second. Settings that are not the default go to the supervisor as options. PX_EINVAL
 * from there, PX_ENOMEM, PX_ESYSTEM.
 */
int px_pool_launch(const struct px_settings *settings, const char *profile, const char *command,
		   struct px_launch *launch);
/* The second step, which waits. It always ends the launch. */
int px_pool_launched(struct px_launch *launch, struct px_client **client);
/* Both steps. */
int px_pool_start_by(const struct px_settings *settings, const char *profile, const char *command,
		     struct px_client **client);
/*
 * Waits until the pool's lock is free: then all its processes are gone. PX_ETIMEDOUT. give_up(ctx),
 * if given, is asked meanwhile: a negative number ends the wait, and is returned.
 */
int px_pool_await_end(const struct px_runtime *runtime, uint64_t timeout_ns,
		      int (*give_up)(void *ctx), void *ctx);

#endif
