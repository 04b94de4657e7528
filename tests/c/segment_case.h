/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment_case.h - for tests: a segment, and children of the case that may die of what they touch.
 *
 * Who:     cases about segments.
 * Where:   the segment is made before each case, in /dev/shm or as a memfd.
 * Blocks:  until a child has ended.
 * Death:   a child's is what is asserted; it leaves no core file.
 */
#ifndef PX_TEST_SEGMENT_CASE_H
#define PX_TEST_SEGMENT_CASE_H

#include "tests/c/case.h"

#include "shm/os.h"
#include "shm/segment.h"

#define MIB (UINT64_C(1) << 20)
#define UNITS 16
#define ARENA_BYTES (UNITS * (uint64_t)PX_UNIT_BYTES)
#define SKIPPED 77 /* what a child returns where it cannot do what it should */

extern struct px_segment *segment;
extern struct px_os real; /* px_os is this again after each case */

int segment_setup(void **state);
int segment_setup_memfd(void **state);
int segment_teardown(void **state);
#define ON(name) cmocka_unit_test_setup_teardown(name, segment_setup, segment_teardown)
#define ON_MEMFD(name)                                                                             \
	{                                                                                          \
#name " (memfd)", name, segment_setup_memfd, segment_teardown, NULL                \
	}
#define run_segment_cases(cases) (real = px_os, run_cases(cases, NULL, NULL))

/* Of /dev/shm, by the segment's file. */
uint64_t reserved_bytes(const struct px_segment *s);
int open_files(void);
/* Another map of the segment, as another process attaches it. */
int attach_again(struct px_segment **out);

void assert_child_killed(int (*play)(void), int by);
void assert_child_done(int (*play)(void));
void assert_child_done_or_skip(int (*play)(void), const char *reason);

/* In place of px_os.fallocate: it returns fallocate_fails, and counts. */
extern int fallocate_fails, fallocate_calls;
int failing_fallocate(int fd, int mode, off_t offset, off_t length);

#endif
