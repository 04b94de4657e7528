/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_client_threads.c - what several threads may do with the handles of one client, and what
 * they get when another one closes it. To be run under a thread sanitizer, too.
 */
#include "tests/c/case.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "shm/error.h"

#define SECOND UINT64_C(1000000000)
#define LIMIT (30 * SECOND)
#define ROUNDS 30

static char profile[64];
static struct px_client *starter;

static int start(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS;

	(void)state;
	snprintf(profile, sizeof(profile), "test-client-threads-%d", (int)getpid());
	options.profile = profile;
	options.engines = 2;
	options.preload = "";
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

/* --- calls of all kinds, until the client is closed --- */

static struct px_client *client;
static struct px_view *all, *one;
static struct px_result *shared; /* which threads ask at once */
static double numbers[20000];
static _Atomic uint32_t calls;

static struct px_array *array;

/* Waits for a result and looks at all there is. The first failure that is not the engines'. */
static int take(struct px_result *result)
{
	struct px_value value;
	int rc = px_result_wait(result, LIMIT);

	for (size_t i = 0; rc == 0 && i < px_result_count(result); i++) {
		char text[16];
		size_t got;

		rc = px_result_value(result, i, &value);
		if (rc == PX_EREMOTE || rc == PX_EENGINE)
			rc = px_result_error(result, i, NULL, NULL, NULL) == PX_ECLOSED ?
				     PX_ECLOSED :
				     0;
		if (rc == 0)
			rc = px_result_output(result, i, 1, 0, text, sizeof(text), &got);
	}
	px_result_free(result);
	return rc;
}

static int call_noop(void)
{
	struct px_result *result;
	int rc = px_view_noop(all, NULL, &result);

	return rc < 0 ? rc : take(result);
}

static int call_with_array(void)
{
	struct px_value argument = px_of_array(array);
	struct px_result *result;
	int rc = px_view_call(one, "builtins:len", 1, &argument, NULL, NULL, &result);

	return rc < 0 ? rc : take(result);
}

static int call_push_and_pull(void)
{
	struct px_value value = px_of_array(array);
	struct px_result *result;
	int rc = px_view_push(all, "pushed", &value, NULL, NULL);

	if (rc == 0)
		rc = px_view_pull(one, "pushed", NULL, &result);
	return rc < 0 ? rc : take(result);
}

static int call_print(void)
{
	struct px_result *result;
	int rc = px_view_execute(all, "print('abc' * 10)", NULL, &result);

	if (rc < 0)
		return rc;
	while (!px_result_ready(result)) {
		char text[8];
		size_t got;

		if (px_result_output(result, 0, 1, 0, text, sizeof(text), &got) < 0)
			return PX_ECORRUPT;
	}
	return take(result);
}

static int call_abort(void)
{
	struct px_result *result;
	int rc = px_view_execute(one, "import time; time.sleep(0.001)", NULL, &result);

	if (rc < 0)
		return rc;
	(void)px_result_abort(result);
	rc = px_result_wait(result, LIMIT);
	px_result_free(result);
	return rc;
}

static int call_views(void)
{
	struct px_view *view;
	uint32_t ids[4];
	int rc = px_client_engines(client, ids, 4);

	if (rc >= 0)
		rc = px_view_of(client, ids, 1, &view);
	if (rc == 0)
		px_view_free(view);
	return rc;
}

static int call_supervisor(void)
{
	char *json;
	int rc = px_client_status_json(client, &json);

	if (rc == 0)
		free(json);
	return rc == 0 ? px_client_signal(client, 0, SIGCONT, 0) : rc;
}

static int call_memory(void)
{
	struct px_arena_usage usage;
	int rc = px_client_usage(client, &usage);

	(void)px_client_trim(client);
	if (rc == 0)
		rc = px_client_poll(client);
	return rc;
}

static int call_idle(void)
{
	uint32_t counts[PX_ENGINES_MAX], taken[PX_ENGINES_MAX + 1];
	int rc = px_client_queued(client, counts, taken);

	if (rc == 0)
		rc = px_client_wait_idle(client, SECOND / 1000);
	return rc == PX_ETIMEDOUT ? 0 : rc;
}

/* Results of other threads, which free them. */
static int call_next(void)
{
	struct px_result *result;
	int rc = px_client_next(client, SECOND / 1000, &result);

	return rc == PX_ETIMEDOUT ? 0 : rc;
}

static int call_next_look(void)
{
	struct px_result *result;
	int rc = px_client_next(client, 0, &result);

	return rc == PX_ETIMEDOUT ? 0 : rc;
}

static int call_fd(void)
{
	int rc = px_client_fd(client);

	return rc < 0 ? rc : px_client_poll(client);
}

static int call_shared(void)
{
	struct px_value value;
	int rc = px_result_value(shared, 0, &value);

	if (rc == 0 &&
	    (value.type != PX_LIST || strcmp(value.as.list.items[1].as.text.data, "two") != 0))
		return PX_ECORRUPT;
	/* What came before the client was closed stays readable. */
	return rc < 0 ? rc : px_client_poll(client);
}

static int (*const kinds[])(void) = { call_noop,  call_with_array, call_push_and_pull, call_print,
				      call_abort, call_views,      call_supervisor,    call_memory,
				      call_idle,  call_fd,         call_shared,        call_noop,
				      call_next,  call_next,       call_next_look };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* The code that ended it. */
static void *caller(void *ctx)
{
	int (*const *kind)(void) = ctx;
	int rc = 0;

	while (rc >= 0) {
		rc = (*kind)();
		atomic_fetch_add(&calls, 1);
	}
	return (void *)(intptr_t)rc;
}

static void attach(void)
{
	assert_int_equal(px_array_wrap(numbers, PX_DTYPE_FLOAT64, 1, (int64_t[]){ 20000 }, NULL,
				       &array),
			 0);
	assert_int_equal(px_client_attach(profile, 0, &client), 0);
	assert_int_equal(px_view_all(client, &all), 0);
	assert_int_equal(px_view_of(client, (uint32_t[]){ 1 }, 1, &one), 0);
	assert_int_equal(px_view_execute(one, "def two(): print('p'); return [1, 'two']", NULL,
					 NULL),
			 0);
	assert_int_equal(px_view_call(one, "two", 0, NULL, NULL, NULL, &shared), 0);
	assert_int_equal(px_result_wait(shared, LIMIT), 0);
}

static void free_rest(void)
{
	px_array_unref(array);
	px_result_free(shared);
	px_view_free(all);
	px_view_free(one);
}

static void close_while_all_kinds_of_calls_run(void **state)
{
	pthread_t threads[KINDS];
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		/* At moments that are not always the same, the first of all included. */
		uint32_t before, wanted = (uint32_t)rand_r(&seed) % 100;

		attach();
		before = atomic_load(&calls);
		for (size_t i = 0; i < KINDS; i++)
			pthread_create(&threads[i], NULL, caller, (void *)(uintptr_t)&kinds[i]);
		while (atomic_load(&calls) - before < wanted)
			sched_yield();
		px_client_detach(client);
		for (size_t i = 0; i < KINDS; i++) {
			void *ended;

			pthread_join(threads[i], &ended);
			if ((intptr_t)ended != PX_ECLOSED)
				fail_msg("kind %zu in round %d: %d", i, round,
					 (int)(intptr_t)ended);
		}
		assert_int_equal(px_client_poll(client), PX_ECLOSED);
		assert_int_equal(px_view_noop(all, NULL, NULL), PX_ECLOSED);
		free_rest();
	}
}

