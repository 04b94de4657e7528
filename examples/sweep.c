/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweep.c - how many steps of the rule of Collatz each number needs to come down to 1, for the first
 * million of them, from C: uneven tasks on whichever engine is idle, and arrays that come back.
 *
 *     cc sweep.c $(pkg-config --cflags --libs pxrun) && ./a.out
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pxrun.h>

#define ENGINES 4
#define NUMBERS 1000000
#define TASKS 64 /* more than engines by far, for numbers that take long lie together */

/* Runs on the engines: an array of the steps of first, first + 1, ... */
static const char definition[] = "import numpy\n"
				 "def steps(first, count):\n"
				 "    number = numpy.arange(first, first + count)\n"
				 "    result = numpy.zeros(count, numpy.int32)\n"
				 "    left = numpy.flatnonzero(number > 1)\n"
				 "    while len(left):\n"
				 "        n = number[left]\n"
				 "        number[left] = numpy.where(n % 2, 3 * n + 1, n // 2)\n"
				 "        result[left] += 1\n"
				 "        left = left[number[left] > 1]\n"
				 "    return result\n";

/* The numbers of one task, and where its answer goes. */
struct part {
	int64_t first, count;
	int32_t *steps;
};

/* Ends the program with the words of what went wrong. */
static void check(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "sweep: %s: %s\n", what, px_last_error());
	exit(1);
}

/* Defines the function in the namespace of every engine. */
static void define(struct px_client *client)
{
	struct px_view *all;
	struct px_result *result;
	struct px_value value;

	check(px_view_all(client, &all), "making a view of all engines");
	check(px_view_execute(all, definition, NULL, &result), "sending the function");
	check(px_result_wait(result, PX_FOREVER), "waiting for the function");
	for (size_t i = 0; i < px_result_count(result); i++)
		check(px_result_value(result, i, &value), "defining the function");
	px_result_free(result);
	px_view_free(all);
}

/* Posts a task for each part. A result leads to its part, for they come in any order. */
static void post(struct px_view *any, struct part *parts, int32_t *steps)
{
	for (int i = 0; i < TASKS; i++) {
		struct px_how how = PX_HOW;
		struct px_result *result;

		parts[i].first = 1 + (int64_t)NUMBERS * i / TASKS;
		parts[i].count = 1 + (int64_t)NUMBERS * (i + 1) / TASKS - parts[i].first;
		parts[i].steps = steps + parts[i].first - 1;
		how.user = &parts[i];
		how.retries = 1; /* an engine may die */
		check(px_view_call(any, "steps", 2,
				   (struct px_value[]){ px_int(parts[i].first),
							px_int(parts[i].count) },
				   NULL, &how, &result),
		      "posting a task");
	}
}

/* Takes the result that is ready next. Returns the engine's id. */
static uint32_t take(struct px_client *client)
{
	struct px_result *result;
	struct px_array *array;
	struct part *part;
	uint32_t engine;

	check(px_client_next(client, PX_FOREVER, &result), "waiting for a task");
	check(px_result_array(result, 0, &array), "steps()");
	part = px_result_user(result);
	memcpy(part->steps, px_array_data(array), (size_t)part->count * sizeof(*part->steps));
	engine = px_result_engine(result, 0);
	px_array_unref(array);
	px_result_free(result);
	return engine;
}

int main(void)
{
	static int32_t steps[NUMBERS];
	struct px_pool_options options = PX_POOL_OPTIONS;
	int done[ENGINES] = { 0 }, longest = 0;
	struct part parts[TASKS];
	struct px_client *client;
	struct px_view *any;

	options.profile = ""; /* a pool for this program alone */
	options.engines = ENGINES;
	check(px_pool_start(&options, &client), "starting a pool");
	define(client);
	check(px_view_any(client, &any), "making a load-balanced view");
	post(any, parts, steps);
	for (int i = 0; i < TASKS; i++)
		done[take(client) % ENGINES]++;
	px_view_free(any);
	px_client_detach(client);

	for (int i = 0; i < ENGINES; i++)
		printf("  engine %d: %d tasks\n", i, done[i]);
	for (int i = 1; i < NUMBERS; i++)
		longest = steps[i] > steps[longest] ? i : longest;
	printf("of the first %d, %d needs the most steps: %d\n", NUMBERS, longest + 1,
	       steps[longest]);
	/* as is known: https://oeis.org/A006877 */
	return longest + 1 == 837799 && steps[longest] == 524 ? 0 : 1;
}
