/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_segment_pages.c - maps of a segment, and the pages behind them.
 */
#include "tests/c/segment_case.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/error.h"

static void map_private_keeps_writes_to_itself(void **state)
{
	uint8_t *shared, *own;
	void *at;

	(void)state;
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, PX_PAGE_BYTES), 0);
	assert_int_equal(px_segment_map(segment, segment->arena_offset, PX_PAGE_BYTES, &at), 0);
	shared = at;
	assert_int_equal(px_segment_map_private(segment, segment->arena_offset, PX_PAGE_BYTES, &at),
			 0);
	own = at;
	shared[0] = 1;
	assert_int_equal(own[0], 1);
	own[0] = 2;
	assert_int_equal(shared[0], 1);
	assert_int_equal(segment->base[segment->arena_offset], 1);
	px_segment_unmap(shared, PX_PAGE_BYTES);
	px_segment_unmap(own, PX_PAGE_BYTES);
}

static unsigned long mapped_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu", &pages), 1);
	fclose(file);
	return pages;
}

static void map_takes_its_own_addresses_only(void **state)
{
	unsigned long before = mapped_pages();
	void *at;

	(void)state;
	assert_int_equal(px_segment_map(segment, segment->arena_offset, PX_UNIT_BYTES, &at), 0);
	/* The C library may have taken some as well. */
	assert_in_range(mapped_pages() - before, PX_UNIT_BYTES / PX_PAGE_BYTES,
			PX_UNIT_BYTES / PX_PAGE_BYTES + 256);
	px_segment_unmap(at, PX_UNIT_BYTES);
}

static void map_after_close_needs_no_descriptor(void **state)
{
	struct px_segment *other;
	void *at;

	(void)state;
	assert_int_equal(attach_again(&other), 0);
	close(other->fd);
	assert_int_equal(px_segment_map_arrays(other, other->arena_offset, PX_UNIT_BYTES, &at), 0);
	assert_int_equal(px_segment_reserve_mapped(other, other->arena_offset, PX_UNIT_BYTES, at),
			 0);
	memset(at, 7, PX_UNIT_BYTES);
	assert_int_equal(segment->base[segment->arena_offset + PX_UNIT_BYTES - 1], 7);
	assert_int_equal(px_segment_make_shared(other, other->arena_offset, PX_UNIT_BYTES, at), 0);
	memset(at, 8, PX_UNIT_BYTES);
	assert_int_equal(segment->base[segment->arena_offset + PX_UNIT_BYTES - 1], 8);
	assert_int_equal(px_segment_make_private(other, other->arena_offset, PX_UNIT_BYTES, at),
			 PX_ECLOSED);
	px_segment_unmap(at, PX_UNIT_BYTES);
	px_segment_detach(other);
}

static void map_odd_offset_says_why(void **state)
{
	void *at;

	(void)state;
	assert_int_equal(px_segment_map(segment, 1, PX_PAGE_BYTES, &at), PX_ESYSTEM);
	assert_non_null(strstr(px_last_error(), strerror(EINVAL)));
	assert_int_equal(px_segment_map_private(segment, 1, PX_PAGE_BYTES, &at), PX_ESYSTEM);
}

static void punch_gives_back_and_zeroes(void **state)
{
	uint64_t before = reserved_bytes(segment);
	uint8_t *at;
	void *map;

	(void)state;
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, PX_UNIT_BYTES), 0);
	assert_int_equal(reserved_bytes(segment), before + PX_UNIT_BYTES);
	assert_int_equal(px_segment_map(segment, segment->arena_offset, PX_UNIT_BYTES, &map), 0);
	at = map;
	memset(at, 0xff, PX_UNIT_BYTES);
	assert_int_equal(reserved_bytes(segment), before + PX_UNIT_BYTES);
	assert_int_equal(px_segment_punch(segment, segment->arena_offset, PX_UNIT_BYTES), 0);
	assert_int_equal(px_segment_punch(segment, segment->arena_offset, PX_UNIT_BYTES), 0);
	assert_int_equal(reserved_bytes(segment), before);
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, PX_UNIT_BYTES), 0);
	for (uint64_t i = 0; i < PX_UNIT_BYTES; i += 511)
		assert_int_equal(at[i], 0);
	px_segment_unmap(at, PX_UNIT_BYTES);
}

static void reserve_full_says_what_is_full(void **state)
{
	(void)state;
	px_os.fallocate = failing_fallocate;
	fallocate_fails = -ENOSPC;
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, 5 * MIB - 1),
			 PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), "needs 5 MiB"));
	assert_int_equal(strstr(px_last_error(), "/dev/shm") != NULL, !segment->memfd);
	fallocate_fails = -ENOMEM;
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, 1), PX_ENOMEM);
}

static int madvise_fails, madvise_calls;

