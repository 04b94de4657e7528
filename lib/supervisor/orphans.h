/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * orphans.h - processes that engines left behind.
 *
 * A process whose parent ends becomes a child of the supervisor, which is a subreaper: a daemon
 * that engine code started by a double fork at once, other children of an engine when it ends.
 * Those in the engine's process group are killed with it; the others run on until the pool
 * stops. Where px_children_list() finds none, they are neither named nor ended.
 *
 * Who:     the supervisor.
 * Blocks:  never.
 * Death:   of the supervisor, unless it stops: they run on.
 */
#ifndef PX_ORPHANS_H
#define PX_ORPHANS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/event_loop.h"

#define PX_ORPHANS_MAX 256 /* of more, it is not remembered that they were named */

struct px_supervisor;

struct px_orphans {
	bool look; /* an engine has ended: there may be new ones */
	bool killing, given_up;
	struct px_timer timer;
	struct {
		pid_t pid;
		bool told;
	} seen[PX_ORPHANS_MAX];
	uint32_t seen_count;
	pid_t foreign; /* a child that was there before the first engine; 0: none */
};

/* Before the first child is started. */
void px_orphans_begin(struct px_orphans *orphans);
/* Part of the reap phase: reaps those that have ended, and logs the names of new ones. */
void px_orphans_reap(struct px_supervisor *s);
/*
 * For a pool whose engines are gone: sends SIGTERM to those that are left, and SIGKILL 2 s later.
 * Returns whether there is nothing more to wait for: none is left, or those that are do not end.
 */
bool px_orphans_end(struct px_supervisor *s);
/*
 * For the end, after the template's: kills an engine that the template forked in its last moment, of
 * which nobody has heard, and waits until it has gone.
 */
void px_orphans_end_last(struct px_supervisor *s);
/* SIGKILL at once. */
void px_orphans_kill(struct px_supervisor *s);

#endif
