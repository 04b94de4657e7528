/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native.c - times calls of native functions from C, for workloads.py.
 *
 *	native KERNELS.so hot|quiet|flight|asleep|hosted|python|noop N [PAUSE_US]
 *
 * Prints the time of a call in us, to an engine without an interpreter. hot: one after the other; quiet: the same with PX_QUIET; flight: 64
 * at a time; asleep: after pauses in which the engine falls asleep; noop: as hot, of a request that does
 * nothing. To one with an interpreter: hosted: as hot; python: likewise, of a Python function that does nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/pxrun.h"

#define FLIGHT 64

static struct px_client *client;
static struct px_view *one;
static struct px_kernel *kernel;

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void check(int rc)
{
	if (rc < 0) {
		fprintf(stderr, "%s\n", px_last_error());
		exit(1);
	}
}

static struct px_result *submit(const char *what)
{
	struct px_how how = PX_HOW;
	struct px_result *result;

	how.flags = strcmp(what, "quiet") ? 0 : PX_QUIET;
	if (!strcmp(what, "python"))
		check(px_view_call(one, "builtins:bool", 0, NULL, NULL, NULL, &result));
	else if (!strcmp(what, "noop"))
		check(px_view_noop(one, NULL, &result));
	else
		check(px_view_call_native(one, kernel, 0, NULL, &how, &result));
	return result;
}

static void finish(struct px_result *result)
{
	check(px_result_wait(result, PX_FOREVER));
	px_result_free(result);
}

static double hot(const char *what, long n)
{
	double began = now_us();

	for (long i = 0; i < n; i++)
		finish(submit(what));
	return (now_us() - began) / (double)n;
}

static double flight(long n)
{
	struct px_result *out[FLIGHT] = { NULL };
	double began = now_us();

	for (long i = 0; i < n; i++) {
		if (out[i % FLIGHT])
			finish(out[i % FLIGHT]);
		out[i % FLIGHT] = submit("native");
	}
	for (int i = 0; i < FLIGHT; i++)
		if (out[i])
			finish(out[i]);
	return (now_us() - began) / (double)n;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median. */
static double asleep(long n, long pause_us)
{
	struct timespec pause = { pause_us / 1000000, pause_us % 1000000 * 1000 };
	double *times = calloc((size_t)n, sizeof(double)), median;

	for (long i = 0; times && i < n; i++) {
		double began;

		nanosleep(&pause, NULL);
		began = now_us();
		finish(submit("native"));
		times[i] = now_us() - began;
	}
	if (!times)
		exit(1);
	qsort(times, (size_t)n, sizeof(double), by_size);
	median = times[n / 2];
	free(times);
	return median;
}

int main(int argc, char **argv)
{
	struct px_pool_options options = PX_POOL_OPTIONS;
	struct px_library *library;
	long n = argc > 3 ? atol(argv[3]) : 0;
	const char *how = argc > 3 ? argv[2] : "";
	double us;

	if (n < 1) {
		fprintf(stderr,
			"usage: native KERNELS.so hot|flight|asleep|hosted|python|noop N [PAUSE_US]\n");
		return 2;
	}
	options.profile = "";
	options.engines = 1;
	options.native = strcmp(how, "python") && strcmp(how, "hosted");
	check(px_pool_start(&options, &client));
	check(px_view_all(client, &one));
	check(px_library_load(one, argv[1], PX_FOREVER, &library));
	check(px_kernel_find(library, "nothing", &kernel));
	(void)hot(how, n < 1000 ? n : 1000);
	if (!strcmp(how, "asleep"))
		us = asleep(n, argc > 4 ? atol(argv[4]) : 5000);
	else if (!strcmp(how, "flight"))
		us = flight(n);
	else
		us = hot(how, n);
	printf("%.3f\n", us);
	px_library_free(library);
	px_view_free(one);
	px_client_detach(client);
	return 0;
}
