/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_extents.c - who owns which unit of the arena, on machines that are made up.
 */
#include "tests/c/machine.h"

#include <sys/stat.h>

#include "machine/budget.h"
#include "shm/error.h"
#include "supervisor/extents.h"

#define UNITS 8

static void default_is_half_of_what_is_available(void **state)
{
	(void)state;
	machine_put_memory(4096 * MIB);
	assert_int_equal(px_extents_default_bytes(machine_root()), 2048 * MIB);
	machine_put_container(512 * MIB, 112 * MIB);
	assert_int_equal(px_extents_default_bytes(machine_root()), 192 * MIB);
	machine_put_memory(0);
	assert_int_equal(px_extents_default_bytes(machine_root()), PX_UNIT_BYTES);
}

/* --- the ledger --- */

struct arena {
	struct px_extents extents;
	uint64_t base;
};

static struct arena make_arena_of(uint64_t units)
{
	struct arena a = { .extents.root = machine_root() };

	machine_put_memory(10000 * MIB);
	assert_int_equal(px_segment_create(units * PX_UNIT_BYTES, PX_SEGMENT_SHM,
					   &a.extents.segment),
			 0);
	a.base = a.extents.segment->arena_offset;
	return a;
}

static struct arena make_arena(void)
{
	return make_arena_of(UNITS);
}

static uint64_t get(struct arena *a, uint32_t owner, uint64_t units)
{
	uint64_t offset, got;

	assert_int_equal(px_extents_get(&a->extents, owner, units * PX_UNIT_BYTES, &offset, &got),
			 0);
	assert_int_equal(got, units * PX_UNIT_BYTES);
	return (offset - a->base) / PX_UNIT_BYTES;
}

static int give(struct arena *a, uint32_t owner, uint64_t unit, uint64_t units)
{
	return px_extents_put(&a->extents, owner, a->base + unit * PX_UNIT_BYTES,
			      units * PX_UNIT_BYTES);
}

static void get_takes_the_lowest_that_fits(void **state)
{
	struct arena a = make_arena();

	(void)state;
	assert_int_equal(get(&a, 3, 2), 0);
	assert_int_equal(get(&a, 4, 3), 2);
	assert_int_equal(get(&a, 3, 1), 5);
	assert_int_equal(give(&a, 3, 0, 2), 0);
	assert_int_equal(get(&a, 5, 1), 0);
	assert_int_equal(get(&a, 5, 2), 6);
	assert_int_equal(get(&a, 5, 1), 1);
	px_segment_detach(a.extents.segment);
}

static void get_rounds_up_to_units(void **state)
{
	struct arena a = make_arena();
	uint64_t offset, got;

	(void)state;
	assert_int_equal(px_extents_get(&a.extents, 1, 1, &offset, &got), 0);
	assert_int_equal(got, PX_UNIT_BYTES);
	assert_int_equal(px_extents_get(&a.extents, 1, PX_UNIT_BYTES + 1, &offset, &got), 0);
	assert_int_equal(got, 2 * PX_UNIT_BYTES);
	assert_int_equal(px_extents_used(&a.extents, NULL), 3 * PX_UNIT_BYTES);
	px_segment_detach(a.extents.segment);
}

static void get_more_than_there_is_says_so(void **state)
{
	struct arena a = make_arena();
	uint64_t offset = 77, got = 77;

	(void)state;
	assert_int_equal(px_extents_get(&a.extents, 1, 0, &offset, &got), PX_EINVAL);
	assert_int_equal(px_extents_get(&a.extents, 1, UINT64_MAX, &offset, &got), PX_ENOMEM);
	assert_int_equal(px_extents_get(&a.extents, 1, (UNITS + 1) * (uint64_t)PX_UNIT_BYTES,
					&offset, &got),
			 PX_ENOMEM);
	assert_words("the arena has");
	machine_put_memory(PX_UNIT_BYTES);
	assert_int_equal(px_extents_get(&a.extents, 1, 2 * PX_UNIT_BYTES, &offset, &got),
			 PX_ENOMEM);
	assert_words("the machine's");
	assert_int_equal(offset, 77);
	assert_int_equal(got, 77);
	assert_int_equal(px_extents_used(&a.extents, NULL), 0);
	px_segment_detach(a.extents.segment);
}

