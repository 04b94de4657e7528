/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_backoff.c - delays before the next start, with a scripted clock.
 */
#include "tests/c/case.h"

#include "shm/os.h"
#include "supervisor/backoff.h"

#define MS UINT64_C(1000000)

static uint64_t now;

static uint64_t read_now(void)
{
	return now;
}

static int setup(void **state)
{
	(void)state;
	now = 1000000 * MS;
	px_os.now_ns = read_now;
	return 0;
}

static void deaths_in_a_row_double_the_delay(void **state)
{
	static const uint64_t expected[] = {
		0, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000
	};
	uint32_t failures = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_int_equal(px_backoff_ns(&failures, now - 9999 * MS), expected[i] * MS);
}

static void death_long_after_its_start_begins_anew(void **state)
{
	uint32_t failures = 0;

	(void)state;
	for (int i = 0; i < 5; i++)
		(void)px_backoff_ns(&failures, now);
	assert_int_equal(px_backoff_ns(&failures, now - 10000 * MS), 0);
	assert_int_equal(failures, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(deaths_in_a_row_double_the_delay, setup),
		cmocka_unit_test_setup(death_long_after_its_start_begins_anew, setup),
	};

	return run_cases(tests, NULL, NULL);
}
