/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_case.h - for tests: an arena, and a source of extents that says no when it is told to.
 *
 * Who:     cases about arenas.
 * Where:   a segment of its own for each case.
 * Blocks:  never.
 * Death:   leaves nothing.
 */
#ifndef PX_TEST_ARENA_CASE_H
#define PX_TEST_ARENA_CASE_H

#include "tests/c/case.h"

#include "shm/os.h"
#include "shm/region.h"

#define UNITS 160
#define ARENA_BYTES ((uint64_t)UNITS * PX_UNIT_BYTES)
#define LARGE_BYTES (64 * 1024)
#define EXTENT_MAX_BYTES (UINT64_C(64) << 20)
#define GETS_MAX 256

/* A segment, an arena in it, and the source of its extents. */
struct arena_world {
	struct px_segment *segment;
	struct px_usage_shm usage;
	struct px_arena *arena;
	bool taken[UNITS];
	uint64_t taken_units, taken_max; /* the source says no beyond */
	uint64_t asked[GETS_MAX];        /* bytes of each call of the source's get() */
	bool earnest[GETS_MAX];          /* and how */
	unsigned asks, shift;            /* of the offsets given: a range that cannot be mapped */
	struct px_region *let_go;        /* that the source's reclaim() frees; NULL: none */
	_Atomic int advices;             /* of several threads */
	int fail_at, fail_how;           /* the fail_at-th madvise returns fail_how */
	struct px_os os;
};
extern struct arena_world arena_world;

int arena_setup(void **state);
/* … with a source that reclaims. */
int arena_setup_reclaiming(void **state);
/* Every case ends with nothing in use, and then every unit must come back. */
int arena_teardown(void **state);
#define CASE(name) cmocka_unit_test_setup_teardown(name, arena_setup, arena_teardown)
#define RECLAIMING_CASE(name)                                                                      \
	cmocka_unit_test_setup_teardown(name, arena_setup_reclaiming, arena_teardown)

struct px_region *region(uint64_t bytes);
struct px_arena_usage usage(void);

#endif