static void get_from_pieces_names_the_largest(void **state)
{
	struct arena a = make_arena();
	uint64_t offset, got;

	(void)state;
	get(&a, 1, UNITS);
	assert_int_equal(give(&a, 1, 0, 1), 0);
	assert_int_equal(give(&a, 1, 3, 1), 0);
	assert_int_equal(px_extents_get(&a.extents, 1, 2 * PX_UNIT_BYTES, &offset, &got),
			 PX_ENOMEM);
	assert_words("in one piece");
	px_segment_detach(a.extents.segment);
}

static void put_of_what_is_not_ones_own_takes_nothing(void **state)
{
	struct arena a = make_arena();

	(void)state;
	get(&a, 1, 2);
	get(&a, 2, 2);
	assert_int_equal(give(&a, 1, 2, 1), PX_EINVAL);
	assert_int_equal(give(&a, 1, 1, 2), PX_EINVAL);
	assert_int_equal(give(&a, 1, 7, 1), PX_EINVAL);
	assert_int_equal(give(&a, 1, 0, 0), PX_EINVAL);
	assert_int_equal(px_extents_put(&a.extents, 1, a.base + 64, PX_UNIT_BYTES), PX_EINVAL);
	assert_int_equal(px_extents_put(&a.extents, 1, a.base, PX_UNIT_BYTES - 64), PX_EINVAL);
	assert_int_equal(px_extents_put(&a.extents, 1, 0, PX_UNIT_BYTES), PX_EINVAL);
	assert_int_equal(px_extents_put(&a.extents, 1, a.base, UINT64_MAX - 4095), PX_EINVAL);
	assert_int_equal(px_extents_put(&a.extents, 1, UINT64_MAX - 4095, 8192), PX_EINVAL);
	assert_int_equal(px_extents_used(&a.extents, NULL), 4 * PX_UNIT_BYTES);
	px_segment_detach(a.extents.segment);
}

static void used_is_counted_by_member(void **state)
{
	uint64_t by_slot[PX_MEMBERS_MAX] = { 0 };
	struct arena a = make_arena();

	(void)state;
	get(&a, 1, 2);
	get(&a, 1023, 3);
	assert_int_equal(px_extents_used(&a.extents, by_slot), 5 * PX_UNIT_BYTES);
	assert_int_equal(by_slot[1], 2 * PX_UNIT_BYTES);
	assert_int_equal(by_slot[1023], 3 * PX_UNIT_BYTES);
	px_segment_detach(a.extents.segment);
}

static void granted_and_not_reserved_counts_as_used(void **state)
{
	struct arena a = make_arena();
	uint64_t head, owed;
	struct px_budget budget;
	struct stat st;

	(void)state;
	assert_int_equal(fstat(a.extents.segment->fd, &st), 0);
	head = (uint64_t)st.st_blocks * 512;
	get(&a, 1, UNITS - 1);
	owed = (UNITS - 1) * (uint64_t)PX_UNIT_BYTES;
	owed = owed > head ? owed - head : 0;
	machine_put_memory(owed);
	px_extents_budget(&a.extents, &budget);
	/* The arena has a unit left, but the machine's memory is promised to others. */
	assert_int_equal(budget.limit, PX_LIMIT_MACHINE);
	assert_int_equal(budget.have, 0);
	px_segment_detach(a.extents.segment);
}

/* --- what is touched ahead */

#define MOST (4 * (uint64_t)PX_UNIT_BYTES)

static uint64_t made_units(const struct arena *a)
{
	struct stat st;

	assert_int_equal(fstat(a->extents.segment->fd, &st), 0);
	return (uint64_t)st.st_blocks * 512 / PX_UNIT_BYTES;
}

/* As often as it does something. */
static unsigned touch(struct arena *a, uint64_t most)
{
	unsigned times = 0;

	while (px_extents_touch(&a->extents, most))
		times++;
	return times;
}

static void touch_makes_so_many_units(void **state)
{
	struct arena a = make_arena_of(20 * UNITS);
	uint64_t before = made_units(&a);

	(void)state;
	assert_int_equal(touch(&a, MOST), 4);
	assert_int_equal(made_units(&a), before + 4);
	assert_int_equal(px_extents_used(&a.extents, NULL), 0);
	assert_int_equal(touch(&a, 0), 0);
	assert_int_equal(touch(&a, PX_UNIT_BYTES - 1), 0);
	px_segment_detach(a.extents.segment);
}