/* Fails after it has got half of the pages. */
static int half_madvise(void *at, size_t bytes, int advice)
{
	if (advice != MADV_POPULATE_WRITE)
		return real.madvise(at, bytes, advice);
	assert_int_equal(real.madvise(at, bytes / 2, advice), 0);
	return madvise_fails;
}

/* Members reserve their extents by themselves: they must know, too, what is full. */
static void reserve_full_by_attached_says_the_same(void **state)
{
	struct px_segment *other;
	char words[1000];
	void *at;

	(void)state;
	assert_int_equal(attach_again(&other), 0);
	assert_int_equal(px_segment_map_arrays(other, other->arena_offset, MIB, &at), 0);
	px_os.madvise = half_madvise;
	madvise_fails = -EFAULT;
	px_os.fallocate = failing_fallocate;
	fallocate_fails = -ENOSPC;
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, MIB), PX_ENOMEM);
	snprintf(words, sizeof(words), "%.12s%d", px_last_error(),
		 strstr(px_last_error(), "/dev/shm") != NULL);
	assert_int_equal(px_segment_reserve_mapped(other, other->arena_offset, MIB, at), PX_ENOMEM);
	assert_memory_equal(words, px_last_error(), 12);
	assert_int_equal(words[12] - '0', strstr(px_last_error(), "/dev/shm") != NULL);
	px_segment_unmap(at, MIB);
	px_segment_detach(other);
}

static void reserve_mapped_full_leaves_nothing(void **state)
{
	static const struct {
		int error, code;
		const char *words;
	} ways[] = {
		{ -EFAULT, PX_ENOMEM, "needs 2 MiB" },
		{ -ENOMEM, PX_ENOMEM, "needs 2 MiB" },
		{ -EPERM, PX_ESYSTEM, "reserving 2048 KiB of the segment" },
	};
	uint64_t offset = segment->arena_offset, before = reserved_bytes(segment);
	void *at;

	(void)state;
	px_os.madvise = half_madvise;
	assert_int_equal(px_segment_map_arrays(segment, offset, 2 * MIB, &at), 0);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		madvise_fails = ways[i].error;
		assert_int_equal(px_segment_reserve_mapped(segment, offset, 2 * MIB, at),
				 ways[i].code);
		assert_words(ways[i].words);
		assert_int_equal(reserved_bytes(segment), before);
	}
	px_segment_unmap(at, 2 * MIB);
}

static int interrupted_madvise(void *at, size_t bytes, int advice)
{
	static const int answers[] = { -EINTR, -EAGAIN };

	return madvise_calls < 2 ? answers[madvise_calls++] : real.madvise(at, bytes, advice);
}

static void reserve_mapped_interrupted_goes_on(void **state)
{
	uint64_t offset = segment->arena_offset, before = reserved_bytes(segment);
	void *at;

	(void)state;
	px_os.madvise = interrupted_madvise;
	assert_int_equal(px_segment_map_arrays(segment, offset, PX_UNIT_BYTES, &at), 0);
	assert_int_equal(px_segment_reserve_mapped(segment, offset, PX_UNIT_BYTES, at), 0);
	assert_int_equal(madvise_calls, 2);
	assert_int_equal(reserved_bytes(segment), before + PX_UNIT_BYTES);
	madvise_calls = 0;
	assert_int_equal(px_segment_punch_mapped(at, PX_UNIT_BYTES), 0);
	assert_int_equal(madvise_calls, 2);
	assert_int_equal(reserved_bytes(segment), before);
	px_segment_unmap(at, PX_UNIT_BYTES);
}

/* As by mlockall(2). */
static void punch_mapped_locked_gives_back(void **state)
{
	uint64_t offset = segment->arena_offset, before = reserved_bytes(segment);
	void *at;

	(void)state;
	assert_int_equal(px_segment_map_arrays(segment, offset, PX_UNIT_BYTES, &at), 0);
	assert_int_equal(px_segment_reserve_mapped(segment, offset, PX_UNIT_BYTES, at), 0);
	if (mlock(at, PX_UNIT_BYTES) < 0)
		skip();
	assert_int_equal(px_segment_punch_mapped(at, PX_UNIT_BYTES), 0);
	assert_int_equal(reserved_bytes(segment), before);
	px_segment_unmap(at, PX_UNIT_BYTES);
}

static void punch_mapped_refused_says_why(void **state)
{
	(void)state;
	assert_int_equal(px_segment_punch_mapped((uint8_t *)(uintptr_t)segment->base + 1, 1),
			 PX_ESYSTEM);
	assert_words("giving 0 KiB of the segment back");
}

static void reserve_refused_says_why(void **state)
{
	(void)state;
	px_os.fallocate = failing_fallocate;
	fallocate_fails = -EPERM;
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, 1), PX_ESYSTEM);
	assert_non_null(strstr(px_last_error(), strerror(EPERM)));
	assert_int_equal(px_segment_punch(segment, segment->arena_offset, 1), PX_ESYSTEM);
	assert_non_null(strstr(px_last_error(), strerror(EPERM)));
}

