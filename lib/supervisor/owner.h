/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * owner.h - the process that a private pool belongs to, and ends with.
 *
 * Who:     the supervisor.
 * Where:   the pool's end of a socket, or pipe, whose other end the owner has.
 * Blocks:  never.
 * Death:   of the owner ends the pool: its end is closed. A child that it has forked may have a copy of
 *          that end, and live on; so of a socket's maker there is a pidfd as well.
 */
#ifndef PX_OWNER_H
#define PX_OWNER_H

#include "supervisor/event_loop.h"

struct px_supervisor;

struct px_owner {
	int pidfd; /* -1: none */
	struct px_watch end_watch, death_watch;
};

/* From now on the pool stops when the owner has; if options->owner_fd is -1, it has none. PX_ENOMEM, PX_ESYSTEM. */
int px_owner_watch(struct px_supervisor *supervisor);
void px_owner_close(struct px_supervisor *supervisor);

#endif