static void touch_leaves_the_rest_of_little_memory(void **state)
{
	struct arena a = make_arena_of(20 * UNITS), small = make_arena_of(16);
	uint64_t head = made_units(&a) * PX_UNIT_BYTES;

	(void)state;
	machine_put_memory(2 * 16 * (uint64_t)PX_UNIT_BYTES);
	/* What it has made is no longer available. */
	for (unsigned i = 0; px_extents_touch(&a.extents, MOST); i++)
		machine_put_memory((31 - i) * (uint64_t)PX_UNIT_BYTES);
	assert_int_equal((made_units(&a) * PX_UNIT_BYTES - head) / PX_UNIT_BYTES, 2);
	machine_put_container(64 * MIB, 64 * MIB);
	assert_false(px_extents_touch(&small.extents, MOST));
	machine_put_container(10000 * MIB, 0);
	machine_put_memory(10000 * MIB);
	/* Of an arena, too, a sixteenth. */
	assert_int_equal(touch(&small, MOST), 1);
	px_segment_detach(a.extents.segment);
	px_segment_detach(small.extents.segment);
}

static void get_takes_what_was_touched(void **state)
{
	struct arena a = make_arena_of(20 * UNITS);

	(void)state;
	assert_int_equal(get(&a, 1, 2), 0);
	assert_int_equal(touch(&a, MOST), 4); /* 2 to 5 */
	assert_int_equal(give(&a, 1, 0, 2), 0);
	assert_int_equal(get(&a, 2, 1), 2);
	assert_int_equal(touch(&a, MOST), 1); /* 3 to 6 */
	assert_int_equal(get(&a, 2, 5), 3);   /* more than that */
	assert_int_equal(get(&a, 2, 1), 0);
	assert_int_equal(touch(&a, MOST), 4); /* 8 to 11 */
	assert_int_equal(get(&a, 2, 4), 8);
	assert_int_equal(get(&a, 2, 1), 1);
	px_segment_detach(a.extents.segment);
}

static void get_that_is_refused_takes_back_what_was_touched(void **state)
{
	struct arena a = make_arena_of(20 * UNITS);
	uint64_t before = made_units(&a), offset, got;

	(void)state;
	assert_int_equal(touch(&a, MOST), 4);
	machine_put_memory(0);
	assert_int_equal(px_extents_get(&a.extents, 1, MOST, &offset, &got), PX_ENOMEM);
	assert_int_equal(made_units(&a), before);
	assert_int_equal(px_extents_touch(&a.extents, MOST), false);
	machine_put_memory(10000 * MIB);
	assert_int_equal(touch(&a, MOST), 4);
	px_segment_detach(a.extents.segment);
}

static void touched_is_not_taken_for_what_was_promised(void **state)
{
	struct arena a = make_arena_of(20 * UNITS);
	struct px_budget before, after;

	(void)state;
	get(&a, 1, 8);
	px_extents_budget(&a.extents, &before);
	assert_int_equal(touch(&a, MOST), 4);
	px_extents_budget(&a.extents, &after);
	assert_int_equal(before.have, after.have);
	px_segment_detach(a.extents.segment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_is_half_of_what_is_available),
		cmocka_unit_test(get_takes_the_lowest_that_fits),
		cmocka_unit_test(get_rounds_up_to_units),
		cmocka_unit_test(get_more_than_there_is_says_so),
		cmocka_unit_test(get_from_pieces_names_the_largest),
		cmocka_unit_test(put_of_what_is_not_ones_own_takes_nothing),
		cmocka_unit_test(used_is_counted_by_member),
		cmocka_unit_test(granted_and_not_reserved_counts_as_used),
		cmocka_unit_test(touch_makes_so_many_units),
		cmocka_unit_test(touch_leaves_the_rest_of_little_memory),
		cmocka_unit_test(get_takes_what_was_touched),
		cmocka_unit_test(get_that_is_refused_takes_back_what_was_touched),
		cmocka_unit_test(touched_is_not_taken_for_what_was_promised),
	};

	return run_cases(tests, NULL, NULL);
}
