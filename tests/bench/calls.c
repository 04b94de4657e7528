/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * calls.c - what a request costs from C. Prints lines "name value":
 *   noop_hot_ns, call_hot_ns   median round trip to one engine that spins
 *   queue_s                    1,000,000 requests queued, in seconds
 *   drain_s                    from the first of them to the last reply read
 *   kept_mib                   shared memory still held afterwards
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/pxrun.h"

#define ROUNDS 100001
#define QUEUED 1000000

static void must(int rc, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", what, px_last_error());
		exit(1);
	}
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int noop(struct px_view *view, struct px_result **result)
{
	return px_view_noop(view, NULL, result);
}

static int call(struct px_view *view, struct px_result **result)
{
	return px_view_call(view, "functions:noop", 0, NULL, NULL, NULL, result);
}

static void hot(const char *name, struct px_view *view,
		int (*request)(struct px_view *, struct px_result **))
{
	static int64_t times[ROUNDS];
	struct px_result *result;
	struct px_value value;

	for (int i = 0; i < ROUNDS; i++) {
		int64_t start = now();
		must(request(view, &result), name);
		must(px_result_wait(result, PX_FOREVER), name);
		times[i] = now() - start;
		must(px_result_value(result, 0, &value), name);
		px_result_free(result);
	}
	qsort(times, ROUNDS, sizeof(times[0]), by_size);
	printf("%s %lld\n", name, (long long)times[ROUNDS / 2]);
}

static void queue(struct px_client *client, struct px_view *view)
{
	struct px_result **results = calloc(QUEUED, sizeof(*results));
	int64_t start = now();
	char *status;

	if (!results)
		exit(1);
	for (int i = 0; i < QUEUED; i++)
		must(px_view_noop(view, NULL, &results[i]), "queueing");
	printf("queue_s %.3f\n", (double)(now() - start) / 1e9);
	sleep(2); /* the client sleeps while the engine works through all of them */
	for (int i = 0; i < QUEUED; i++) {
		must(px_result_wait(results[i], PX_FOREVER), "reading");
		px_result_free(results[i]);
	}
	printf("drain_s %.3f\n", (double)(now() - start) / 1e9);
	px_client_trim(client);
	must(px_client_status_json(client, &status), "status");
	printf("status %s\n", status);
	free(status);
	free(results);
}

int main(void)
{
	struct px_pool_options options = PX_POOL_OPTIONS;
	struct px_client *client;
	struct px_view *view;

	options.profile = "";
	options.engines = 1;
	must(px_pool_start(&options, &client), "starting a pool");
	must(px_view_of(client, (uint32_t[]){ 0 }, 1, &view), "a view");
	hot("noop_hot_ns", view, noop);
	hot("call_hot_ns", view, call);
	queue(client, view);
	px_view_free(view);
	px_client_detach(client);
	return 0;
}