/* --- one thing that waits, closed --- */

static void *wait_for_ever(void *ctx)
{
	struct px_result *result = ctx;
	struct px_value value;

	return (void *)(intptr_t)(px_result_wait(result, PX_FOREVER) == 0 ?
					  px_result_value(result, 0, &value) :
					  1);
}

static void *restart(void *ctx)
{
	(void)ctx;
	return (void *)(intptr_t)px_client_restart_engine(client, 0, 0);
}

static void *stop_waiting(void *ctx)
{
	(void)ctx;
	return (void *)(intptr_t)px_client_wait_idle(client, PX_FOREVER);
}

/* The engine is stopped: nothing answers, and no engine is started anew, until it goes on. */
static void close_ends_what_waits_for_engines_and_supervisor(void **state)
{
	void *(*const waits[])(void *) = { wait_for_ever, restart, stop_waiting };
	struct px_result *result;
	struct px_value value;
	pthread_t threads[3];
	pid_t pid;

	(void)state;
	attach();
	assert_int_equal(px_view_call(one, "os:getpid", 0, NULL, NULL, NULL, &result), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_value(result, 0, &value), 0);
	pid = (pid_t)value.as.integer;
	px_result_free(result);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	kill(starter->supervisor_pid, SIGSTOP);
	assert_int_equal(px_view_noop(one, NULL, &result), 0);
	for (size_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, waits[i], result);
	/* Until all are inside. */
	while (atomic_load(&client->entered) < 3)
		sched_yield();
	px_client_detach(client);
	for (size_t i = 0; i < 3; i++) {
		void *ended;

		pthread_join(threads[i], &ended);
		assert_int_equal((intptr_t)ended, PX_ECLOSED);
	}
	kill(starter->supervisor_pid, SIGCONT);
	assert_int_equal(kill(pid, SIGCONT), 0);
	px_result_free(result);
	free_rest();
}