/* As if a timer fired faster than the pages can be allocated. */
static int interrupted_fallocate(int fd, int mode, off_t offset, off_t length)
{
	sigset_t blocked;

	fallocate_calls++;
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	return sigismember(&blocked, SIGALRM) ? real.fallocate(fd, mode, offset, length) : -EINTR;
}

static void reserve_interrupted_comes_to_an_end(void **state)
{
	uint64_t before = reserved_bytes(segment);
	sigset_t blocked;

	(void)state;
	fallocate_calls = 0;
	px_os.fallocate = interrupted_fallocate;
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, PX_UNIT_BYTES), 0);
	assert_in_range(fallocate_calls, 1, 2);
	assert_int_equal(reserved_bytes(segment), before + PX_UNIT_BYTES);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	assert_false(sigismember(&blocked, SIGALRM));
}

static void owned_checks_every_unit(void **state)
{
	const uint64_t unit = PX_UNIT_BYTES;
	uint64_t arena = segment->arena_offset;

	(void)state;
	for (unsigned i = 2; i < 5; i++)
		atomic_store(&segment->rw.units[i], 7 + 1);
	atomic_store(&segment->rw.units[UNITS - 1], 7 + 1);
	assert_true(px_segment_owned(segment, arena + 2 * unit, 3 * unit, 7));
	assert_true(px_segment_owned(segment, arena + 5 * unit - 1, 1, 7));
	assert_true(px_segment_owned(segment, arena + (UNITS - 1) * unit, unit, 7));
	assert_false(px_segment_owned(segment, arena + 2 * unit, 3 * unit, 6));
	assert_false(px_segment_owned(segment, arena + 2 * unit, 3 * unit, 8));
	assert_false(px_segment_owned(segment, arena + 2 * unit - 1, 2, 7));
	assert_false(px_segment_owned(segment, arena + 2 * unit, 3 * unit + 1, 7));
	assert_false(px_segment_owned(segment, arena + 2 * unit, 0, 7));
	/* Outside of the arena, before and after it, and with numbers that overflow. */
	assert_false(px_segment_owned(segment, arena - 1, 1, 7));
	assert_false(px_segment_owned(segment, 0, unit, 7));
	assert_false(px_segment_owned(segment, arena + (UNITS - 1) * unit, unit + 1, 7));
	assert_false(px_segment_owned(segment, arena + UNITS * unit, 1, 7));
	assert_false(px_segment_owned(segment, arena + 2 * unit, UINT64_MAX, 7));
	assert_false(px_segment_owned(segment, arena + 2 * unit, UINT64_MAX - arena - 2 * unit, 7));
	assert_false(px_segment_owned(segment, UINT64_MAX, 1, 7));
	assert_false(px_segment_owned(segment, UINT64_MAX, UINT64_MAX, 7));
	/* A unit without an owner belongs to no slot. */
	assert_false(px_segment_owned(segment, arena, 1, UINT32_MAX));
	assert_false(px_segment_owned(segment, arena, 1, 65535));
}

static int touch_private_in_child(void)
{
	void *at;

	if (px_segment_reserve(segment, segment->arena_offset, PX_PAGE_BYTES) < 0 ||
	    px_segment_map_private(segment, segment->arena_offset, PX_PAGE_BYTES, &at) < 0)
		return 1;
	*(uint8_t *)at = 5;
	if (fork() == 0)
		_exit(*(uint8_t *)at == 5 ? 0 : 1);
	int status;
	wait(&status);
	return status;
}

/* The user owns an array that was received, and may fork with it. */
static void map_private_is_inherited(void **state)
{
	(void)state;
	assert_child_done(touch_private_in_child);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		ON(map_private_keeps_writes_to_itself),
		ON(map_private_is_inherited),
		ON(map_takes_its_own_addresses_only),
		ON(map_after_close_needs_no_descriptor),
		ON_MEMFD(map_after_close_needs_no_descriptor),
		ON(map_odd_offset_says_why),
		ON(punch_gives_back_and_zeroes),
		ON_MEMFD(punch_gives_back_and_zeroes),
		ON(reserve_full_says_what_is_full),
		ON_MEMFD(reserve_full_says_what_is_full),
		ON(reserve_full_by_attached_says_the_same),
		ON_MEMFD(reserve_full_by_attached_says_the_same),
		ON(reserve_mapped_full_leaves_nothing),
		ON_MEMFD(reserve_mapped_full_leaves_nothing),
		ON(reserve_mapped_interrupted_goes_on),
		ON(punch_mapped_locked_gives_back),
		ON(punch_mapped_refused_says_why),
		ON(reserve_refused_says_why),
		ON(reserve_interrupted_comes_to_an_end),
		ON(owned_checks_every_unit),
	};

	return run_segment_cases(cases);
}
