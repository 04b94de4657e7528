/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_client.c - libpxrun as an application uses it, on a real pool.
 */
#include "tests/c/case.h"

#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/internal.h"
#include "shm/os.h"

#define SECOND UINT64_C(1000000000)
#define LIMIT (30 * SECOND)

static struct px_client *client;
static struct px_view *all, *first, *any_all, *any_first;

static int start(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS;

	(void)state;
	options.profile = "";
	options.engines = 2;
	options.preload = "";
	if (px_pool_start(&options, &client) < 0) {
		print_error("%s\n", px_last_error());
		return -1;
	}
	return px_view_all(client, &all) | px_view_of(client, (uint32_t[]){ 0 }, 1, &first) |
	       px_view_any(client, &any_all) |
	       px_view_any_of(client, (uint32_t[]){ 0 }, 1, &any_first);
}

static int stop(void **state)
{
	(void)state;
	px_view_free(any_first);
	px_view_free(any_all);
	px_view_free(first);
	px_view_free(all);
	px_client_detach(client);
	return 0;
}

/* Waits for a result of `first` and gives its value. */
static struct px_value value_of(struct px_result *result)
{
	struct px_value value;

	assert_int_equal(px_result_wait(result, LIMIT), 0);
	if (px_result_value(result, 0, &value) < 0)
		fail_msg("%s", px_last_error());
	return value;
}

/* --- tasks */

static void task_is_run_by_one_engine_and_says_which(void **state)
{
	struct px_value sides[] = { px_double(3), px_double(4) };
	struct px_result *result;
	struct px_value value;

	(void)state;
	assert_int_equal(px_view_call(any_all, "math:hypot", 2, sides, NULL, NULL, &result), 0);
	assert_int_equal(px_result_count(result), 1);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_value(result, 0, &value), 0);
	assert_true(value.as.real == 5);
	assert_in_range(px_result_engine(result, 0), 0, 1);
	px_result_free(result);
}

static void task_goes_to_an_engine_of_its_view(void **state)
{
	struct px_result *result;

	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(px_view_execute(any_first, "1", NULL, &result), 0);
		assert_int_equal(px_result_wait(result, LIMIT), 0);
		assert_int_equal(px_result_engine(result, 0), 0);
		px_result_free(result);
	}
}

static void tasks_finish_in_any_order_and_next_gives_each_once(void **state)
{
	static int tags[200];
	struct px_value argument = px_int(-5);
	struct px_result *result;
	int sum = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		assert_int_equal(px_view_call(any_all, "builtins:abs", 1, &argument, NULL, NULL,
					      &result),
				 0);
		assert_int_equal(px_result_set_user(result, &tags[i]), 0);
	}
	for (int i = 0; i < 200; i++) {
		assert_int_equal(px_client_next(client, LIMIT, &result), 0);
		++*(int *)px_result_user(result);
		px_result_free(result);
	}
	for (int i = 0; i < 200; i++)
		sum += tags[i] == 1;
	assert_int_equal(sum, 200);
}

static void task_that_fails_is_run_again_and_fails_in_words(void **state)
{
	struct px_result *result;
	struct px_value value;

	(void)state;
	assert_int_equal(px_view_execute(any_first, "tries = 0", NULL, &result), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	px_result_free(result);
	assert_int_equal(px_view_execute(any_first, "tries += 1; 1 / (tries // 3); tries",
					 &(struct px_how){ .size = sizeof(struct px_how),
							   .retries = 2 },
					 &result),
			 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_value(result, 0, &value), 0);
	px_result_free(result);
	assert_int_equal(px_view_execute(any_first, "tries += 1; 1 / 0",
					 &(struct px_how){ .size = sizeof(struct px_how),
							   .retries = 1 },
					 &result),
			 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_value(result, 0, &value), PX_EREMOTE);
	px_result_free(result);
	assert_int_equal(px_view_execute(first, "tries", NULL, &result), 0);
	value = value_of(result);
	assert_string_equal(value.as.text.data, "5");
	px_result_free(result);
}

static void tasks_are_cancelled(void **state)
{
	struct px_result *busy[2], *waiting;
	struct px_value value;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(px_view_execute(any_all, "import time; time.sleep(60)", NULL,
						 &busy[i]),
				 0);
	while (px_result_engine(busy[0], 0) == UINT32_MAX ||
	       px_result_engine(busy[1], 0) == UINT32_MAX)
		assert_int_equal(px_client_poll(client), 0);
	assert_int_equal(px_view_execute(any_all, "1", NULL, &waiting), 0);
	assert_int_equal(px_result_cancel(waiting, 0), 0);
	assert_int_equal(px_result_ready(waiting), 1);
	assert_int_equal(px_result_value(waiting, 0, &value), PX_EABORTED);
	px_result_free(waiting);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(px_result_cancel(busy[i], PX_ALL_ENTRIES), 0);
		assert_int_equal(px_result_wait(busy[i], LIMIT), 0);
		assert_int_equal(px_result_value(busy[i], 0, &value), PX_EREMOTE);
		px_result_free(busy[i]);
	}
}