static void *detach(void *ctx)
{
	px_client_detach(ctx);
	return NULL;
}

static void close_by_several_threads_is_one_close(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (int round = 0; round < 5; round++) {
		attach();
		for (int i = 0; i < 4; i++)
			pthread_create(&threads[i], NULL, detach, client);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(px_client_poll(client), PX_ECLOSED);
		free_rest();
	}
}

/* --- one result, many threads --- */

static void *read_value(void *ctx)
{
	struct px_result *result = ctx;
	struct px_value value, none;
	const char *ename;

	if (px_result_value(result, 0, &value) < 0)
		return NULL;
	if (px_result_value(result, 1, &none) != PX_EREMOTE ||
	    px_result_error(result, 1, &ename, NULL, NULL) < 0 || strcmp(ename, "ValueError") != 0)
		return NULL;
	return (void *)(uintptr_t)px_array_data(value.as.list.items[1].as.array);
}

static void value_is_the_same_for_all_threads(void **state)
{
	struct px_value argument;
	struct px_result *result;
	pthread_t threads[4];
	void *data[4];

	(void)state;
	attach();
	argument = px_of_array(array);
	assert_int_equal(px_view_execute(all,
					 "import os\n"
					 "def pair(a):\n"
					 "    if mine: return [1, a]\n"
					 "    raise ValueError('no')",
					 NULL, NULL),
			 0);
	for (uint32_t engine = 0; engine < 2; engine++) {
		struct px_view *view;

		assert_int_equal(px_view_of(client, &engine, 1, &view), 0);
		assert_int_equal(px_view_execute(view, engine ? "mine = 0" : "mine = 1", NULL,
						 NULL),
				 0);
		px_view_free(view);
	}
	for (int round = 0; round < 20; round++) {
		assert_int_equal(px_view_call(all, "pair", 1, &argument, NULL, NULL, &result), 0);
		assert_int_equal(px_result_wait(result, LIMIT), 0);
		for (int i = 0; i < 4; i++)
			pthread_create(&threads[i], NULL, read_value, result);
		for (int i = 0; i < 4; i++) {
			pthread_join(threads[i], &data[i]);
			assert_non_null(data[i]);
			assert_ptr_equal(data[i], data[0]);
		}
		px_result_free(result);
	}
	px_client_detach(client);
	free_rest();
}

static void *read_output(void *ctx)
{
	struct px_result *result = ctx;
	uint64_t from = 0;
	size_t got;
	int ready;

	do {
		char text[1000];

		ready = px_result_ready(result);
		if (px_result_output(result, 0, 1, from, text, sizeof(text), &got) < 0)
			return NULL;
		for (size_t i = 0; i < got; i++)
			if (text[i] != "0123456789"[(from + i) % 10])
				return NULL;
		from += got;
	} while (!ready || got);
	return (void *)(uintptr_t)from;
}

static void output_is_read_while_it_comes(void **state)
{
	/* Less than what a tiny build keeps of a request's output. */
	const char *code =
		"import sys\n"
		"for i in range(500): sys.stdout.write('0123456789' * 10); sys.stdout.flush()";
	struct px_result *result;
	pthread_t threads[4];
	void *bytes;

	(void)state;
	attach();
	assert_int_equal(px_view_execute(one, code, NULL, &result), 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, read_output, result);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &bytes);
		assert_int_equal((uintptr_t)bytes, 50000);
	}
	px_result_free(result);
	px_client_detach(client);
	free_rest();
}

/* --- signals and forks --- */

static _Atomic int signals;

static void on_signal(int number)
{
	(void)number;
	atomic_fetch_add(&signals, 1);
}

struct sending {
	pthread_t thread;
	_Atomic bool over;
};

/* Signals the sender as often as it can take them. */
static void *disturb(void *ctx)
{
	struct sending *s = ctx;

	while (!atomic_load(&s->over)) {
		int before = atomic_load(&signals);

		pthread_kill(s->thread, SIGUSR1);
		while (atomic_load(&signals) == before && !atomic_load(&s->over))
			sched_yield();
	}
	return NULL;
}

