/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_huge.c - segments whose extents may lie in huge pages.
 */
#include "tests/c/case.h"

#include <grp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/segment.h"

#define MIB ((uint64_t)1 << 20)
#define UNIT ((uint64_t)PX_UNIT_BYTES)
#define NOBODY 65534

static struct px_segment *segment;

static int setup(void **state)
{
	(void)state;
	return px_segment_create(64 * MIB, PX_SEGMENT_HUGE, &segment);
}

static int teardown(void **state)
{
	(void)state;
	px_segment_detach(segment);
	return 0;
}

static uint64_t reserved(void)
{
	struct stat st;

	assert_int_equal(fstat(segment->fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* Whatever the machine permits, pages can be reserved and given back. */
static void extents_are_reserved_and_punched(void **state)
{
	uint64_t offset = segment->arena_offset + UNIT, before = reserved();
	uint8_t *at;
	void *map;

	(void)state;
	assert_int_equal(px_segment_map_arrays(segment, offset, 4 * UNIT, &map), 0);
	at = map;
	assert_int_equal(px_segment_reserve_mapped(segment, offset, 4 * UNIT, at), 0);
	assert_int_equal(reserved() - before, 4 * UNIT);
	assert_int_equal(at[0], 0);
	memset(at, 7, 4 * UNIT);
	assert_int_equal(segment->base[offset + 4 * UNIT - 1], 7);
	assert_int_equal(px_segment_punch(segment, offset, 4 * UNIT), 0);
	assert_int_equal(reserved(), before);
	assert_int_equal(px_segment_reserve_mapped(segment, offset, 4 * UNIT, at), 0);
	assert_int_equal(at[3 * UNIT], 0);
	px_segment_unmap(at, 4 * UNIT);
}

/* Only what asks for huge pages gets them: a segment has thousands of blocks. */
static void other_pages_are_small(void **state)
{
	uint64_t before = reserved();

	(void)state;
	assert_int_equal(px_segment_reserve(segment, px_segment_block_offset(segment, 3),
					    PX_PAGE_BYTES),
			 0);
	assert_int_equal(reserved() - before, PX_PAGE_BYTES);
}

static void private_view_copies_what_is_written(void **state)
{
	uint64_t offset = segment->arena_offset;
	void *map, *view;

	(void)state;
	assert_int_equal(px_segment_map_arrays(segment, offset, 2 * UNIT, &map), 0);
	assert_int_equal(px_segment_reserve_mapped(segment, offset, 2 * UNIT, map), 0);
	memset(map, 1, 2 * UNIT);
	assert_int_equal(px_segment_map_private(segment, offset + PX_PAGE_BYTES, UNIT, &view), 0);
	((uint8_t *)view)[5] = 9;
	assert_int_equal(((uint8_t *)map)[PX_PAGE_BYTES + 5], 1);
	assert_int_equal(((uint8_t *)view)[6], 1);
	px_segment_unmap(view, UNIT);
	px_segment_unmap(map, 2 * UNIT);
}

static void who_attaches_knows(void **state)
{
	struct px_segment *other;

	(void)state;
	assert_int_equal(px_segment_attach(dup(segment->fd), &other), 0);
	assert_int_equal(other->huge, segment->huge);
	px_segment_detach(other);
}

/* 0: a file that works; 1: none, which is allowed. */
static int try_mount(void)
{
	int fd = px_huge_mount();
	uint8_t *at;

	if (fd < 0)
		return 1;
	if (ftruncate(fd, 4 * (off_t)MIB) < 0)
		return 2;
	at = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED || at[MIB] != 0)
		return 3;
	at[MIB] = 5;
	return access("/tmp/pxrun", F_OK) == 0 ? 4 : 0; /* the mount is not visible here */
}

static void whoever_it_is(void **state)
{
	bool root = geteuid() == 0;

	(void)state;
	for (int nobody = 0; nobody <= root; nobody++) {
		int status;
		pid_t child = fork();

		if (child == 0) {
			/*
			 * After a change of ids /proc/self is root's, unless the process is made
			 * dumpable.
			 */
			if (nobody && (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY) ||
				       prctl(PR_SET_DUMPABLE, 1)))
				_exit(9);
			_exit(try_mount());
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
		if (WEXITSTATUS(status) == 1)
			print_message("no mount for %s here\n", nobody ? "nobody" : "us");
	}
	/* The child that mounts has been reaped. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(extents_are_reserved_and_punched, setup, teardown),
		cmocka_unit_test_setup_teardown(other_pages_are_small, setup, teardown),
		cmocka_unit_test_setup_teardown(private_view_copies_what_is_written, setup,
						teardown),
		cmocka_unit_test_setup_teardown(who_attaches_knows, setup, teardown),
		cmocka_unit_test(whoever_it_is),
	};

	return run_cases(tests, NULL, NULL);
}