static void engines_are_listed(void **state)
{
	uint32_t ids[4];

	(void)state;
	assert_int_equal(px_client_engines(client, ids, 4), 2);
	assert_int_equal(ids[0], 0);
	assert_int_equal(ids[1], 1);
	assert_int_equal(px_client_engines(client, NULL, 0), 2);
}

static void noop_all_answer(void **state)
{
	struct px_result *result;
	struct px_value value;

	(void)state;
	assert_int_equal(px_view_noop(all, NULL, &result), 0);
	assert_int_equal(px_result_count(result), 2);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_ready(result), 1);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(px_result_engine(result, i), i);
		assert_int_equal(px_result_value(result, i, &value), 0);
		assert_int_equal(value.type, PX_NONE);
	}
	assert_int_equal(px_result_value(result, 2, &value), PX_EINVAL);
	px_result_free(result);
}

static void execute_shows_last_expression(void **state)
{
	struct px_result *result;
	struct px_value value;
	char out[16];
	size_t bytes;

	(void)state;
	assert_int_equal(px_view_execute(first, "a = 6\nprint('hi')\na * 7", NULL, &result), 0);
	value = value_of(result);
	assert_int_equal(value.type, PX_STRING);
	assert_string_equal(value.as.text.data, "42");
	assert_int_equal(px_result_output(result, 0, 1, 0, out, sizeof(out), &bytes), 0);
	assert_int_equal(bytes, 3);
	assert_memory_equal(out, "hi\n", 3);
	/* Piece by piece, and no further than there is something. */
	assert_int_equal(px_result_output(result, 0, 1, 1, out, 1, &bytes), 0);
	assert_true(bytes == 1 && out[0] == 'i');
	assert_int_equal(px_result_output(result, 0, 1, 3, out, sizeof(out), &bytes), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(px_result_output(result, 0, 1, UINT64_MAX, NULL, 0, &bytes), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(px_result_output(result, 0, 2, 0, out, sizeof(out), &bytes), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(px_result_output(result, 0, 3, 0, out, sizeof(out), &bytes), PX_EINVAL);
	assert_int_equal(px_result_output(result, 1, 1, 0, out, sizeof(out), &bytes), PX_EINVAL);
	px_result_free(result);
}

static void call_each_kind_comes_back(void **state)
{
	struct px_value items[] = { px_int(1), px_string("two") };
	struct px_value sent[] = { px_none(),      px_int(-3),         px_double(0.1),
				   px_string("ä"), px_bytes("\0x", 2), px_list(items, 2) };
	struct px_result *result;

	(void)state;
	assert_int_equal(px_view_execute(first, "def same(x): return x", NULL, NULL), 0);
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		assert_int_equal(px_view_call(first, "same", 1, &sent[i], NULL, NULL, &result), 0);
		struct px_value back = value_of(result);
		assert_int_equal(back.type, sent[i].type);
		if (back.type == PX_DOUBLE)
			assert_true(back.as.real == 0.1);
		if (back.type == PX_BYTES)
			assert_memory_equal(back.as.text.data, "\0x", 2);
		if (back.type == PX_LIST)
			assert_string_equal(back.as.list.items[1].as.text.data, "two");
		px_result_free(result);
	}
	assert_int_equal(px_view_call(first, "math:hypot", 2,
				      (struct px_value[]){ px_double(3), px_double(4) }, NULL, NULL,
				      &result),
			 0);
	assert_true(value_of(result).as.real == 5.0);
	px_result_free(result);
}

static void wrapped_array_there_and_back(void **state)
{
	const int64_t shape[] = { 300, 1000 };
	const size_t bytes = 300000 * sizeof(double);
	double *data = malloc(bytes);
	struct px_array *array;
	struct px_result *result;

	(void)state;
	for (int i = 0; i < 300000; i++)
		data[i] = i;
	assert_int_equal(px_array_wrap(data, PX_DTYPE_FLOAT64, 2, shape, NULL, &array), 0);
	struct px_value value = px_of_array(array);
	assert_int_equal(px_view_push(all, "t", &value, NULL, &result), 0);
	memset(data, 0, bytes); /* what was passed may be changed as soon as the call returns */
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	px_result_free(result);
	assert_int_equal(px_view_execute(first, "t[1, 1] = -1.0; u = t * 2", NULL, NULL), 0);
	assert_int_equal(px_view_pull(first, "u", NULL, &result), 0);
	value = value_of(result);
	assert_int_equal(value.type, PX_ARRAY);
	assert_int_equal(px_array_ndim(value.as.array), 2);
	assert_int_equal(px_array_shape(value.as.array)[1], shape[1]);
	const double *back = px_array_data(value.as.array);
	assert_true(back[0] == 0 && back[1001] == -2.0 && back[299999] == 2.0 * 299999);
	px_result_free(result);
	px_array_unref(array);
	free(data);
}

static void failure_has_three_texts(void **state)
{
	const char *ename, *evalue, *traceback;
	struct px_result *result;
	struct px_value value;

	(void)state;
	assert_int_equal(px_view_execute(first, "def f():\n    1/0\nf()", NULL, &result), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_value(result, 0, &value), PX_EREMOTE);
	assert_non_null(strstr(px_last_error(), "ZeroDivisionError"));
	assert_int_equal(px_result_error(result, 0, &ename, &evalue, &traceback), 0);
	assert_string_equal(ename, "ZeroDivisionError");
	assert_string_equal(evalue, "division by zero");
	assert_non_null(strstr(traceback, "in f"));
	px_result_free(result);
	assert_int_equal(px_view_pull(first, "missing", NULL, &result), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_error(result, 0, &ename, NULL, NULL), 0);
	assert_string_equal(ename, "NameError");
	px_result_free(result);
}

static void function_without_a_colon_says_how_it_is_named(void **state)
{
	static const char *const calls[][2] = {
		{ "numpy.linalg.solve", "'numpy.linalg:solve'" },
		{ "missing", "'module:function'" },
	};
	struct px_result *result;
	struct px_value value;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(px_view_call(first, calls[i][0], 0, NULL, NULL, NULL, &result), 0);
		assert_int_equal(px_result_wait(result, LIMIT), 0);
		assert_int_equal(px_result_value(result, 0, &value), PX_EREMOTE);
		assert_non_null(strstr(px_last_error(), "NameError"));
		assert_non_null(strstr(px_last_error(), calls[i][1]));
		px_result_free(result);
	}
}

static void wait_too_short_says_so(void **state)
{
	struct px_result *result;
	struct px_value value;

	(void)state;
	assert_int_equal(px_view_execute(first, "import time; time.sleep(0.3)", NULL, &result), 0);
	assert_int_equal(px_result_wait(result, 0), PX_ETIMEDOUT);
	assert_int_equal(px_result_wait(result, SECOND / 100), PX_ETIMEDOUT);
	assert_int_equal(px_result_value(result, 0, &value), PX_EAGAIN);
	assert_non_null(strstr(px_last_error(), "px_result_wait()"));
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_value(result, (size_t)-1, &value), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "entry -1, counted from 0"));
	px_result_free(result);
}

