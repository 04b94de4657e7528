/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ahead.h - touches memory of the arena before somebody needs it, while the pool is idle.
 *
 * Who:     the supervisor.
 * Where:   units that nobody has yet (extents.h).
 * Blocks:  for the first touch of one unit: 1 ms with small pages, half of it with huge ones.
 * Death:   of the supervisor ends the pool, and the memory goes with it.
 *
 * Half a second after the start, and after each grant, the units that are granted next are touched, one by
 * one, until there are as many as the profile's `prefault` says, or a sixteenth of the memory that may be had.
 * A member that is given them only has to map them: 64 MiB of small pages take 6 ms instead of 30. While an
 * engine works it waits, at growing intervals, and in the end gives up until the next grant; so in a pool
 * where nothing happens, nothing wakes the supervisor.
 */
#ifndef PX_AHEAD_H
#define PX_AHEAD_H

#include "supervisor/event_loop.h"

struct px_supervisor;

struct px_ahead {
	struct px_timer timer;
	uint64_t delay_ns; /* until it is looked again whether all are idle */
};

/* The pool is ready, or an extent was granted. */
void px_ahead_mark(struct px_supervisor *s);

#endif
