/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * turn.h - what is to be done in this turn of the supervisor's loop, and by which phase.
 *
 * Who:     events mark; the phase takes its mark away and does the work, once. What a phase
 *          marks for one that is over is done in the next turn, which does not wait.
 * Blocks:  never.
 */
#ifndef PX_TURN_H
#define PX_TURN_H

#include <stdbool.h>
#include <stdio.h>

/* In the order of the phases; settle() in supervisor.c says why. */
struct px_turn {
	bool stop;   /* the pool is told to stop, for stop_why */
	bool reap;   /* a process or a client is gone */
	bool admit;  /* a client wants to be let in */
	bool start;  /* an engine waits, and may be started now */
	bool answer; /* an engine came up or is gone; somebody asks for one that is */
	bool sweep;  /* a dead member may be freed */
	char stop_why[80];
};

static inline bool px_turn_marked(const struct px_turn *turn)
{
	return turn->stop || turn->reap || turn->admit || turn->start || turn->answer ||
	       turn->sweep;
}

/* The first reason is the one that is told. */
static inline void px_turn_stop(struct px_turn *turn, const char *why)
{
	if (!turn->stop)
		snprintf(turn->stop_why, sizeof(turn->stop_why), "%s", why);
	turn->stop = true;
}

#endif