static void unknown_engine_names_the_live_ones(void **state)
{
	struct px_result *result;
	struct px_view *view;

	(void)state;
	assert_int_equal(px_view_of(client, (uint32_t[]){ 7 }, 1, &view), 0);
	assert_int_equal(px_view_noop(view, NULL, &result), PX_EENGINE);
	assert_non_null(strstr(px_last_error(), "0, 1"));
	px_view_free(view);
}

static void requests_of_one_client_stay_in_order(void **state)
{
	struct px_result *result;
	char code[64];

	(void)state;
	assert_int_equal(px_view_execute(first, "seen = []", NULL, NULL), 0);
	for (int i = 0; i < 5000; i++) {
		snprintf(code, sizeof(code), "seen.append(%d)", i);
		assert_int_equal(px_view_execute(first, code, NULL, NULL), 0);
	}
	assert_int_equal(px_view_execute(first, "seen == list(range(5000))", NULL, &result), 0);
	assert_string_equal(value_of(result).as.text.data, "True");
	px_result_free(result);
}

static void *caller(void *ctx)
{
	struct px_result *result;
	struct px_value value;

	for (int64_t i = 0; i < 500; i++) {
		struct px_value argument = px_int(i * *(int *)ctx);

		if (px_view_call(first, "builtins:abs", 1, &argument, NULL, NULL, &result) < 0 ||
		    px_result_wait(result, LIMIT) < 0 || px_result_value(result, 0, &value) < 0 ||
		    value.as.integer != llabs(argument.as.integer))
			return (void *)1;
		px_result_free(result);
	}
	return NULL;
}

