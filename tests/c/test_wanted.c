/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_wanted.c - two clients of a pool whose arena is too small for both: what one keeps warm is the other's.
 */
#include "tests/c/case.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "client/internal.h"
#include "client/pxrun.h"

#define MIB (INT64_C(1) << 20)
#define SECOND UINT64_C(1000000000)
#define LIMIT (60 * SECOND)

static struct px_client *starter, *other;
static char profile[64];

static int start(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS;

	(void)state;
	snprintf(profile, sizeof(profile), "test-wanted-%d", (int)getpid());
	options.profile = profile;
	options.engines = 1;
	options.preload = "";
	options.arena_bytes = 32 * MIB;
	if (px_pool_start(&options, &starter) < 0 || px_client_attach(profile, LIMIT, &other) < 0) {
		print_error("%s\n", px_last_error());
		return -1;
	}
	return 0;
}

static int stop(void **state)
{
	(void)state;
	px_client_detach(other);
	(void)px_client_stop_pool(starter, LIMIT);
	px_client_detach(starter);
	return 0;
}

static int allocate(struct px_client *client, int64_t mib, struct px_array **out)
{
	return px_array_alloc(client, PX_DTYPE_UINT8, 1, (int64_t[]){ mib * MIB }, 0, out);
}

/* Waits, as long as the engine works, for an answer. */
static void *wait_for_answer(void *result)
{
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	return NULL;
}

static void a_client_that_waits_gives_back_what_it_keeps_warm(void **state)
{
	struct px_result *result;
	struct px_array *array;
	struct px_view *view;
	pthread_t waiter;

	(void)state;
	assert_int_equal(allocate(starter, 20, &array), 0);
	px_array_unref(array);
	assert_int_equal(px_view_all(starter, &view), 0);
	assert_int_equal(px_view_execute(view, "import threading; gate = threading.Event()", NULL,
					 &result),
			 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	px_result_free(result);
	assert_int_equal(px_view_execute(view, "gate.wait(100)", NULL, &result), 0);
	assert_int_equal(pthread_create(&waiter, NULL, wait_for_answer, result), 0);
	/* Before it waits it cannot help. */
	while (allocate(other, 24, &array) < 0)
		assert_int_equal(px_last_code(), PX_ENOMEM);
	px_array_unref(array);
	(void)px_client_trim(other);
	assert_int_equal(px_client_signal(starter, 0, SIGINT, 0), 0);
	pthread_join(waiter, NULL);
	px_result_free(result);
	px_view_free(view);
}

static uint64_t wishes(void)
{
	return atomic_load(&starter->endpoint->segment->header->wanted_seq);
}

/* Each wish wakes all: who is refused again and again must not. */
static void what_cannot_be_had_is_wished_for_again_when_something_was_returned(void **state)
{
	struct px_array *kept, *array, *small;
	uint64_t before = wishes();

	(void)state;
	assert_int_equal(allocate(starter, 20, &kept), 0);
	assert_int_equal(allocate(starter, 4, &small), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(allocate(other, 24, &array), PX_ENOMEM);
	assert_int_equal(wishes(), before + 1);
	px_array_unref(small);
	assert_true(px_client_trim(starter) >= 4 * MIB);
	for (int i = 0; i < 100; i++)
		assert_int_equal(allocate(other, 24, &array), PX_ENOMEM);
	assert_int_equal(wishes(), before + 2);
	px_array_unref(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_that_waits_gives_back_what_it_keeps_warm),
		cmocka_unit_test(
			what_cannot_be_had_is_wished_for_again_when_something_was_returned),
	};

	return run_cases(tests, start, stop);
}
