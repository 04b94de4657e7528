/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/c/case.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "link/place.h"

#define SHORT_NS 50000
#define CALLS 1000 /* in a row: more than enough */
#define ENGINES 8

/* As much of a segment as is looked at. */
static struct px_header_shm header;
static struct px_engine_shm engines[ENGINES];
static struct px_doorbell_shm bells[ENGINES + 1];
static struct px_segment segment = { .header = &header, .engines = engines, .bells = bells };
static struct px_doorbell_shm *const caller = &bells[ENGINES];
static cpu_set_t ours;

static uint32_t here(void)
{
	return (uint32_t)sched_getcpu() + 1;
}

static int fresh(void **state)
{
	(void)state;
	memset(bells, 0, sizeof(bells));
	for (uint32_t id = 0; id < ENGINES; id++)
		atomic_store(&engines[id].slot, id);
	atomic_store(&header.engines_count, 1);
	return sched_getaffinity(0, sizeof(ours), &ours);
}

static void need_processors(void)
{
	if (CPU_COUNT(&ours) < 2)
		skip();
}

static bool is_as_free_as_before(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_EQUAL(&set, &ours);
}

/* Engine `id` waits and works, so long; the caller is on its processor, or not. Whether it has moved. */
static bool is_moved(uint32_t id, uint64_t wait_ns, uint64_t work_ns, bool together)
{
	struct px_place place = { .caller = caller };
	uint64_t now = UINT64_C(1000000000);
	uint32_t elsewhere = here() % (uint32_t)CPU_COUNT(&ours) + 1;
	bool moved = false;

	for (int i = 0; i < CALLS && !moved; i++) {
		uint32_t before = here();

		atomic_store(&caller->place, together ? before : elsewhere);
		px_place_begin(&place, &segment, &bells[id], now, SHORT_NS);
		assert_int_not_equal(atomic_load(&bells[id].place), 0);
		moved = here() != before;
		px_place_end(&place, now, now + wait_ns, SHORT_NS);
		now += wait_ns + work_ns;
	}
	assert_true(is_as_free_as_before());
	return moved;
}

/* The scheduler moves us now and then, but not each time. */
static void assert_stays(uint32_t id, uint64_t wait_ns, uint64_t work_ns, bool together)
{
	for (int i = 0; i < 10; i++)
		if (!is_moved(id, wait_ns, work_ns, together))
			return;
	fail_msg("it has moved each time");
}

static void begin_with_caller_here_moves_aside(void **state)
{
	(void)state;
	need_processors();
	assert_true(is_moved(0, 1000, 1000, true));
}

static void begin_with_caller_elsewhere_stays(void **state)
{
	(void)state;
	need_processors();
	assert_stays(0, 1000, 1000, false);
}

static void begin_after_long_work_stays(void **state)
{
	(void)state;
	assert_stays(0, 1000, 2 * SHORT_NS, true);
}

static void begin_after_long_wait_stays(void **state)
{
	(void)state;
	assert_stays(0, 10 * SHORT_NS, 1000, true);
}

static void begin_of_client_says_where_and_stays(void **state)
{
	struct px_place place = { 0 };

	(void)state;
	for (uint64_t now = 1; now < CALLS; now++)
		px_place_begin(&place, &segment, &bells[0], now, SHORT_NS);
	assert_in_range(atomic_load(&bells[0].place), 1, CPU_SETSIZE);
	assert_true(is_as_free_as_before());
}

/* So many are awake here that one may stay. */
static void crowd(uint32_t count)
{
	atomic_store(&header.engines_count, count);
	for (uint32_t id = 0; id < count; id++)
		atomic_store(&bells[id].place, here());
}

static void begin_in_a_crowd_keeps_the_first(void **state)
{
	uint32_t count = 2 * (uint32_t)CPU_COUNT(&ours) - 1;

	(void)state;
	need_processors();
	if (count > ENGINES)
		skip();
	crowd(count);
	assert_stays(0, 1000, 1000, true);
	crowd(count);
	assert_true(is_moved(1, 1000, 1000, true));
}

static void begin_with_others_asleep_does_not_count_them(void **state)
{
	uint32_t count = 2 * (uint32_t)CPU_COUNT(&ours) - 1;

	(void)state;
	need_processors();
	if (count > ENGINES)
		skip();
	crowd(count);
	for (uint32_t id = 1; id < count; id++)
		atomic_store(&bells[id].asleep, 1);
	assert_true(is_moved(0, 1000, 1000, true));
}

static void begin_on_the_only_processor_stays(void **state)
{
	(void)state;
	CPU_ZERO(&ours);
	CPU_SET((int)here() - 1, &ours);
	assert_int_equal(sched_setaffinity(0, sizeof(ours), &ours), 0);
	assert_stays(0, 1000, 1000, true);
}

#define CASE(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(begin_with_caller_here_moves_aside),
		CASE(begin_with_caller_elsewhere_stays),
		CASE(begin_after_long_work_stays),
		CASE(begin_after_long_wait_stays),
		CASE(begin_of_client_says_where_and_stays),
		CASE(begin_in_a_crowd_keeps_the_first),
		CASE(begin_with_others_asleep_does_not_count_them),
		CASE(begin_on_the_only_processor_stays),
	};

	return run_cases(tests, NULL, NULL);
}
