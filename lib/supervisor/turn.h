/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * turn.h - the phases of a turn of the supervisor's loop, and what is marked for each.
 *
 * Who:     the supervisor. Events set marks; each phase takes its mark away and does its work once.
 *          A mark for a phase that is over is for the next turn, which does not wait.
 * Blocks:  never.
 */
#ifndef PX_TURN_H
#define PX_TURN_H

#include <stdbool.h>
#include <stdio.h>

/* In the order of the phases; run_phases() in supervisor.c explains it. */
struct px_turn {
	bool stop;   /* the pool is told to stop, for stop_why */
	bool reap;   /* a process or a client has ended */
	bool admit;  /* a client wants to connect */
	bool files;  /* the pool's files may be gone */
	bool start;  /* an engine waits, and may be started now */
	bool answer; /* an engine came up or is gone, or a client asks for one that is */
	bool sweep;  /* a dead member may be freed */
	char stop_why[80];
};

static inline bool px_turn_marked(const struct px_turn *turn)
{
	return turn->stop || turn->reap || turn->admit || turn->files || turn->start ||
	       turn->answer || turn->sweep;
}

/* Of several reasons the first is reported. */
static inline void px_turn_stop(struct px_turn *turn, const char *why)
{
	if (!turn->stop)
		snprintf(turn->stop_why, sizeof(turn->stop_why), "%s", why);
	turn->stop = true;
}

#endif
