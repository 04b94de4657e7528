/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * targets.h - the engines that -t names.
 */
#ifndef PX_TARGETS_H
#define PX_TARGETS_H

#include "client/client.h"

struct px_targets {
	uint32_t ids[PX_ENGINES_MAX];
	size_t count; /* 0: all */
};

/* Reads 'all', or ids separated by commas. PX_EINVAL. */
int px_targets_parse(const char *text, struct px_targets *out);
/*
 * Has the ids of all engines, if none are named; those that are named exist. PX_EENGINE: they do not, or the pool
 * has none; PX_EPOOL.
 */
int px_targets_find(struct px_client *client, struct px_targets *targets);

#endif