/* All leases are out while the engines hold what was pushed: so sending waits, and is signalled. */
static void send_goes_on_after_signals(void **state)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct px_value value, answer;
	struct sending sending = { .thread = pthread_self() };
	struct px_result *result;
	pthread_t thread;
	char name[16];

	(void)state;
	attach();
	value = px_of_array(array);
	assert_int_equal(px_view_execute(all, "import time; time.sleep(1)", NULL, NULL), 0);
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, disturb, &sending);
	for (int i = 0; i < PX_LEASES_MAX + 10; i++) {
		snprintf(name, sizeof(name), "n%d", i % 10);
		assert_int_equal(px_view_push(all, name, &value, NULL, NULL), 0);
	}
	atomic_store(&sending.over, true);
	pthread_join(thread, NULL);
	signal(SIGUSR1, SIG_DFL);
	assert_int_equal(px_view_execute(all,
					 "sum(n[0] == 'n' and n[1:].isdigit() for n in globals())",
					 NULL, &result),
			 0);
	while (px_result_wait(result, LIMIT) == PX_EINTR)
		;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(px_result_value(result, i, &answer), 0);
		assert_string_equal(answer.as.text.data, "10");
	}
	px_result_free(result);
	px_client_detach(client);
	free_rest();
}

#define REFUSED(call) ((call) == PX_ECLOSED && strstr(px_last_error(), "after a fork"))

/* What a child may not do, it is told; 0 if so. */
static int all_refused(struct px_result *pending)
{
	struct px_value value = px_of_array(array);
	struct px_arena_usage usage;
	uint32_t counts[PX_ENGINES_MAX], taken[PX_ENGINES_MAX + 1];
	struct px_result *next;
	struct px_view *view;
	char text[8], *json;
	size_t got;

	if (!REFUSED(px_client_poll(client)) || !REFUSED(px_client_engines(client, NULL, 0)) ||
	    !REFUSED(px_client_fd(client)) || !REFUSED(px_client_status_json(client, &json)) ||
	    !REFUSED(px_client_signal(client, 0, 0, 0)) || px_client_trim(client) != 0 ||
	    !REFUSED(px_client_usage(client, &usage)) ||
	    !REFUSED(px_client_queued(client, counts, taken)) ||
	    !REFUSED(px_client_next(client, 0, &next)) || !REFUSED(px_client_wait_idle(client, 0)))
		return 1;
	if (!REFUSED(px_view_all(client, &view)) || !REFUSED(px_view_noop(all, NULL, NULL)) ||
	    !REFUSED(px_view_execute(all, "1", NULL, NULL)) ||
	    !REFUSED(px_view_call(all, "len", 1, &value, NULL, NULL, NULL)) ||
	    !REFUSED(px_view_push(all, "x", &value, NULL, NULL)) ||
	    !REFUSED(px_view_pull(all, "x", NULL, NULL)))
		return 2;
	if (!REFUSED(px_result_wait(pending, 0)) || px_result_ready(pending) != 0 ||
	    !REFUSED(px_result_value(pending, 0, &value)) ||
	    !REFUSED(px_result_value(shared, 0, &value)) ||
	    !REFUSED(px_result_error(shared, 0, NULL, NULL, NULL)) ||
	    !REFUSED(px_result_output(shared, 0, 1, 0, text, sizeof(text), &got)) ||
	    px_result_abort(pending) != 0 || !REFUSED(px_result_interrupt(pending, 0)) ||
	    !REFUSED(px_result_cancel(pending, PX_ALL_ENTRIES)))
		return 3;
	return 0;
}

static void forked_child_is_refused_everywhere(void **state)
{
	struct px_result *pending;
	int status;
	pid_t child;

	(void)state;
	attach();
	assert_int_equal(px_view_execute(one, "import time; time.sleep(0.2)", NULL, &pending), 0);
	child = fork();
	if (child == 0) {
		int failed = all_refused(pending);

		/* Its copies may be freed. */
		px_result_free(pending);
		free_rest();
		px_client_detach(client);
		_exit(failed);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(px_result_wait(pending, LIMIT), 0);
	px_result_free(pending);
	px_client_detach(client);
	free_rest();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(close_while_all_kinds_of_calls_run),
		cmocka_unit_test(close_ends_what_waits_for_engines_and_supervisor),
		cmocka_unit_test(close_by_several_threads_is_one_close),
		cmocka_unit_test(value_is_the_same_for_all_threads),
		cmocka_unit_test(output_is_read_while_it_comes),
		cmocka_unit_test(send_goes_on_after_signals),
		cmocka_unit_test(forked_child_is_refused_everywhere),
	};

	return run_cases(tests, start, stop);
}
