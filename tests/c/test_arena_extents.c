/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_arena_extents.c - where an arena has its extents from, and when it gives them back.
 */
#include "tests/c/arena_case.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/error.h"

static uint64_t file_bytes(void)
{
	struct stat file;

	assert_int_equal(fstat(arena_world.segment->fd, &file), 0);
	return (uint64_t)file.st_blocks * 512;
}
/* --- getting them */

static void extents_double_up_to_a_cap(void **state)
{
	struct px_region *regions[UNITS];
	uint64_t next = PX_UNIT_BYTES;
	unsigned count = 0, asks = 0;

	(void)state;
	while (arena_world.taken_units < UNITS / 2) {
		regions[count++] = region(PX_UNIT_BYTES);
		if (arena_world.asks == asks)
			continue;
		assert_int_equal(arena_world.asked[asks++], next);
		if (next < EXTENT_MAX_BYTES)
			next *= 2;
	}
	assert_int_equal(usage().extents, asks);
	while (count > 0)
		px_region_release(regions[--count]);
}

static void extent_for_a_large_region_has_what_it_needs(void **state)
{
	struct px_region *r = region(20 * (uint64_t)PX_UNIT_BYTES + 1);

	(void)state;
	assert_int_equal(arena_world.asks, 1);
	assert_int_equal(arena_world.asked[0], 21 * PX_UNIT_BYTES);
	px_region_release(r);
}

static void extent_doubled_refused_takes_what_is_needed(void **state)
{
	struct px_region *a, *b, *c;

	(void)state;
	arena_world.taken_max = 4;
	a = region(PX_UNIT_BYTES);
	b = region(2 * PX_UNIT_BYTES);
	assert_int_equal(arena_world.asked[1], 2 * PX_UNIT_BYTES);
	c = region(PX_UNIT_BYTES);
	assert_int_equal(arena_world.asks, 4);
	assert_int_equal(arena_world.asked[2], 4 * PX_UNIT_BYTES);
	assert_int_equal(arena_world.asked[3], PX_UNIT_BYTES);
	for (unsigned i = 0; i < arena_world.asks; i++)
		assert_false(arena_world.earnest[i]);
	px_region_release(a);
	px_region_release(b);
	px_region_release(c);
}

static void extent_needed_is_asked_for_in_earnest_when_all_else_failed(void **state)
{
	struct px_region *a, *b, *c = NULL;

	(void)state;
	arena_world.taken_max = 3;
	a = region(PX_UNIT_BYTES);
	b = region(2 * PX_UNIT_BYTES);
	arena_world.asks = 0;
	assert_int_equal(px_region_new(arena_world.arena, PX_UNIT_BYTES, &c), PX_ENOMEM);
	assert_int_equal(arena_world.asks,
			 3); /* twice the last one; what is needed; the same in earnest */
	for (unsigned i = 0; i < arena_world.asks; i++)
		assert_int_equal(arena_world.earnest[i], i == 2);
	assert_int_equal(arena_world.asked[2], PX_UNIT_BYTES);
	/* Memory of its own that nobody uses is given back before. */
	px_region_release(a);
	arena_world.asks = 0;
	assert_int_equal(px_region_new(arena_world.arena, 2 * PX_UNIT_BYTES, &c), PX_ENOMEM);
	assert_int_equal(arena_world.taken_units, 2);
	assert_int_equal(arena_world.asks, 5);
	for (unsigned i = 0; i < arena_world.asks; i++)
		assert_int_equal(arena_world.earnest[i], i == 4);
	px_region_release(b);
}

static void new_source_empty_says_why_and_recovers(void **state)
{
	struct px_region *a, *b = NULL;

	(void)state;
	arena_world.taken_max = 1;
	a = region(PX_UNIT_BYTES);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(px_region_new(arena_world.arena, 64, &b), PX_ENOMEM);
		assert_string_equal(px_last_error(), "no: 1 units are out");
		assert_null(b);
	}
	px_region_release(a);
	a = region(PX_UNIT_BYTES);
	px_region_release(a);
	arena_world.taken_max = 2;
	a = region(PX_UNIT_BYTES);
	b = region(64);
	px_region_release(a);
	px_region_release(b);
}

static void extent_not_reserved_is_put_back(void **state)
{
	struct px_region *r = NULL;

	(void)state;
	arena_world.fail_how = -EFAULT;
	arena_world.fail_at = 1;
	assert_int_equal(px_region_new(arena_world.arena, 64, &r), PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), "memory"));
	arena_world.fail_how = -EIO;
	arena_world.fail_at = atomic_load(&arena_world.advices) + 1;
	assert_int_equal(px_region_new(arena_world.arena, 64, &r), PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), strerror(EIO)));
	assert_null(r);
	assert_int_equal(arena_world.taken_units, 0);
	assert_int_equal(usage().extents, 0);
	px_region_release(region(64));
}