static void threads_share_a_client(void **state)
{
	pthread_t threads[4];
	int factors[4] = { 1, -2, 3, -4 };
	void *failed;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, caller, &factors[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

static void engine_killed_says_who(void **state)
{
	struct px_result *result, *pending;
	struct px_value value;
	int64_t pid;

	(void)state;
	assert_int_equal(px_view_call(first, "os:getpid", 0, NULL, NULL, NULL, &result), 0);
	pid = value_of(result).as.integer;
	px_result_free(result);
	assert_int_equal(px_view_execute(first, "import time; time.sleep(100)", NULL, &pending), 0);
	assert_int_equal(px_result_wait(pending, SECOND / 20), PX_ETIMEDOUT);
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
	assert_int_equal(px_result_wait(pending, LIMIT), 0);
	assert_int_equal(px_result_value(pending, 0, &value), PX_EENGINE);
	assert_non_null(strstr(px_last_error(), "SIGKILL"));
	px_result_free(pending);
	assert_int_equal(px_view_call(first, "os:getpid", 0, NULL, NULL, NULL, &result), 0);
	assert_true(value_of(result).as.integer != pid);
	px_result_free(result);
}

static void handle_in_a_forked_child_is_refused(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		struct px_result *result;

		_exit(px_view_noop(first, NULL, &result) == PX_ECLOSED ? 0 : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

#ifdef PX_TINY /* in other builds it takes half a minute */
/* The first engine's number under a name in the pool's state. */
static unsigned long long engine_number(const char *name)
{
	char key[32], *json, *at;
	unsigned long long found;

	assert_int_equal(px_client_status_json(client, &json), 0);
	snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(json, "\"engines\":[");
	assert_non_null(at);
	at = strstr(at, key);
	assert_non_null(at);
	found = strtoull(at + strlen(key), NULL, 10);
	free(json);
	return found;
}

static void idle_engine_gives_its_memory_back(void **state)
{
	struct px_result *result;
	unsigned long long before;

	(void)state;
	assert_int_equal(px_view_execute(first, "large = bytes(200000)", NULL, NULL), 0);
	assert_int_equal(px_view_pull(first, "large", NULL, &result), 0);
	assert_int_equal(value_of(result).as.text.bytes, 200000);
	before = engine_number("given_back");
	assert_true(engine_number("arena") > 0);
	px_result_free(result);
	for (int i = 0; engine_number("arena") > 0; i++) {
		assert_true(i < 200);
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	}
	assert_true(engine_number("given_back") > before);
}
#endif

static void detach_ends_what_waits(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS;
	struct px_client *other;
	struct px_result *result;
	struct px_value value;
	struct px_view *view;

	(void)state;
	/* As set by a program that was compiled before there was a quota. */
	options.size = offsetof(struct px_pool_options, quota_bytes);
	options.huge_pages = "of no concern";
	options.profile = "";
	options.engines = 1;
	options.preload = "";
	assert_int_equal(px_pool_start(&options, &other), 0);
	assert_int_equal(px_view_all(other, &view), 0);
	assert_int_equal(px_view_execute(view, "import time; time.sleep(100)", NULL, &result), 0);
	px_client_detach(other);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_true(px_result_value(result, 0, &value) < 0);
	assert_true(px_view_noop(view, NULL, NULL) == PX_ECLOSED);
	px_result_free(result);
	px_view_free(view);
}

static void abort_takes_back_what_waits(void **state)
{
	struct px_result *held, *waiting;
	struct px_value value;

	(void)state;
	assert_int_equal(px_view_execute(first, "import time; time.sleep(100)", NULL, &held), 0);
	assert_int_equal(px_view_execute(first, "never = 1", NULL, &waiting), 0);
	assert_int_equal(px_result_abort(waiting), 1);
	assert_int_equal(px_result_abort(waiting), 0);
	assert_int_equal(px_result_ready(waiting), 1);
	assert_int_equal(px_result_value(waiting, 0, &value), PX_EABORTED);
	assert_false(px_result_ready(held));
	px_result_free(waiting);
	/* Ends what runs; aborted requests are skipped. */
	while (!px_result_ready(held)) {
		assert_int_equal(px_client_signal(client, 0, SIGINT, 0), 0);
		(void)px_result_wait(held, SECOND / 100);
	}
	assert_int_equal(px_result_value(held, 0, &value), PX_EREMOTE);
	px_result_free(held);
	assert_int_equal(px_view_execute(first, "'never' in globals()", NULL, &held), 0);
	assert_string_equal(value_of(held).as.text.data, "False");
	px_result_free(held);
}

/* --- finished results --- */

/* Runs code on the first engine; who asks for it finds the number. */
static struct px_result *begin(const char *code, int *number)
{
	struct px_result *result;

	assert_int_equal(px_view_execute(first, code, NULL, &result), 0);
	assert_null(px_result_user(result));
	assert_int_equal(px_result_set_user(result, number), 0);
	return result;
}

/* The result that is next, and is the user's. */
static void next_is(const struct px_result *result, const int *number)
{
	struct px_result *next;

	assert_int_equal(px_client_next(client, LIMIT, &next), 0);
	assert_ptr_equal(next, result);
	assert_ptr_equal(px_result_user(next), number);
	assert_int_equal(px_result_ready(next), 1);
}

static void next_gives_each_once_as_they_finish(void **state)
{
	struct px_result *results[3], *none;
	int numbers[3];

	(void)state;
	assert_int_equal(px_client_next(client, 0, &none), PX_ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		results[i] = begin("pass", &numbers[i]);
	/* Looking at them otherwise, or waiting, is no reason not to give them. */
	assert_int_equal(px_result_wait(results[2], LIMIT), 0);
	assert_int_equal(px_client_poll(client), 0);
	for (int i = 0; i < 3; i++)
		next_is(results[i], &numbers[i]);
	assert_int_equal(px_client_next(client, 0, &none), PX_ETIMEDOUT);
	assert_int_equal(px_client_next(client, SECOND / 1000, &none), PX_ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		px_result_free(results[i]);
}

static void next_does_not_give_what_was_freed_or_ignored(void **state)
{
	struct px_result *waiting, *ready, *last, *none;
	int number;

	(void)state;
	waiting = begin("import time; time.sleep(0.05)", &number);
	ready = begin("pass", &number);
	px_result_free(waiting);
	assert_int_equal(px_result_wait(ready, LIMIT), 0);
	px_result_free(ready);
	assert_int_equal(px_view_execute(first, "pass", NULL, NULL), 0);
	last = begin("pass", &number);
	next_is(last, &number);
	assert_int_equal(px_client_next(client, 0, &none), PX_ETIMEDOUT);
	px_result_free(last);
}

struct taking {
	struct px_result *taken, *slow;
	int slow_was_ready;
};

static void *take_one(void *ctx)
{
	struct taking *t = ctx;

	if (px_client_next(client, LIMIT, &t->taken) < 0)
		return NULL;
	t->slow_was_ready = px_result_ready(t->slow);
	return t;
}

/* Who waits for an answer reads the rings; who waits for whatever finishes is told all the same. */
static void next_is_told_while_another_thread_waits(void **state)
{
	struct px_result *quick;
	struct px_view *second;
	struct taking taking;
	pthread_t thread;
	void *got;

	(void)state;
	assert_int_equal(px_view_of(client, (uint32_t[]){ 1 }, 1, &second), 0);
	for (int round = 0; round < 4; round++) {
		assert_int_equal(px_view_execute(second, "import time; time.sleep(0.5)", NULL,
						 &taking.slow),
				 0);
		pthread_create(&thread, NULL, take_one, &taking);
		assert_int_equal(px_view_execute(first, "import time; time.sleep(0.02)", NULL,
						 &quick),
				 0);
		assert_int_equal(px_result_wait(taking.slow, LIMIT), 0);
		pthread_join(thread, &got);
		assert_non_null(got);
		assert_ptr_equal(taking.taken, quick);
		assert_int_equal(taking.slow_was_ready, 0);
		assert_int_equal(px_client_next(client, LIMIT, &taking.taken), 0);
		assert_ptr_equal(taking.taken, taking.slow);
		px_result_free(quick);
		px_result_free(taking.slow);
	}
	px_view_free(second);
}

#define MANY 3000

static void *take_many(void *ctx)
{
	_Atomic int *taken = ctx;
	struct px_result *result;
	intptr_t own = 0;

	while (atomic_load(taken) < MANY)
		if (px_client_next(client, SECOND / 100, &result) == 0) {
			px_result_free(result);
			atomic_fetch_add(taken, 1);
			own++;
		}
	return (void *)own;
}

static void next_by_several_threads_gives_each_to_one(void **state)
{
	struct px_result *result;
	_Atomic int taken = 0;
	pthread_t threads[3];
	intptr_t sum = 0;
	void *own;

	(void)state;
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, take_many, &taken);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(px_view_noop(first, NULL, &result), 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &own);
		sum += (intptr_t)own;
	}
	assert_int_equal(sum, MANY);
	assert_int_equal(px_client_next(client, 0, &result), PX_ETIMEDOUT);
}

static void on_alarm(int number)
{
	(void)number;
}

static void next_ends_with_a_signal(void **state)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct px_result *none;

	(void)state;
	sigaction(SIGALRM, &action, NULL);
	ualarm(20000, 20000);
	assert_int_equal(px_client_next(client, LIMIT, &none), PX_EINTR);
	/* Another thread reads the rings from here on, and this one waits for it. */
	assert_true(px_client_fd(client) >= 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(px_client_next(client, LIMIT, &none), PX_EINTR);
	ualarm(0, 0);
}

static void next_gives_what_failed_and_then_that_the_pool_is_lost(void **state)
{
	struct pollfd news = { .events = POLLIN };
	struct px_result *lost, *next;
	struct px_value value;
	char *json, *at;
	int number;

	(void)state;
	news.fd = px_client_fd(client);
	lost = begin("import time; time.sleep(100)", &number);
	assert_int_equal(poll(&news, 1, 0), 0);
	assert_int_equal(px_client_status_json(client, &json), 0);
	at = strstr(json, "\"pid\":");
	assert_non_null(at);
	assert_int_equal(kill((pid_t)strtol(at + 6, NULL, 10), SIGKILL), 0);
	free(json);
	assert_int_equal(poll(&news, 1, 10000), 1);
	next_is(lost, &number);
	assert_int_equal(px_result_value(lost, 0, &value), PX_EPOOL);
	px_result_free(lost);
	assert_int_equal(px_client_next(client, PX_FOREVER, &next), PX_EPOOL);
	assert_int_equal(poll(&news, 1, 0), 1);
}

static void fd_is_readable_as_long_as_there_is_a_next(void **state)
{
	struct pollfd news = { .events = POLLIN };
	struct px_result *result, *other, *next;

	(void)state;
	/* What finished before somebody asked counts as well. */
	assert_int_equal(px_view_noop(first, NULL, &result), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	news.fd = px_client_fd(client);
	assert_true(news.fd >= 0);
	assert_int_equal(px_client_fd(client), news.fd);
	assert_int_equal(poll(&news, 1, 0), 1);
	assert_int_equal(px_client_next(client, 0, &next), 0);
	assert_int_equal(poll(&news, 1, 0), 0);
	px_result_free(result);
	for (int round = 0; round < 200; round++) {
		assert_int_equal(px_view_noop(first, NULL, &result), 0);
		assert_int_equal(px_view_noop(all, NULL, &other), 0);
		assert_int_equal(poll(&news, 1, 10000), 1);
		assert_int_equal(px_result_wait(result, LIMIT), 0);
		assert_int_equal(px_result_wait(other, LIMIT), 0);
		assert_int_equal(px_client_poll(client), 0);
		assert_int_equal(poll(&news, 1, 0), 1);
		if (round % 2) {
			px_result_free(result);
		} else {
			assert_int_equal(px_client_next(client, 0, &next), 0);
			assert_ptr_equal(next, result);
			px_result_free(result);
		}
		assert_int_equal(poll(&news, 1, 0), 1);
		px_result_free(other);
		assert_int_equal(poll(&news, 1, 0), 0);
	}
}

/* --- stopping --- */

/* Another client's request, which runs on the first engine until it is told. */
static struct px_result *occupy(struct px_client *other)
{
	struct px_result *running;
	struct px_view *view;

	assert_int_equal(px_view_of(other, (uint32_t[]){ 0 }, 1, &view), 0);
	assert_int_equal(px_view_execute(view,
					 "import os, time\nprint('runs', flush=True)\n"
					 "while not os.path.exists('/proc/self/fd/99999'):\n"
					 "    time.sleep(0.001)",
					 NULL, &running),
			 0);
	px_view_free(view);
	return running;
}

static void wait_until_it_prints(struct px_result *result)
{
	char text[4];
	size_t got = 0;

	while (!got) {
		assert_int_equal(px_result_ready(result), 0);
		assert_int_equal(px_result_output(result, 0, 1, 0, text, 4, &got), 0);
	}
}

static char *pool_profile(void)
{
	char *json, *at, *end, *profile;

	assert_int_equal(px_client_status_json(client, &json), 0);
	at = strstr(json, "\"profile\":");
	assert_non_null(at);
	at = strchr(at + 10, '"') + 1;
	end = strchr(at, '"');
	profile = strndup(at, (size_t)(end - at));
	free(json);
	return profile;
}

static void interrupt_and_cancel_hit_no_other_request(void **state)
{
	char *profile = pool_profile();
	struct px_client *other;
	struct px_result *theirs, *ours;
	struct px_value value;
	const char *ename;

	(void)state;
	assert_int_equal(px_client_attach(profile, 0, &other), 0);
	free(profile);
	theirs = occupy(other);
	wait_until_it_prints(theirs);
	ours = begin("never = 1", NULL);
	assert_int_equal(px_result_interrupt(ours, 0), 0);
	assert_int_equal(px_result_interrupt(ours, 1), PX_EINVAL);
	assert_int_equal(px_result_cancel(ours, 1), PX_EINVAL);
	assert_int_equal(px_result_cancel(ours, 0), 0);
	assert_int_equal(px_result_value(ours, 0, &value), PX_EABORTED);
	assert_int_equal(px_result_cancel(ours, PX_ALL_ENTRIES), 0);
	assert_int_equal(px_result_interrupt(ours, 0), 0);
	px_result_free(ours);
	/* An answer to whoever comes after them shows that they go on. */
	assert_int_equal(px_result_wait(theirs, SECOND / 20), PX_ETIMEDOUT);
	assert_int_equal(px_result_interrupt(theirs, 0), 0);
	assert_int_equal(px_result_wait(theirs, LIMIT), 0);
	assert_int_equal(px_result_value(theirs, 0, &value), PX_EREMOTE);
	assert_int_equal(px_result_error(theirs, 0, &ename, NULL, NULL), 0);
	assert_string_equal(ename, "KeyboardInterrupt");
	px_result_free(theirs);
	px_client_detach(other);
}

/* When engine 0 began what it runs; 0: nothing. */
static uint64_t began_ns(void)
{
	const struct px_segment *segment;
	struct px_endpoint *endpoint;
	uint64_t began;
	uint32_t slot;

	assert_int_equal(px_client_endpoint(client, &endpoint), 0);
	segment = endpoint->segment;
	slot = atomic_load(&segment->engines[0].slot);
	began = atomic_load(&px_segment_block(segment, slot)->activity.started_ns);
	px_endpoint_release(endpoint);
	return began;
}

static void interrupt_of_what_has_ended_hits_no_other_request(void **state)
{
	struct px_result *ended, *next;
	struct px_value value;
	uint64_t began;

	(void)state;
	ended = occupy(client);
	wait_until_it_prints(ended);
	began = began_ns();
	assert_int_equal(px_result_interrupt(ended, 0), 0);
	assert_int_equal(px_result_wait(ended, LIMIT), 0);
	px_result_free(ended);
	next = occupy(client);
	wait_until_it_prints(next);
	assert_int_equal(px_client_interrupt(client, 0, began, 0), 0);
	assert_int_equal(px_result_wait(next, SECOND / 20), PX_ETIMEDOUT);
	assert_int_equal(px_client_interrupt(client, 0, began_ns(), 0), 0);
	assert_int_equal(px_result_wait(next, LIMIT), 0);
	assert_int_equal(px_result_value(next, 0, &value), PX_EREMOTE);
	px_result_free(next);
	assert_int_equal(px_client_interrupt(client, 2, began, 0), PX_EENGINE);
}

static void cancel_all_stops_what_runs_and_what_waits(void **state)
{
	struct px_result *running, *behind;
	struct px_value value;

	(void)state;
	assert_int_equal(px_view_execute(all,
					 "import time\nprint('runs', flush=True)\ntime.sleep(100)",
					 NULL, &running),
			 0);
	assert_int_equal(px_view_noop(all, NULL, &behind), 0);
	wait_until_it_prints(running);
	assert_int_equal(px_result_cancel(behind, PX_ALL_ENTRIES), 0);
	assert_int_equal(px_result_cancel(running, PX_ALL_ENTRIES), 0);
	assert_int_equal(px_result_wait(running, LIMIT), 0);
	for (size_t i = 0; i < 2; i++) {
		int rc = px_result_value(running, i, &value);

		/* The second engine may not have begun. */
		assert_true(rc == PX_EREMOTE || (i == 1 && rc == PX_EABORTED));
	}
	assert_int_equal(px_result_value(behind, 0, &value), PX_EABORTED);
	px_result_free(running);
	px_result_free(behind);
}

static uint64_t real_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* A minute takes a second and a half. */
static uint64_t fast_now(void)
{
	return real_now() * 40;
}

/* The time for its start counts from the end of the process before, which takes two seconds. */
static void request_waits_for_an_engine_whose_process_has_much_to_do(void **state)
{
	struct px_result *deaf, *result;

	(void)state;
	assert_int_equal(px_view_execute(first,
					 "import time\nprint('runs', flush=True)\nwhile True:\n"
					 "    try:\n        time.sleep(1)\n"
					 "    except BaseException: pass",
					 NULL, &deaf),
			 0);
	wait_until_it_prints(deaf);
	assert_int_equal(px_client_restart_engine(client, 0, 1), PX_ETIMEDOUT);
	while (px_client_engine_state(client, 0) != PX_ENGINE_STARTING)
		usleep(1000);
	px_os.now_ns = fast_now;
	if (px_view_noop(first, NULL, &result) < 0)
		fail_msg("%s", px_last_error());
	px_os.now_ns = real_now;
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	px_result_free(result);
	px_result_free(deaf);
}

static void start_wrong_options_are_refused(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS;
	struct px_client *other;

	(void)state;
	options.profile = "";
	options.engines = 100000;
	assert_int_equal(px_pool_start(&options, &other), PX_EINVAL);
	options.engines = 1;
	options.restart = "sometimes";
	assert_int_equal(px_pool_start(&options, &other), PX_EINVAL);
	assert_non_null(strstr(px_last_error(),
			       "restart must be 'never', 'on-failure' or 'always', "
			       "not 'sometimes'"));
	options.restart = NULL;
	options.command = "/nowhere/pxrun";
	assert_int_equal(px_pool_start(&options, &other), PX_ESYSTEM);
	assert_non_null(strstr(px_last_error(), "/nowhere/pxrun"));
	assert_int_equal(px_client_attach("nobody-runs-this", 0, &other), PX_ENOPOOL);
	assert_non_null(strstr(px_last_error(), "pxrun start"));
	setenv("PXRUN_CONNECTION", "/nowhere/connection.json", 1);
	assert_int_equal(px_client_attach(NULL, 0, &other), PX_ENOPOOL);
	assert_non_null(strstr(px_last_error(), "/nowhere"));
	unsetenv("PXRUN_CONNECTION");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engines_are_listed),
		cmocka_unit_test(task_is_run_by_one_engine_and_says_which),
		cmocka_unit_test(task_goes_to_an_engine_of_its_view),
		cmocka_unit_test(tasks_finish_in_any_order_and_next_gives_each_once),
		cmocka_unit_test(task_that_fails_is_run_again_and_fails_in_words),
		cmocka_unit_test(tasks_are_cancelled),
#ifdef PX_TINY
		cmocka_unit_test(idle_engine_gives_its_memory_back),
#endif
		cmocka_unit_test(noop_all_answer),
		cmocka_unit_test(execute_shows_last_expression),
		cmocka_unit_test(call_each_kind_comes_back),
		cmocka_unit_test(wrapped_array_there_and_back),
		cmocka_unit_test(failure_has_three_texts),
		cmocka_unit_test(function_without_a_colon_says_how_it_is_named),
		cmocka_unit_test(wait_too_short_says_so),
		cmocka_unit_test(unknown_engine_names_the_live_ones),
		cmocka_unit_test(requests_of_one_client_stay_in_order),
		cmocka_unit_test(threads_share_a_client),
		cmocka_unit_test(engine_killed_says_who),
		cmocka_unit_test(handle_in_a_forked_child_is_refused),
		cmocka_unit_test(detach_ends_what_waits),
		cmocka_unit_test(abort_takes_back_what_waits),
		cmocka_unit_test(next_gives_each_once_as_they_finish),
		cmocka_unit_test(next_does_not_give_what_was_freed_or_ignored),
		cmocka_unit_test(next_is_told_while_another_thread_waits),
		cmocka_unit_test(next_by_several_threads_gives_each_to_one),
		cmocka_unit_test(next_ends_with_a_signal),
		cmocka_unit_test(next_gives_what_failed_and_then_that_the_pool_is_lost),
		cmocka_unit_test(fd_is_readable_as_long_as_there_is_a_next),
		cmocka_unit_test(interrupt_and_cancel_hit_no_other_request),
		cmocka_unit_test(interrupt_of_what_has_ended_hits_no_other_request),
		cmocka_unit_test(cancel_all_stops_what_runs_and_what_waits),
		cmocka_unit_test(request_waits_for_an_engine_whose_process_has_much_to_do),
		cmocka_unit_test(start_wrong_options_are_refused),
	};

	return run_cases(tests, start, stop);
}
