/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wall_clock.h - the time of day, as results show it.
 */
#ifndef PX_WALL_CLOCK_H
#define PX_WALL_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_REALTIME in nanoseconds. */
static inline uint64_t px_wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

#endif
