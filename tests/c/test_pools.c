/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pools.c - pools and what they say of themselves, as an application asks for them.
 */
#include "tests/c/case.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/pxrun.h"

#define SECOND UINT64_C(1000000000)
#define LIMIT (30 * SECOND)

static struct px_client *client;

static struct px_pool_options small(void)
{
	struct px_pool_options options = PX_POOL_OPTIONS;

	options.profile = "";
	options.engines = 2;
	options.preload = "";
	options.arena_bytes = 64 << 20;
	return options;
}

static void start(const struct px_pool_options *options)
{
	if (px_pool_start(options, &client) < 0)
		fail_msg("%s", px_last_error());
}

static int begin(void **state)
{
	struct px_pool_options options = small();

	(void)state;
	start(&options);
	return 0;
}

static int end(void **state)
{
	(void)state;
	px_client_detach(client);
	return 0;
}

/* The repr of what code gives on engine 0. */
static void evaluate(const char *code, char *out, size_t bytes)
{
	struct px_result *result;
	struct px_value value;
	struct px_view *view;

	assert_int_equal(px_view_of(client, (uint32_t[]){ 0 }, 1, &view), 0);
	assert_int_equal(px_view_execute(view, code, NULL, &result), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	if (px_result_value(result, 0, &value) < 0)
		fail_msg("%s", px_last_error());
	snprintf(out, bytes, "%s", value.type == PX_STRING ? value.as.text.data : "");
	px_result_free(result);
	px_view_free(view);
}

/* --- options */

static void options_have_one_initialiser_for_all_languages(void **state)
{
	struct px_pool_options one = PX_POOL_OPTIONS, other;

	(void)state;
	memset(&other, 0xff, sizeof(other));
	px_pool_options_init(&other);
	assert_int_equal(other.size, one.size);
	assert_int_equal(one.size, sizeof(one));
	assert_null(other.profile);
	assert_int_equal(other.engines, 0);
	assert_null(other.environment);
	assert_int_equal(other.native, 0);
}

static void environment_is_the_engines_and_comes_before_the_profile(void **state)
{
	const char *variables[] = { "PX_ONE=1", "PX_TWO=a b=c", "OMP_NUM_THREADS=7", NULL };
	struct px_pool_options options = small();
	char path[200], found[100];
	FILE *file;

	(void)state;
	assert_int_equal(setenv("XDG_CONFIG_HOME", case_folder(), 1), 0);
	snprintf(path, sizeof(path), "%s/pxrun", case_folder());
	assert_int_equal(mkdir(path, 0700), 0);
	strcat(path, "/default.yaml");
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("env: {PX_ONE: profile, PX_THREE: profile}\n", file);
	fclose(file);
	options.environment = variables;
	start(&options);
	evaluate(
		"import os; [os.environ[n] for n in ('PX_ONE', 'PX_TWO', 'PX_THREE', 'OMP_NUM_THREADS')]",
		found, sizeof(found));
	assert_string_equal(found, "['1', 'a b=c', 'profile', '7']");
	assert_null(getenv("PX_ONE"));
	px_client_detach(client);
}

static void environment_may_be_large_but_not_without_bound(void **state)
{
	struct px_pool_options options = small();
	const char *variables[3001];
	static char text[400];
	char found[100];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "A=", 2);
	for (int i = 0; i < 300; i++)
		variables[i] = text;
	variables[300] = NULL;
	options.environment = variables;
	start(&options);
	evaluate("import os; len(os.environ['A'])", found, sizeof(found));
	assert_string_equal(found, "397");
	px_client_detach(client);
	for (int i = 0; i < 3000; i++)
		variables[i] = text;
	variables[3000] = NULL;
	assert_int_equal(px_pool_start(&options, &client), PX_EINVAL);
	assert_words("more than can be handed over");
}

static void environment_that_is_none_is_refused(void **state)
{
	const char *variables[] = { "PX_ONE", NULL };
	struct px_pool_options options = small();

	(void)state;
	options.environment = variables;
	assert_int_equal(px_pool_start(&options, &client), PX_EINVAL);
	assert_words("'PX_ONE' is not NAME=value");
}

