/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_storms.c - threads of one client that send, wait, cancel and take, with time limits, in a full arena,
 * while engines are killed, signals arrive, and at last the client is closed. Each result is given by
 * px_client_next() once, each wait ends, and no code is other than documented. To be run under the
 * sanitizers, too. PXRUN_STORM_S: for how many seconds.
 */
#include "tests/c/case.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/pxrun.h"

#define MILLISECOND UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define LIMIT (30 * SECOND)
#define SENDERS 4
#define ENGINES 3
/* At a time, of each sender. */
#define FLIGHT 12

static char profile[64];
static struct px_client *starter, *client;
static struct px_view *all, *any;
static _Atomic bool over, joined, closing;
static _Atomic uint32_t made, given;
static bool shared; /* who takes a result holds it as well */

static int start(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS;

	(void)state;
	snprintf(profile, sizeof(profile), "test-storms-%d", (int)getpid());
	options.profile = profile;
	options.engines = ENGINES;
	options.preload = "";
	options.restart = "always";
	options.arena_bytes = 48 << 20;
	if (px_pool_start(&options, &starter) < 0) {
		print_error("%s\n", px_last_error());
		return -1;
	}
	return 0;
}

static int stop(void **state)
{
	(void)state;
	(void)px_client_stop_pool(starter, LIMIT);
	px_client_detach(starter);
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static int storm_seconds(void)
{
	const char *text = getenv("PXRUN_STORM_S");

	return text ? atoi(text) : 4;
}

/* No cmocka in threads: its assertions jump. */
static _Noreturn void wrong(const char *what, int rc)
{
	fprintf(stderr, "%s: %d, %s\n", what, rc, px_last_error());
	abort();
}

/* A result that was sent: its sender and who takes it let go of it, the last one frees it. */
struct sent {
	struct px_result *result;
	_Atomic uint32_t holds;
	uint64_t by_ns; /* 0: it has no limit */
};

static void let_go(struct sent *sent)
{
	if (atomic_fetch_sub(&sent->holds, 1) != 1)
		return;
	px_result_free(sent->result);
	free(sent);
}

static bool one_in(unsigned *seed, int n)
{
	return rand_r(seed) % n == 0;
}

static bool is_of_entry(int rc)
{
	return rc == 0 || rc == PX_EREMOTE || rc == PX_EENGINE || rc == PX_EABORTED ||
	       rc == PX_ETIMEDOUT || rc == PX_EAGAIN || rc == PX_ENOMEM ||
	       (rc == PX_ECLOSED && atomic_load(&closing));
}

/* --- senders --- */

static int send_values(struct px_view *view, unsigned *seed, const struct px_how *how,
		       struct px_result **result)
{
	static const char *const codes[] = { "1", "import time; time.sleep(0.01)", "1 / 0",
					     "print('x' * 5000)", "import time; time.sleep(0.2)" };

	return px_view_execute(view, codes[rand_r(seed) % 5], how, result);
}

/* Three or four of them fill the arena. */
static int send_array(struct px_view *view, unsigned *seed, const struct px_how *how,
		      struct px_result **result)
{
	int64_t shape = rand_r(seed) % (1 << 20) + 1;
	struct px_array *array;
	struct px_value value;
	int rc = px_array_alloc(client, PX_DTYPE_FLOAT64, 1, &shape, 0, &array);

	if (rc < 0)
		return rc;
	value = px_of_array(array);
	rc = px_view_call(view, "builtins:id", 1, &value, NULL, how, result);
	if (rc == 0 && one_in(seed, 4)) {
		int waited = px_array_wait(array, 10 * MILLISECOND);

		if (waited < 0 && waited != PX_ETIMEDOUT && waited != PX_EINTR &&
		    !(waited == PX_ECLOSED && atomic_load(&closing)))
			wrong("px_array_wait", waited);
	}
	px_array_unref(array);
	return rc;
}

/* To an engine each, or a few items to each: a message of its own for each entry. */
static int send_each(struct px_view *view, unsigned *seed, const struct px_how *how,
		     struct px_result **result)
{
	static int64_t numbers[3000];
	int64_t shape[2] = { 1000, 3 };
	struct px_value items[40];
	struct px_array *array = NULL;
	int rc;

	for (int64_t i = 0; i < 40; i++)
		items[i] = px_int(-i);
	if (view == any || one_in(seed, 2))
		return px_view_map(view, "builtins:abs", 40, items, (size_t)rand_r(seed) % 4, how,
				   result);
	rc = px_array_wrap(numbers, PX_DTYPE_INT64, 2, shape, NULL, &array);
	if (rc == 0)
		rc = px_view_scatter(view, "part", array, rand_r(seed) % 2, PX_CYCLIC, how, result);
	px_array_unref(array);
	return rc;
}

static struct sent *send_one(unsigned *seed)
{
	struct sent *sent = calloc(1, sizeof(*sent));
	struct px_view *view = one_in(seed, 2) ? any : all;
	struct px_how how = PX_HOW;
	int rc;

	if (!sent)
		abort();
	atomic_init(&sent->holds, shared ? 2 : 1);
	how.user = sent;
	if (one_in(seed, 2))
		how.timeout_ns = (uint64_t)(rand_r(seed) % 60 + 1) * MILLISECOND;
	if (view == any)
		how.retries = (uint32_t)(rand_r(seed) % 3);
	else if (one_in(seed, 4))
		how.flags = one_in(seed, 2) ? PX_NOWAIT : PX_URGENT;
	sent->by_ns = how.timeout_ns ? now_ns() + how.timeout_ns : 0;
	rc = (one_in(seed, 3) ? send_array :
	      one_in(seed, 3) ? send_each :
				send_values)(view, seed, &how, &sent->result);
	if (rc == 0) {
		atomic_fetch_add(&made, 1);
		return sent;
	}
	if (!is_of_entry(rc) || rc == PX_EREMOTE || rc == PX_EABORTED)
		wrong("a request", rc);
	free(sent);
	return NULL;
}

static void look_at(struct sent *sent)
{
	struct px_times times = PX_TIMES;
	struct px_value value;
	char text[16];
	size_t got;

	for (size_t i = 0; i < px_result_count(sent->result); i++) {
		int number, exit_code, rc = px_result_value(sent->result, i, &value);

		if (!is_of_entry(rc))
			wrong("px_result_value", rc);
		if (rc == PX_EENGINE)
			(void)px_result_death(sent->result, i, &number, &exit_code);
		rc = px_result_times(sent->result, i, &times);
		if (rc < 0)
			wrong("px_result_times", rc);
		rc = px_result_output(sent->result, i, 1, 0, text, sizeof(text), &got);
		if (rc < 0)
			wrong("px_result_output", rc);
		(void)px_result_engine(sent->result, i);
	}
}

/* Waits for any of them; its place is free then. */
static void wait_for_one(struct sent **flight, unsigned *seed)
{
	struct px_result *results[FLIGHT];
	size_t places[FLIGHT], n = 0, which = 0;
	int rc;

	for (size_t i = 0; i < FLIGHT; i++)
		if (flight[i]) {
			places[n] = i;
			results[n++] = flight[i]->result;
		}
	if (!n)
		return;
	if (one_in(seed, 5))
		(void)px_result_cancel(results[(size_t)rand_r(seed) % n], PX_ALL_ENTRIES);
	if (one_in(seed, 5))
		(void)px_result_ready(results[0]);
	do
		rc = px_result_wait_any(results, n, LIMIT, &which);
	while (rc == PX_EINTR);
	if (rc == PX_ECLOSED && atomic_load(&closing))
		return;
	if (rc < 0)
		wrong("px_result_wait_any", rc);
	if (!px_result_ready(results[which]))
		wrong("px_result_ready", 0);
	look_at(flight[places[which]]);
	let_go(flight[places[which]]);
	flight[places[which]] = NULL;
}

static void *sender(void *ctx)
{
	unsigned seed = *(unsigned *)ctx;
	struct sent *flight[FLIGHT] = { NULL };

	while (!atomic_load(&over)) {
		for (size_t i = 0; i < FLIGHT && !atomic_load(&over); i++)
			if (!flight[i])
				flight[i] = send_one(&seed);
		wait_for_one(flight, &seed);
	}
	for (size_t i = 0; i < FLIGHT; i++) {
		int rc = 0;

		if (!flight[i])
			continue;
		do
			rc = px_result_wait(flight[i]->result, LIMIT);
		while (rc == PX_EINTR);
		if (rc < 0)
			wrong("px_result_wait", rc);
		look_at(flight[i]);
		let_go(flight[i]);
	}
	return NULL;
}

/* --- who takes, kills and signals --- */

static void *taker(void *ctx)
{
	struct px_result *result;
	int rc = 0;

	(void)ctx;
	while (!atomic_load(&joined) || (shared && atomic_load(&given) < atomic_load(&made))) {
		rc = px_client_next(client, 50 * MILLISECOND, &result);
		if (rc == PX_ECLOSED && atomic_load(&closing))
			break;
		if (rc == PX_ETIMEDOUT || rc == PX_EINTR)
			continue;
		if (rc < 0)
			wrong("px_client_next", rc);
		atomic_fetch_add(&given, 1);
		if (!shared)
			continue;
		if (!px_result_ready(result) || !px_result_user(result))
			wrong("what px_client_next() has given", 0);
		let_go(px_result_user(result));
	}
	return NULL;
}

static void *killer(void *ctx)
{
	unsigned seed = 7;

	(void)ctx;
	while (!atomic_load(&over)) {
		struct px_engine_status status = { .size = sizeof(status) };

		usleep(50000 + (unsigned)rand_r(&seed) % 200000);
		if (px_client_engine_status(starter, (uint32_t)rand_r(&seed) % ENGINES, &status) ==
			    0 &&
		    status.pid > 0)
			kill(status.pid, SIGKILL);
	}
	return NULL;
}

static pthread_t threads[SENDERS + 2];

static void *signaller(void *ctx)
{
	(void)ctx;
	while (!atomic_load(&over)) {
		for (size_t i = 0; i < SENDERS + 1; i++)
			pthread_kill(threads[i], SIGUSR1);
		usleep(2000);
	}
	return NULL;
}

static void heard(int number)
{
	(void)number;
}

static void begin_storm(bool share)
{
	struct sigaction action = { .sa_handler = heard };
	static unsigned seeds[SENDERS];

	sigaction(SIGUSR1, &action, NULL);
	atomic_store(&over, false);
	atomic_store(&joined, false);
	atomic_store(&closing, false);
	atomic_store(&made, 0);
	atomic_store(&given, 0);
	shared = share;
	assert_int_equal(px_client_attach(profile, 0, &client), 0);
	assert_int_equal(px_view_all(client, &all), 0);
	assert_int_equal(px_view_any(client, &any), 0);
	for (unsigned i = 0; i < SENDERS; i++) {
		seeds[i] = i + 1;
		pthread_create(&threads[i], NULL, sender, &seeds[i]);
	}
	pthread_create(&threads[SENDERS], NULL, taker, NULL);
}

static void end_storm(void)
{
	for (size_t i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&joined, true);
	pthread_join(threads[SENDERS], NULL);
	px_view_free(any);
	px_view_free(all);
}

static void storm_loses_no_result(void **state)
{
	pthread_t killing, signalling;

	(void)state;
	begin_storm(true);
	pthread_create(&killing, NULL, killer, NULL);
	pthread_create(&signalling, NULL, signaller, NULL);
	sleep((unsigned)storm_seconds());
	atomic_store(&over, true);
	pthread_join(killing, NULL);
	pthread_join(signalling, NULL);
	end_storm();
	px_client_detach(client);
	assert_int_equal(atomic_load(&given), atomic_load(&made));
	assert_true(made > 50);
}

/* Whoever is in whatever call returns soon, and all results are ready. */
static void close_in_a_storm_ends_every_call(void **state)
{
	pthread_t killing;
	uint64_t began;

	(void)state;
	for (unsigned i = 0; i < 2u * (unsigned)storm_seconds(); i++) {
		begin_storm(false);
		pthread_create(&killing, NULL, killer, NULL);
		usleep(50000 + i * 30000);
		atomic_store(&closing, true);
		began = now_ns();
		px_client_detach(client);
		assert_in_range(now_ns() - began, 0, 20 * SECOND);
		atomic_store(&over, true);
		pthread_join(killing, NULL);
		end_storm();
	}
}

static uint64_t free_bytes(void)
{
	struct px_status status = { .size = sizeof(status) };

	assert_int_equal(px_client_status(starter, &status), 0);
	return status.free_bytes;
}

/* All engines answer. */
static void assert_served(void)
{
	struct px_result *result;
	struct px_value value;
	struct px_view *view;

	assert_int_equal(px_view_all(starter, &view), 0);
	assert_int_equal(px_view_execute(view, "1", NULL, &result), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	for (size_t entry = 0; entry < ENGINES; entry++)
		assert_int_equal(px_result_value(result, entry, &value), 0);
	px_result_free(result);
	px_view_free(view);
}

/* The engines serve others, and its memory is given back. */
static void client_killed_in_a_storm_leaves_nothing(void **state)
{
	uint64_t before = free_bytes(), until;

	(void)state;
	for (unsigned i = 0; i < 3u * (unsigned)storm_seconds(); i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			begin_storm(false);
			pause();
		}
		usleep(100000 + i * 17000);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_served();
	}
	/* But for what engines keep warm. */
	until = now_ns() + LIMIT;
	while (free_bytes() + (8 << 20) < before && now_ns() < until)
		usleep(10000);
	assert_true(free_bytes() + (8 << 20) >= before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(storm_loses_no_result),
		cmocka_unit_test(close_in_a_storm_ends_every_call),
		cmocka_unit_test(client_killed_in_a_storm_leaves_nothing),
	};

	return run_cases(tests, start, stop);
}