static void extent_reserve_interrupted_is_tried_again(void **state)
{
	(void)state;
	arena_world.fail_how = -EINTR;
	arena_world.fail_at = 1;
	px_region_release(region(64));
	assert_int_equal(atomic_load(&arena_world.advices), 2);
}

static void extent_not_mapped_is_put_back(void **state)
{
	struct px_region *r = NULL;

	(void)state;
	arena_world.shift = 1;
	assert_int_equal(px_region_new(arena_world.arena, 64, &r), PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), "mapping"));
	assert_null(r);
	assert_int_equal(arena_world.taken_units, 0);
	arena_world.shift = 0;
	px_region_release(region(64));
}

/* Some growing, some shrinking; returns the number of refusals. */
static unsigned day_in_the_life(void)
{
	struct px_region *regions[12] = { NULL };
	unsigned refused = 0;

	for (unsigned i = 0; i < 12; i++) {
		int rc = px_region_new(arena_world.arena, (i + 1) * PX_UNIT_BYTES / 2, &regions[i]);

		assert_true(rc == 0 || rc == PX_ENOMEM);
		refused += rc != 0;
		if (i % 3 == 2 && regions[i - 1]) {
			px_region_release(regions[i - 1]);
			regions[i - 1] = NULL;
			px_arena_trim(arena_world.arena, PX_UNIT_BYTES);
		}
	}
	for (unsigned i = 0; i < 12; i++)
		if (regions[i])
			px_region_release(regions[i]);
	px_arena_trim(arena_world.arena, 0);
	return refused;
}

static void madvise_fails_at_any_step_leaks_nothing(void **state)
{
	int steps;

	(void)state;
	assert_int_equal(day_in_the_life(), 0);
	steps = atomic_load(&arena_world.advices);
	assert_true(steps > 6);
	arena_world.fail_how = -EFAULT;
	for (int step = 1; step <= steps; step++) {
		atomic_store(&arena_world.advices, 0);
		arena_world.fail_at = step;
		(void)day_in_the_life();
		assert_true(atomic_load(&arena_world.advices) >= step);
		assert_int_equal(arena_world.taken_units, 0);
		assert_int_equal(usage().extent_bytes, 0);
		assert_int_equal(usage().used_bytes, 0);
	}
}

/* --- trim */

static void trim_gives_pages_and_units_back(void **state)
{
	uint64_t before = file_bytes();
	struct px_region *r = region(3 * PX_UNIT_BYTES);

	(void)state;
	assert_true(file_bytes() >= before + 3 * PX_UNIT_BYTES);
	px_region_release(r);
	assert_int_equal(arena_world.taken_units, 3);
	assert_int_equal(px_arena_trim(arena_world.arena, 0), 3 * PX_UNIT_BYTES);
	assert_int_equal(arena_world.taken_units, 0);
	assert_int_equal(file_bytes(), before);
	assert_int_equal(px_arena_trim(arena_world.arena, 0), 0);
}

static void trim_keeps_extents_in_use(void **state)
{
	struct px_region *a = region(PX_UNIT_BYTES), *b = region(2 * PX_UNIT_BYTES);
	struct px_region *small = region(64);

	(void)state;
	px_region_release(b);
	/* The third one has as many units as the others together and one more, of which only the first is in use. */
	assert_int_equal(px_arena_trim(arena_world.arena, 0), (2 + 3) * PX_UNIT_BYTES);
	memset(a->at, 1, a->bytes);
	memset(small->at, 2, small->bytes);
	px_region_release(a);
	px_region_release(small);
}

static void trim_gives_back_the_free_end_of_an_extent_in_use(void **state)
{
	struct px_region *a = region(3 * PX_UNIT_BYTES), *small = region(64), *large;

	(void)state;
	assert_int_equal(px_arena_trim(arena_world.arena, 0),
			 PX_UNIT_BYTES); /* of the second one */
	px_region_release(a);
	a = region(PX_UNIT_BYTES + 1);
	assert_int_equal(arena_world.taken_units, 3 + 1);
	/* Where something is to be kept warm, that is. */
	assert_int_equal(px_arena_trim(arena_world.arena, 8 * PX_UNIT_BYTES), 0);
	assert_int_equal(px_arena_trim(arena_world.arena, 0), PX_UNIT_BYTES);
	assert_int_equal(arena_world.taken_units, 2 + 1);
	assert_int_equal(usage().extent_bytes, 3 * PX_UNIT_BYTES);
	memset(a->at, 1, a->bytes);
	/* What is free before the cut is used, and found, as before. */
	large = region(PX_UNIT_BYTES / 2);
	assert_int_equal(arena_world.taken_units, 2 + 1);
	memset(large->at, 2, large->bytes);
	assert_int_equal(px_arena_trim(arena_world.arena, 0), 0);
	px_region_release(a);
	px_region_release(large);
	px_region_release(small);
	assert_int_equal(px_arena_trim(arena_world.arena, 0), 3 * PX_UNIT_BYTES);
	assert_int_equal(arena_world.taken_units, 0);
}