static void write_module(const char *name, const char *code)
{
	char path[200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", case_folder(), name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(code, file);
	fclose(file);
}

static void start_that_takes_too_long_is_timed_out_and_leaves_nothing(void **state)
{
	struct px_pool_options options = small();

	(void)state;
	write_module("slow_to_import.py", "import time; time.sleep(100)\n");
	assert_int_equal(setenv("XDG_RUNTIME_DIR", case_folder(), 1), 0);
	options.profile = "slow";
	options.sys_path = case_folder();
	options.preload = "slow_to_import";
	options.start_timeout_ns = SECOND / 2;
	assert_int_equal(px_pool_start(&options, &client), PX_ETIMEDOUT);
	assert_words("not ready within 0.5 s");
	assert_int_equal(px_client_attach("slow", 0, &client), PX_ENOPOOL);
}

static void warnings_go_to_the_log_descriptor(void **state)
{
	struct px_pool_options options = small();
	char text[500];
	int ends[2];
	ssize_t got;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	/* Of another numpy than there is. */
	write_module("numpy.py", "__version__ = '0.1'\n");
	options.sys_path = case_folder();
	options.preload = "numpy";
	options.log_fd = ends[1];
	start(&options);
	got = read(ends[0], text, sizeof(text) - 1);
	assert_true(got > 0);
	text[got] = '\0';
	assert_non_null(strstr(text, "pxrun: warning: "));
	assert_non_null(strstr(text, "numpy 0.1"));
	px_client_detach(client);
}

/* --- the list */

static void note(void *ctx, const struct px_pool_info *info)
{
	struct px_client *other;
	int *seen = ctx;

	assert_int_equal(info->size, sizeof(*info));
	if (strcmp(info->profile, "listed"))
		return;
	++*seen;
	assert_int_equal(info->engines, 2);
	assert_int_equal(info->started[4], '-');
	assert_int_equal(kill(info->supervisor_pid, 0), 0);
	assert_int_equal(px_client_attach(info->connection_file, SECOND, &other), 0);
	px_client_detach(other);
}

static void list_has_the_pools_that_run(void **state)
{
	struct px_pool_options options = small();
	int seen = 0;

	(void)state;
	assert_int_equal(setenv("XDG_RUNTIME_DIR", case_folder(), 1), 0);
	assert_int_equal(px_pool_list(note, &seen), 0);
	options.profile = "listed";
	start(&options);
	assert_int_equal(px_pool_list(note, &seen), 1);
	assert_int_equal(seen, 1);
	assert_int_equal(px_pool_stop("listed", LIMIT), 0);
	assert_int_equal(px_pool_list(note, &seen), 0);
	assert_int_equal(px_pool_list(NULL, NULL), PX_EINVAL);
	px_client_detach(client);
}

/* --- what it says of itself */

static void status_counts(void **state)
{
	struct px_status status = { .size = sizeof(status) };

	(void)state;
	assert_int_equal(px_client_status(client, &status), 0);
	assert_int_equal(status.engines_up, 2);
	assert_int_equal(status.engines_starting + status.engines_gone, 0);
	assert_int_equal(status.clients, 1);
	assert_int_equal(status.arena_bytes, 64 << 20);
	assert_in_range(status.free_bytes, 1, 64 << 20);
	assert_in_range(status.uptime_ns, 0, 600 * SECOND);
	assert_int_equal(kill(status.supervisor_pid, 0), 0);
	assert_int_equal(px_client_remove_engine(client, 1, LIMIT), 0);
	assert_int_equal(px_client_status(client, &status), 0);
	assert_int_equal(status.engines_up, 1);
	assert_int_equal(status.engines_gone, 1);
}

static void structs_of_other_sizes_are_filled_as_far_as_they_go(void **state)
{
	struct {
		struct px_status known;
		uint64_t unknown;
	} larger = { .known.size = sizeof(larger), .unknown = 7 };
	struct px_status smaller = { .size = offsetof(struct px_status, arena_bytes),
				     .arena_bytes = 7 };
	struct px_status none = { 0 };

	(void)state;
	assert_int_equal(px_client_status(client, &larger.known), 0);
	assert_int_equal(larger.known.engines_up, 2);
	assert_int_equal(larger.unknown, 0);
	assert_int_equal(px_client_status(client, &smaller), 0);
	assert_int_equal(smaller.engines_up, 2);
	assert_int_equal(smaller.arena_bytes, 7);
	assert_int_equal(px_client_status(client, &none), PX_EINVAL);
	assert_words("set it to sizeof(struct px_status)");
}

static void engine_status_says_what_it_does(void **state)
{
	struct px_engine_status status = { .size = sizeof(status) };
	struct px_result *results[3];
	struct px_view *view;
	int pid;

	(void)state;
	assert_int_equal(px_client_engine_status(client, 0, &status), 0);
	assert_int_equal(status.state, PX_ENGINE_IS_UP);
	assert_int_equal(status.busy, 0);
	assert_int_equal(status.queued, 0);
	assert_true(status.rss_bytes > 1 << 20);
	pid = status.pid;
	assert_int_equal(kill(pid, 0), 0);
	assert_int_equal(px_view_of(client, (uint32_t[]){ 0 }, 1, &view), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(px_view_execute(view, "import time; time.sleep(100)", NULL,
						 &results[i]),
				 0);
	do
		assert_int_equal(px_client_engine_status(client, 0, &status), 0);
	while (!status.busy || !status.busy_ns);
	assert_int_equal(status.queued, 3);
	for (int i = 2; i >= 0; i--) {
		assert_int_equal(px_result_cancel(results[i], PX_ALL_ENTRIES), 0);
		assert_int_equal(px_result_wait(results[i], LIMIT), 0);
		px_result_free(results[i]);
	}
	do
		assert_int_equal(px_client_engine_status(client, 0, &status), 0);
	while (status.busy);
	assert_true(status.done >= 1);
	assert_int_equal(status.queued, 0);
	assert_int_equal(px_client_restart_engine(client, 0, LIMIT), 0);
	assert_int_equal(px_client_engine_status(client, 0, &status), 0);
	assert_int_equal(status.restarts, 1);
	assert_int_not_equal(status.pid, pid);
	assert_int_equal(status.done, 0);
	assert_int_equal(px_client_engine_status(client, 2, &status), PX_EENGINE);
	assert_words("no engine 2");
	assert_int_equal(px_client_engine_status(client, UINT32_MAX, &status), PX_EENGINE);
	px_view_free(view);
}

static void memory_says_who_has_it(void **state)
{
	struct px_memory memory = { .size = sizeof(memory) };
	const int64_t shape[] = { 1 << 20 };
	struct px_array *array;
	struct px_result *result;
	struct px_view *view;
	struct px_value value;
	uint64_t bytes = 8 << 20;

	(void)state;
	assert_int_equal(px_client_memory(client, &memory), 0);
	assert_int_equal(memory.arena_bytes, 64 << 20);
	assert_int_equal(memory.lent_bytes, 0);
	assert_int_equal(px_array_alloc(client, PX_DTYPE_FLOAT64, 1, shape, PX_ARRAY_ZERO, &array),
			 0);
	assert_int_equal(px_view_all(client, &view), 0);
	value = px_of_array(array);
	assert_int_equal(px_view_push(view, "kept", &value, NULL, &result), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	px_result_free(result);
	assert_int_equal(px_client_memory(client, &memory), 0);
	assert_in_range(memory.mine_bytes, bytes, 64 << 20);
	assert_int_equal(memory.lent_bytes, bytes); /* once, though two engines have it */
	assert_true(memory.mine_bytes + memory.free_bytes <= memory.arena_bytes);
	assert_int_equal(px_view_execute(view, "del kept", NULL, &result), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	px_result_free(result);
	px_array_unref(array);
	do
		assert_int_equal(px_client_memory(client, &memory), 0);
	while (memory.lent_bytes);
	assert_true(memory.warm_bytes >= bytes || memory.mine_bytes < bytes);
	px_view_free(view);
}

/* --- time limits */

static int supervisor(void)
{
	struct px_status status = { .size = sizeof(status) };

	assert_int_equal(px_client_status(client, &status), 0);
	return status.supervisor_pid;
}

static void control_calls_of_a_stopped_supervisor_end_in_time(void **state)
{
	const uint64_t limit = SECOND / 10;
	int pid = supervisor();
	uint32_t first;

	(void)state;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(px_client_signal(client, 0, SIGCONT, limit), PX_ETIMEDOUT);
	assert_words("within 0.1 s");
	assert_int_equal(px_client_restart_engine(client, 0, limit), PX_ETIMEDOUT);
	assert_int_equal(px_client_remove_engine(client, 0, limit), PX_ETIMEDOUT);
	assert_int_equal(px_client_add_engines(client, 1, limit, &first), PX_ETIMEDOUT);
	assert_int_equal(kill(pid, SIGCONT), 0);
}

static void no_engines_cannot_be_added(void **state)
{
	uint32_t first;

	(void)state;
	assert_int_equal(px_client_add_engines(client, 0, PX_FOREVER, &first), PX_EINVAL);
	assert_words("count is how many to start");
	assert_int_equal(px_client_add_engines(client, PX_ENGINES_MAX, PX_FOREVER, &first),
			 PX_EINVAL);
	assert_words("an id is not used again");
}

static void restart_that_takes_longer_than_its_limit_goes_on(void **state)
{
	struct px_engine_status status = { .size = sizeof(status) };

	(void)state;
	assert_int_equal(px_client_restart_engine(client, 0, 1), PX_ETIMEDOUT);
	do
		assert_int_equal(px_client_engine_status(client, 0, &status), 0);
	while (status.restarts != 1 || status.state != PX_ENGINE_IS_UP);
	/* Its late answer is not taken for that of another call. */
	assert_int_equal(px_client_restart_engine(client, 1, PX_FOREVER), 0);
	assert_int_equal(px_client_engine_status(client, 1, &status), 0);
	assert_int_equal(status.restarts, 1);
}

static void *restart_within_ten_seconds(void *unused)
{
	(void)unused;
	return (void *)(intptr_t)px_client_restart_engine(client, 0, 10 * SECOND);
}

static void limit_holds_while_another_thread_asks(void **state)
{
	int pid = supervisor();
	pthread_t thread;
	void *rc;

	(void)state;
#ifdef __SANITIZE_THREAD__
	skip(); /* it does not know of pthread_mutex_clocklock() */
#endif
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(pthread_create(&thread, NULL, restart_within_ten_seconds, NULL), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(px_client_signal(client, 1, SIGCONT, SECOND / 10), PX_ETIMEDOUT);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(pthread_join(thread, &rc), 0);
	assert_int_equal((intptr_t)rc, 0);
}

static void attach_to_a_stopped_supervisor_ends_in_time(void **state)
{
	struct px_pool_options options = small();
	struct px_client *other;
	int pid;

	(void)state;
	assert_int_equal(setenv("XDG_RUNTIME_DIR", case_folder(), 1), 0);
	options.profile = "stopped";
	start(&options);
	pid = supervisor();
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(px_client_attach("stopped", SECOND / 5, &other), PX_ETIMEDOUT);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(px_client_attach("stopped", PX_FOREVER, &other), 0);
	px_client_detach(other);
	assert_int_equal(px_client_stop_pool(client, LIMIT), 0);
	px_client_detach(client);
}

/* --- stopped by somebody else */

/* One that runs, one that waits behind it, and a task that is to be tried again. */
static void stop_while_it_runs(const char *code)
{
	struct px_engine_status status = { .size = sizeof(status) };
	struct px_how how = PX_HOW;
	struct px_result *results[3];
	struct px_view *view, *tasks;
	struct px_value value;

	how.retries = 3;
	assert_int_equal(px_view_all(client, &view), 0);
	assert_int_equal(px_view_any(client, &tasks), 0);
	assert_int_equal(px_view_execute(view, code, NULL, &results[0]), 0);
	assert_int_equal(px_view_execute(view, code, NULL, &results[1]), 0);
	assert_int_equal(px_view_execute(tasks, code, &how, &results[2]), 0);
	do
		assert_int_equal(px_client_engine_status(client, 0, &status), 0);
	while (!status.busy);
	assert_int_equal(kill(supervisor(), SIGTERM), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(px_result_wait(results[i], LIMIT), 0);
		assert_int_equal(px_result_value(results[i], 0, &value), PX_EPOOL);
		assert_words("the pool was stopped");
		px_result_free(results[i]);
	}
	assert_int_equal(px_view_execute(view, code, NULL, &results[0]), PX_EPOOL);
	px_view_free(tasks);
	px_view_free(view);
}

static void requests_of_a_pool_that_is_stopped_say_so(void **state)
{
	static const char *const codes[] = {
		"import time; time.sleep(100)",
		"while True: pass",
		"import time\ntry: time.sleep(100)\nfinally: x = 1",
		"import time\ntry: time.sleep(100)\nexcept Exception: pass",
		"import ctypes; ctypes.CDLL(None).pause()",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct px_pool_options options = small();

		options.engines = 1;
		start(&options);
		stop_while_it_runs(codes[i]);
		px_client_detach(client);
	}
}

static void task_that_runs_when_its_pool_is_stopped_says_so(void **state)
{
	struct px_engine_status status = { .size = sizeof(status) };
	struct px_pool_options options = small();
	struct px_how how = PX_HOW;
	struct px_result *result;
	struct px_value value;
	struct px_view *tasks;

	(void)state;
	options.engines = 1;
	start(&options);
	how.retries = 3;
	assert_int_equal(px_view_any(client, &tasks), 0);
	assert_int_equal(px_view_execute(tasks, "import time; time.sleep(100)", &how, &result), 0);
	do
		assert_int_equal(px_client_engine_status(client, 0, &status), 0);
	while (!status.busy);
	assert_int_equal(kill(supervisor(), SIGTERM), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_value(result, 0, &value), PX_EPOOL);
	assert_words("the pool was stopped");
	px_result_free(result);
	px_view_free(tasks);
	px_client_detach(client);
}

/* --- output that nobody can have */

static void output_without_a_result_is_not_kept(void **state)
{
	struct px_status status = { .size = sizeof(status) };
	const size_t before = mallinfo2().uordblks;
	uint64_t least = UINT64_MAX;
	struct px_result *result;
	struct px_view *view;

	(void)state;
	assert_int_equal(px_view_all(client, &view), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(px_view_execute(view, "print('x' * (2 << 20))", NULL, NULL), 0);
		assert_int_equal(px_client_status(client, &status), 0);
		least = status.free_bytes < least ? status.free_bytes : least;
	}
	assert_int_equal(px_view_noop(view, NULL, &result), 0);
	while (px_result_wait(result, SECOND / 100) == PX_ETIMEDOUT) {
		assert_int_equal(px_client_status(client, &status), 0);
		least = status.free_bytes < least ? status.free_bytes : least;
	}
	px_result_free(result);
	assert_in_range(mallinfo2().uordblks, 0, before + (1 << 20));
	assert_in_range(least, 32 << 20, 64 << 20);
	px_view_free(view);
}

#define IN_POOL(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_have_one_initialiser_for_all_languages),
		cmocka_unit_test(environment_is_the_engines_and_comes_before_the_profile),
		cmocka_unit_test(environment_may_be_large_but_not_without_bound),
		cmocka_unit_test(environment_that_is_none_is_refused),
		cmocka_unit_test(start_that_takes_too_long_is_timed_out_and_leaves_nothing),
		cmocka_unit_test(warnings_go_to_the_log_descriptor),
		cmocka_unit_test(list_has_the_pools_that_run),
		IN_POOL(status_counts),
		IN_POOL(structs_of_other_sizes_are_filled_as_far_as_they_go),
		IN_POOL(engine_status_says_what_it_does),
		IN_POOL(memory_says_who_has_it),
		IN_POOL(control_calls_of_a_stopped_supervisor_end_in_time),
		IN_POOL(no_engines_cannot_be_added),
		IN_POOL(restart_that_takes_longer_than_its_limit_goes_on),
		IN_POOL(limit_holds_while_another_thread_asks),
		cmocka_unit_test(attach_to_a_stopped_supervisor_ends_in_time),
		cmocka_unit_test(requests_of_a_pool_that_is_stopped_say_so),
		cmocka_unit_test(task_that_runs_when_its_pool_is_stopped_says_so),
		IN_POOL(output_without_a_result_is_not_kept),
	};

	return run_cases(tests, NULL, NULL);
}
