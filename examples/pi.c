/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pi.c - integrates 4 / (1 + x^2) from 0 to 1 on four Python engines, from C.
 *
 *     cc pi.c $(pkg-config --cflags --libs pxrun) -lm && ./a.out
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <pxrun.h>

#define ENGINES 4
#define STEPS 2000000

/* Runs on the engines: the midpoint rule for the steps first, first + stride, ... */
static const char integrate[] = "def integrate(first, stride, steps):\n"
				"    total = 0.0\n"
				"    for i in range(first, steps, stride):\n"
				"        x = (i + 0.5) / steps\n"
				"        total += 4.0 / (1.0 + x * x)\n"
				"    return total / steps\n";

/* Ends the program with the words of what went wrong. */
static void check(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "pi: %s: %s\n", what, px_last_error());
	exit(1);
}

/* Defines the function in the namespace of every engine. */
static void define(struct px_client *client)
{
	struct px_view *all;
	struct px_result *result;
	struct px_value value;

	check(px_view_all(client, &all), "making a view of all engines");
	check(px_view_execute(all, integrate, NULL, &result), "sending the function");
	check(px_result_wait(result, PX_FOREVER), "waiting for the function");
	for (size_t i = 0; i < px_result_count(result); i++)
		check(px_result_value(result, i, &value), "defining the function");
	px_result_free(result);
	px_view_free(all);
}

/* Asks one engine for its part; the answer comes later. */
static struct px_result *begin(struct px_client *client, uint32_t engine, int64_t first)
{
	const struct px_value arguments[] = { px_int(first), px_int(ENGINES), px_int(STEPS) };
	struct px_result *result;
	struct px_view *one;

	check(px_view_of(client, &engine, 1, &one), "making a view of one engine");
	check(px_view_call(one, "integrate", 3, arguments, NULL, NULL, &result),
	      "calling integrate()");
	px_view_free(one);
	return result;
}

static double finish(struct px_result *result)
{
	struct px_value value;

	check(px_result_wait(result, PX_FOREVER), "waiting for integrate()");
	check(px_result_value(result, 0, &value), "integrate()");
	printf("  engine %u: %.12f\n", px_result_engine(result, 0), value.as.real);
	px_result_free(result);
	return value.as.real;
}

int main(void)
{
	struct px_pool_options options = PX_POOL_OPTIONS;
	struct px_result *parts[ENGINES];
	uint32_t engines[ENGINES];
	struct px_client *client;
	double pi = 0;

	options.profile = ""; /* a pool for this program alone */
	options.engines = ENGINES;
	check(px_pool_start(&options, &client), "starting a pool");
	check(px_client_engines(client, engines, ENGINES), "asking for the engines");
	define(client);
	for (int i = 0; i < ENGINES; i++)
		parts[i] = begin(client, engines[i], i);
	for (int i = 0; i < ENGINES; i++)
		pi += finish(parts[i]);
	px_client_detach(client);

	printf("pi = %.12f, error %.1e\n", pi, fabs(pi - M_PI));
	return fabs(pi - M_PI) < 1e-9 ? 0 : 1;
}