static void trim_keeps_so_many_warm(void **state)
{
	struct px_region *a = region(PX_UNIT_BYTES), *b = region(2 * PX_UNIT_BYTES);

	(void)state;
	px_region_release(a);
	px_region_release(b);
	assert_int_equal(px_arena_trim(arena_world.arena, 3 * PX_UNIT_BYTES), 0);
	assert_int_equal(px_arena_trim(arena_world.arena, 2 * PX_UNIT_BYTES), PX_UNIT_BYTES);
	assert_int_equal(usage().extent_bytes, 2 * PX_UNIT_BYTES);
	assert_int_equal(arena_world.asks, 2);
	px_region_release(region(2 * PX_UNIT_BYTES));
	assert_int_equal(arena_world.asks, 2);
}

/* A client that keeps much memory in small pieces for reuse still gets a large one. */
static void new_gives_warm_memory_back_first(void **state)
{
	struct px_region *r[8], *large;

	(void)state;
	arena_world.taken_max = 24;
	for (int i = 0; i < 8; i++)
		r[i] = region(2 * PX_UNIT_BYTES);
	for (int i = 0; i < 8; i++)
		px_region_release(r[i]);
	large = region(20 * PX_UNIT_BYTES);
	assert_true(usage().given_back_bytes > 0);
	assert_int_equal(atomic_load(&arena_world.usage.given_back), usage().given_back_bytes);
	assert_int_equal(atomic_load(&arena_world.usage.used), 20 * PX_UNIT_BYTES);
	px_region_release(large);
	assert_int_equal(atomic_load(&arena_world.usage.used), 0);
}

/* --- what peers have let go of */

static void what_peers_have_let_go_of_is_taken_before_any_is_asked_for_in_earnest(void **state)
{
	struct px_region *r;

	(void)state;
	arena_world.taken_max = 3;
	arena_world.let_go = region(3 * PX_UNIT_BYTES);
	arena_world.asks = 0;
	r = region(2 * PX_UNIT_BYTES);
	assert_null(arena_world.let_go);
	for (unsigned i = 0; i < arena_world.asks; i++)
		assert_false(arena_world.earnest[i]);
	/* Where that was nothing, others are. */
	arena_world.asks = 0;
	arena_world.let_go = NULL;
	struct px_region *more = NULL;
	assert_int_equal(px_region_new(arena_world.arena, 2 * PX_UNIT_BYTES, &more), PX_ENOMEM);
	assert_true(arena_world.earnest[arena_world.asks - 1]);
	px_region_release(r);
}

static void what_is_only_tried_takes_nothing_from_others(void **state)
{
	struct px_region *r = region(PX_UNIT_BYTES), *more = NULL;

	(void)state;
	arena_world.taken_max = 1;
	arena_world.let_go = r;
	arena_world.asks = 0;
	assert_int_equal(px_region_try(arena_world.arena, PX_UNIT_BYTES, &more), PX_ENOMEM);
	for (unsigned i = 0; i < arena_world.asks; i++)
		assert_false(arena_world.earnest[i]);
	assert_ptr_equal(arena_world.let_go, r);
	arena_world.taken_max = 2;
	assert_int_equal(px_region_try(arena_world.arena, PX_UNIT_BYTES, &more), 0);
	px_region_release(more);
	px_region_release(r);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		CASE(extents_double_up_to_a_cap),
		CASE(extent_for_a_large_region_has_what_it_needs),
		CASE(extent_doubled_refused_takes_what_is_needed),
		CASE(extent_needed_is_asked_for_in_earnest_when_all_else_failed),
		CASE(new_source_empty_says_why_and_recovers),
		CASE(extent_not_reserved_is_put_back),
		CASE(extent_reserve_interrupted_is_tried_again),
		CASE(extent_not_mapped_is_put_back),
		CASE(madvise_fails_at_any_step_leaks_nothing),
		CASE(trim_gives_pages_and_units_back),
		CASE(trim_keeps_extents_in_use),
		CASE(trim_gives_back_the_free_end_of_an_extent_in_use),
		CASE(trim_keeps_so_many_warm),
		CASE(new_gives_warm_memory_back_first),
		RECLAIMING_CASE(
			what_peers_have_let_go_of_is_taken_before_any_is_asked_for_in_earnest),
		RECLAIMING_CASE(what_is_only_tried_takes_nothing_from_others),
	};

	return run_cases(cases, NULL, NULL);
}
