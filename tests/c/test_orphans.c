/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_orphans.c - what engines left behind ends with the pool.
 */
#include "tests/c/pool.h"

#include <signal.h>
#include <stdlib.h>

#include "shm/os.h"

static void daemon_of_a_dead_engine_is_named_and_ended_by_stop(void **state)
{
	struct pool *pool = *state;
	struct attached a;

	setenv("FAKE_ENGINE", "daemon", 1);
	start(pool);
	a = attach(pool);
	assert_false(logged(pool, "left behind"));
	kill(engine_pid(a.segment, 0), SIGKILL);
	await_log(pool,
		  "(left-behind) was left behind by an engine: it is ended when the pool stops");
	await_generation(&a, 0, 1);
	detach(&a);
	stop(pool);
}

static void daemon_that_does_not_end_is_killed(void **state)
{
	struct pool *pool = *state;
	uint64_t before;

	setenv("FAKE_ENGINE", "deaf", 1);
	start(pool);
	before = px_os.now_ns();
	stop(pool);
	assert_true(px_os.now_ns() - before >= 1900 * MS);
}

static void daemon_is_killed_at_once_by_a_second_stop(void **state)
{
	struct pool *pool = *state;
	uint64_t before;

	setenv("FAKE_ENGINE", "deaf", 1);
	start(pool);
	before = px_os.now_ns();
	kill(pool->supervisor, SIGINT);
	await_log(pool, "(left-behind), which an engine left behind, is ended");
	kill(pool->supervisor, SIGINT);
	assert_int_equal(supervisor_exit(pool), 0);
	assert_true(px_os.now_ns() - before < 1900 * MS);
	assert_nothing_left(pool);
}

int main(void)
{
	static const struct CMUnitTest cases[] = {
		POOL_CASE(daemon_of_a_dead_engine_is_named_and_ended_by_stop),
		POOL_CASE(daemon_that_does_not_end_is_killed),
		POOL_CASE(daemon_is_killed_at_once_by_a_second_stop),
	};

	return run_pool_cases(cases);
}
