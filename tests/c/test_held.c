/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_held.c - holds more arrays than there are leases between two members, from C.
 */
#include "tests/c/case.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/pxrun.h"

#define HELD 3000
#define N 9000
#define LIMIT UINT64_C(60000000000)

static struct px_client *client;
static struct px_view *view;
static double data[N];

static int start(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS;

	(void)state;
	options.profile = "";
	options.engines = 1;
	options.preload = "";
	if (px_pool_start(&options, &client) < 0) {
		print_error("%s\n", px_last_error());
		return -1;
	}
	return px_view_all(client, &view);
}

static int stop(void **state)
{
	(void)state;
	px_view_free(view);
	px_client_detach(client);
	return 0;
}

static void push(const char *name, int number)
{
	const int64_t shape[] = { N };
	struct px_array *array;

	assert_int_equal(px_array_wrap(data, PX_DTYPE_FLOAT64, 1, shape, NULL, &array), 0);
	struct px_value value = px_of_array(array);

	data[0] = data[N - 1] = number;
	if (px_view_push(view, name, &value, NULL, NULL) < 0)
		fail_msg("%s %d: %s", name, number, px_last_error());
	px_array_unref(array);
}

static struct px_value value_of(struct px_result *result)
{
	struct px_value value;

	assert_int_equal(px_result_wait(result, LIMIT), 0);
	if (px_result_value(result, 0, &value) < 0)
		fail_msg("%s", px_last_error());
	return value;
}

static void engine_holds_any_number(void **state)
{
	struct px_result *result;
	char name[16];

	(void)state;
	for (int i = 0; i < HELD; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		push(name, i);
	}
	assert_int_equal(
		px_view_execute(view,
				"sum(globals()['a%d' % i][0] != i or globals()['a%d' % i][-1] != i "
				"for i in range(3000))",
				NULL, &result),
		0);
	assert_string_equal(value_of(result).as.text.data, "0");
	px_result_free(result);
}

static void client_holds_any_number(void **state)
{
	struct px_result **results = calloc(HELD, sizeof(*results));

	(void)state;
	for (int i = 0; i < HELD; i++) {
		push("a", i);
		assert_int_equal(px_view_pull(view, "a", NULL, &results[i]), 0);
	}
	for (int i = 0; i < HELD; i++) {
		const double *back = px_array_data(value_of(results[i]).as.array);

		assert_true(back[0] == i && back[N - 1] == i);
	}
	for (int i = 0; i < HELD; i++)
		px_result_free(results[i]);
	free(results);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engine_holds_any_number),
		cmocka_unit_test(client_holds_any_number),
	};

	return run_cases(tests, start, stop);
}
