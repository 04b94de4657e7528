/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_native.c - native functions on the engines of a real pool, of both kinds.
 */
#include "tests/c/case.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/pxrun.h"

#define SECOND UINT64_C(1000000000)
#define LIMIT (30 * SECOND)
#define ENGINES 3

static struct px_client *client;
static struct px_view *all, *first, *any;
static struct px_library *library;
static char path[4096];
static int native; /* whether this pool has no interpreter */

static int start(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS;

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/c/.libs/native_kernels.so",
		 getenv("PXRUN_BUILDDIR"));
	options.profile = "";
	options.engines = ENGINES;
	options.preload = "";
	options.arena_bytes = 64 << 20;
	options.native = native;
	if (px_pool_start(&options, &client) < 0 || px_view_all(client, &all) < 0 ||
	    px_view_of(client, (uint32_t[]){ 0 }, 1, &first) < 0 || px_view_any(client, &any) < 0 ||
	    px_library_load(all, path, LIMIT, &library) < 0) {
		print_error("%s\n", px_last_error());
		return -1;
	}
	return 0;
}

static int stop(void **state)
{
	(void)state;
	px_library_free(library);
	px_view_free(any);
	px_view_free(first);
	px_view_free(all);
	px_client_detach(client);
	return 0;
}

static struct px_kernel *kernel(const char *symbol)
{
	struct px_kernel *found = NULL;

	if (px_kernel_find(library, symbol, &found) < 0)
		fail_msg("%s", px_last_error());
	return found;
}

static struct px_result *call(struct px_view *view, const char *symbol, size_t argc,
			      const struct px_value *argv)
{
	struct px_result *result = NULL;

	if (px_view_call_native(view, kernel(symbol), argc, argv, NULL, &result) < 0)
		fail_msg("%s", px_last_error());
	return result;
}

static struct px_value value_of(struct px_result *result, size_t index)
{
	struct px_value value;

	assert_int_equal(px_result_wait(result, LIMIT), 0);
	if (px_result_value(result, index, &value) < 0)
		fail_msg("%s", px_last_error());
	return value;
}

static int64_t integer_of(struct px_view *view, const char *symbol, size_t argc,
			  const struct px_value *argv)
{
	struct px_result *result = call(view, symbol, argc, argv);
	struct px_value value = value_of(result, 0);

	assert_int_equal(value.type, PX_INT);
	px_result_free(result);
	return value.as.integer;
}

/* It fails with that code, and these words are in its message. */
static void fails_with(struct px_result *result, size_t index, int code, const char *words)
{
	struct px_value value;

	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_value(result, index, &value), code);
	if (!strstr(px_last_error(), words))
		fail_msg("'%s' is not in '%s'", words, px_last_error());
}

/* --- values */

static void nothing_returns_none(void **state)
{
	struct px_result *result = call(all, "nothing", 0, NULL);

	(void)state;
	for (size_t i = 0; i < ENGINES; i++)
		assert_int_equal(value_of(result, i).type, PX_NONE);
	px_result_free(result);
}

static void each_knows_its_place(void **state)
{
	struct px_result *result = call(all, "place", 0, NULL);

	(void)state;
	for (int i = 0; i < ENGINES; i++)
		assert_int_equal(value_of(result, (size_t)i).as.integer, i * 1000 + ENGINES);
	px_result_free(result);
	assert_int_equal(integer_of(first, "place", 0, NULL), 1);
	assert_int_equal(integer_of(any, "place", 0, NULL), 1);
}

static void values_arrive(void **state)
{
	struct px_value args[] = { px_none(),           px_bool(1),        px_int(-5),
				   px_uint(UINT64_MAX), px_double(2.5),    px_complex(1, -2),
				   px_string("text"),   px_bytes("raw", 3) };
	struct px_result *result = call(first, "describe", 8, args);
	struct px_value value = value_of(result, 0);

	(void)state;
	assert_string_equal(value.as.text.data,
			    "none b1 i-5 u18446744073709551615 d2.5 c1,-2 ttext yraw ");
	px_result_free(result);
}

static void lists_are_refused(void **state)
{
	struct px_value list = px_list(NULL, 0), dict = px_dict(NULL, NULL, 0);
	struct px_result *result = call(first, "nothing", 1, &list);

	(void)state;
	fails_with(result, 0, PX_EINVAL, "argument 0 is a list");
	px_result_free(result);
	result = call(first, "nothing", 1, &dict);
	fails_with(result, 0, PX_EINVAL, "argument 0 is a dict");
	px_result_free(result);
}

static void arrays_are_read_in_any_order(void **state)
{
	static const unsigned flags[] = { 0, PX_ARRAY_FORTRAN, PX_ARRAY_LIVE };

	(void)state;
	for (int f = 0; f < 3; f++) {
		struct px_array *x;
		struct px_result *result;
		struct px_value arg;

		assert_int_equal(px_array_alloc(client, PX_DTYPE_FLOAT64, 2, (int64_t[]){ 4, 5 },
						flags[f], &x),
				 0);
		for (int i = 0; i < 4; i++)
			for (int k = 0; k < 5; k++)
				*(double *)((char *)px_array_data(x) + i * px_array_strides(x)[0] +
					    k * px_array_strides(x)[1]) = i + k;
		arg = px_of_array(x);
		result = call(first, "sum", 1, &arg);
		assert_true(value_of(result, 0).as.real == 390);
		px_result_free(result);
		/* What is shared cannot go to whoever is idle. */
		result = call(flags[f] & PX_ARRAY_LIVE ? first : any, "sum", 1, &arg);
		assert_true(value_of(result, 0).as.real == 390);
		px_result_free(result);
		px_array_unref(x);
	}
}

static void live_arrays_are_the_very_memory(void **state)
{
	struct px_value args[2];
	struct px_result *result;
	struct px_array *x;

	(void)state;
	assert_int_equal(px_array_alloc(client, PX_DTYPE_FLOAT64, 1, (int64_t[]){ ENGINES },
					PX_ARRAY_LIVE | PX_ARRAY_ZERO, &x),
			 0);
	args[0] = px_of_array(x);
	args[1] = px_double(7);
	result = call(all, "fill", 2, args);
	for (size_t i = 0; i < ENGINES; i++)
		(void)value_of(result, i);
	for (int i = 0; i < ENGINES; i++)
		assert_true(((double *)px_array_data(x))[i] == 7 + i);
	px_result_free(result);
	px_array_unref(x);
}

static void scratch_grows(void **state)
{
	struct px_value bytes = px_int(1 << 20);

	(void)state;
	assert_int_equal(integer_of(first, "scratch", 1, &bytes), 1 << 20);
}

static void jumps_inside_are_fine(void **state)
{
	(void)state;
	assert_int_equal(integer_of(first, "jump", 0, NULL), 1);
}

/* --- failures */

static void failing_says_what(void **state)
{
	struct px_value args[] = { px_int(7), px_string("so it is") };
	struct px_result *result = call(first, "fails", 2, args);

	(void)state;
	fails_with(result, 0, PX_EREMOTE, "so it is");
	px_result_free(result);
	result = call(first, "fails", 1, args);
	fails_with(result, 0, PX_EREMOTE, "fails returned 7");
	px_result_free(result);
}

static void unknown_symbol_is_an_error_of_find(void **state)
{
	struct px_kernel *none;

	(void)state;
	assert_int_equal(px_kernel_find(library, "no_such", &none), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "has no function no_such"));
}

static void what_cannot_be_loaded_is_an_error_of_load(void **state)
{
	struct px_library *none;

	(void)state;
	assert_int_equal(px_library_load(all, "/no/such.so", LIMIT, &none), PX_ESYSTEM);
	assert_int_equal(px_library_load(all, "/bin/sh", LIMIT, &none), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "this engine cannot load /"));
	assert_int_equal(px_library_load(NULL, path, LIMIT, &none), PX_EINVAL);
	assert_int_equal(px_library_load(all, NULL, LIMIT, &none), PX_EINVAL);
	assert_int_equal(px_library_load(all, path, LIMIT, NULL), PX_EINVAL);
	assert_int_equal(px_kernel_find(NULL, "x", (struct px_kernel *[]){ NULL }), PX_EINVAL);
	assert_int_equal(px_kernel_find(library, NULL, (struct px_kernel *[]){ NULL }), PX_EINVAL);
	assert_int_equal(px_view_call_native(all, NULL, 0, NULL, NULL, NULL), PX_EINVAL);
	assert_int_equal(px_view_call_native(NULL, kernel("nothing"), 0, NULL, NULL, NULL),
			 PX_EINVAL);
	assert_int_equal(px_view_call_native(all, kernel("nothing"), 1, NULL, NULL, NULL),
			 PX_EINVAL);
	assert_int_equal(px_view_call_native(all, kernel("nothing"), 65, (struct px_value[65]){ 0 },
					     NULL, NULL),
			 PX_EINVAL);
}

static void copy_file(const char *from, const char *to)
{
	char command[9000];

	snprintf(command, sizeof(command), "cp '%s' '%s.new' && mv '%s.new' '%s'", from, to, to,
		 to);
	assert_int_equal(system(command), 0);
}

static void file_that_was_changed_is_refused(void **state)
{
	char copy[] = "/tmp/px-native-XXXXXX";
	struct px_library *one, *two;
	struct px_kernel *old;
	struct px_result *result;

	(void)state;
	assert_true(close(mkstemp(copy)) == 0);
	copy_file(path, copy);
	assert_int_equal(px_library_load(first, copy, LIMIT, &one), 0);
	assert_int_equal(px_kernel_find(one, "nothing", &old), 0);
	copy_file(path, copy);
	assert_int_equal(px_library_load(first, copy, LIMIT, &two), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "under another name"));
	/* The engines that have the old one go on with it; others do not take the new one for it. */
	assert_int_equal(px_view_call_native(all, old, 0, NULL, NULL, &result), 0);
	assert_int_equal(value_of(result, 0).type, PX_NONE);
	fails_with(result, 1, PX_EINVAL, "has been changed since px_library_load()");
	px_result_free(result);
	px_library_free(one);
	unlink(copy);
}

static void engine_twice_in_a_view_is_refused(void **state)
{
	struct px_view *twice;

	(void)state;
	assert_int_equal(px_view_of(client, (uint32_t[]){ 1, 1 }, 2, &twice), 0);
	assert_int_equal(px_view_call_native(twice, kernel("nothing"), 0, NULL, NULL, NULL),
			 PX_EINVAL);
	px_view_free(twice);
}

static void await_engines(void)
{
	struct px_result *result;

	assert_int_equal(px_view_noop(all, NULL, &result), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	px_result_free(result);
}

static void crash_names_signal_and_function(void **state)
{
	static const struct {
		const char *how, *words;
	} ways[] = { { "segv", "SIGSEGV" },
		     { "abort", "SIGABRT" },
		     { "fpe", "SIGFPE" },
		     { "exit", "exited with code 3" } };

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct px_value how = px_string(ways[i].how);
		struct px_result *result = call(first, "crash", 1, &how);

		fails_with(result, 0, PX_EENGINE, ways[i].words);
		fails_with(result, 0, PX_EENGINE, "in the native function crash of ");
		px_result_free(result);
		/* Another process, which loads the library by itself. */
		assert_int_equal(integer_of(first, "count_calls", 0, NULL), 1);
	}
	await_engines();
}

/* --- output, cancelling */

static void prints_arrive(void **state)
{
	struct px_value word = px_string("this");
	struct px_result *result = call(first, "print", 1, &word);
	char text[100];
	uint64_t got;

	(void)state;
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_output(result, 0, 1, 0, text, sizeof(text), &got), 0);
	assert_int_equal(got, strlen("printed this\n"));
	assert_memory_equal(text, "printed this\n", got);
	assert_int_equal(px_result_output(result, 0, 2, 0, text, sizeof(text), &got), 0);
	assert_memory_equal(text, "complained\n", got);
	px_result_free(result);
}

static void cancelled_call_ends(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct px_result *result = call(all, "wait_for_cancel", 0, NULL);

		if (i % 2)
			usleep(3000);
		assert_int_equal(px_result_cancel(result, PX_ALL_ENTRIES), 0);
		assert_int_equal(px_result_wait(result, LIMIT), 0);
		px_result_free(result);
	}
	assert_int_equal(integer_of(first, "place", 0, NULL), 1);
}

/* --- meeting */

static void engines_meet(void **state)
{
	struct px_value args[2];
	struct px_array *x;

	(void)state;
	assert_int_equal(px_array_alloc(client, PX_DTYPE_INT64, 1, (int64_t[]){ ENGINES },
					PX_ARRAY_LIVE, &x),
			 0);
	args[0] = px_of_array(x);
	args[1] = px_int(500);
	for (int i = 0; i < 5; i++)
		assert_int_equal(integer_of(all, "meet", 2, args), 500);
	px_array_unref(x);
}

/* Many short ones in flight: who has returned must not break the barrier of who wakes up. */
static void many_meetings_in_flight(void **state)
{
	enum { CALLS = 200 };
	struct px_result *results[CALLS];
	struct px_value args[2];
	struct px_array *x;

	(void)state;
	assert_int_equal(px_array_alloc(client, PX_DTYPE_INT64, 1, (int64_t[]){ ENGINES },
					PX_ARRAY_LIVE, &x),
			 0);
	args[0] = px_of_array(x);
	args[1] = px_int(1);
	for (int i = 0; i < CALLS; i++)
		results[i] = call(all, "meet", 2, args);
	for (int i = 0; i < CALLS; i++) {
		for (size_t k = 0; k < ENGINES; k++)
			assert_int_equal(value_of(results[i], k).as.integer, 1);
		px_result_free(results[i]);
	}
	px_array_unref(x);
}

static void barrier_is_broken_by_who_returns(void **state)
{
	struct px_value args[] = { px_int(1), px_string("return") };
	struct px_result *result = call(all, "meet_or", 2, args);

	(void)state;
	fails_with(result, 0, PX_EREMOTE, "on engine 1 it has returned");
	assert_int_equal(value_of(result, 1).type, PX_NONE);
	fails_with(result, 2, PX_EREMOTE, "on engine 1 it has returned");
	px_result_free(result);
}

static void barrier_is_broken_by_who_dies(void **state)
{
	static const char *const how[] = { "die", "fault" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct px_value args[] = { px_int(2), px_string(how[i]) };
		struct px_result *result = call(all, "meet_or", 2, args);

		fails_with(result, 0, PX_EREMOTE, "engine 2 has died");
		fails_with(result, 1, PX_EREMOTE, "engine 2 has died");
		fails_with(result, 2, PX_EENGINE, "in the native function meet_or");
		px_result_free(result);
		await_engines();
	}
}

static void barrier_is_broken_by_a_cancel(void **state)
{
	struct px_value args[] = { px_int(1), px_string("wait") };
	struct px_result *result = call(all, "meet_or", 2, args);

	(void)state;
	usleep(20000);
	assert_int_equal(px_result_cancel(result, 0), 0);
	assert_int_equal(px_result_wait(result, SECOND / 2), PX_ETIMEDOUT);
	assert_int_equal(px_result_ready(result), 0);
	assert_int_equal(px_result_cancel(result, PX_ALL_ENTRIES), 0);
	fails_with(result, 0, PX_EREMOTE, "meet_or was cancelled");
	px_result_free(result);
}

/* One that was aborted before it ran is missed by nobody for long. */
static void barrier_is_broken_by_an_abort(void **state)
{
	struct px_result *busy, *result;
	struct px_value args[] = { px_int(9), px_string("") };
	struct px_view *last;

	(void)state;
	assert_int_equal(px_view_of(client, (uint32_t[]){ 2 }, 1, &last), 0);
	busy = call(last, "wait_for_cancel", 0, NULL);
	result = call(all, "meet_or", 2, args);
	usleep(20000);
	assert_int_equal(px_result_cancel(result, 2), 0);
	assert_int_equal(px_result_cancel(busy, 0), 0);
	fails_with(result, 0, PX_EREMOTE, "on engine 2 it has returned, or was not begun");
	px_result_free(busy);
	px_result_free(result);
	px_view_free(last);
}

static void remember(void *ctx, const struct px_pool_info *info)
{
	struct px_status status = { .size = sizeof(status) };

	if (px_client_status(client, &status) == 0 && status.supervisor_pid == info->supervisor_pid)
		snprintf(ctx, sizeof(path), "%s", info->connection_file);
}

static bool all_met(struct px_result *result)
{
	struct px_value value;
	bool met = true;

	assert_int_equal(px_result_wait(result, LIMIT), 0);
	for (size_t i = 0; i < px_result_count(result); i++) {
		if (px_result_value(result, i, &value) == 0)
			continue;
		assert_int_equal(px_last_code(), PX_EREMOTE);
		met = false;
	}
	px_result_free(result);
	return met;
}

/* Two clients, whose calls come to two engines in different orders. */
static void calls_that_wait_for_each_other_are_found(void **state)
{
	struct px_value args[] = { px_int(9), px_string("") };
	struct px_result *busy[2], *calls[2];
	struct px_client *other;
	struct px_view *second, *both, *others_first, *others_both;
	char connection[sizeof(path)] = "";

	(void)state;
	assert_true(px_pool_list(remember, connection) >= 1);
	assert_int_equal(px_client_attach(connection, 0, &other), 0);
	assert_int_equal(px_view_of(client, (uint32_t[]){ 1 }, 1, &second), 0);
	assert_int_equal(px_view_of(client, (uint32_t[]){ 0, 1 }, 2, &both), 0);
	assert_int_equal(px_view_of(other, (uint32_t[]){ 0 }, 1, &others_first), 0);
	assert_int_equal(px_view_of(other, (uint32_t[]){ 0, 1 }, 2, &others_both), 0);
	for (int i = 0; i < 5; i++) {
		busy[0] = call(others_first, "wait_for_cancel", 0, NULL);
		busy[1] = call(second, "wait_for_cancel", 0, NULL);
		usleep(20000);
		calls[0] = call(both, "meet_or", 2, args);
		calls[1] = call(others_both, "meet_or", 2, args);
		for (int k = 0; k < 2; k++) {
			assert_int_equal(px_result_cancel(busy[k], 0), 0);
			px_result_free(busy[k]);
		}
		/* The one call fails, and the other one goes on. */
		assert_int_equal(all_met(calls[0]) + all_met(calls[1]), 1);
	}
	px_view_free(others_both);
	px_view_free(others_first);
	px_view_free(both);
	px_view_free(second);
	px_client_detach(other);
}

/* A time limit is a cancel. */
static void time_limit_ends_a_call(void **state)
{
	struct px_how how = PX_HOW;
	struct px_result *result;
	struct px_value value;

	(void)state;
	how.timeout_ns = SECOND / 20;
	assert_int_equal(px_view_call_native(all, kernel("wait_for_cancel"), 0, NULL, &how,
					     &result),
			 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	for (size_t i = 0; i < ENGINES; i++)
		assert_int_equal(px_result_value(result, i, &value), PX_ETIMEDOUT);
	px_result_free(result);
}

/* What needs an interpreter, where there is none. */
static void python_is_refused_in_words(void **state)
{
	struct px_value one = px_int(1);
	struct px_result *result;

	(void)state;
	for (int i = 0; native && i < 4; i++) {
		int rc = i == 0 ? px_view_execute(first, "1", NULL, &result) :
			 i == 1 ? px_view_call(first, "math:sin", 1, &one, NULL, NULL, &result) :
			 i == 2 ? px_view_push(first, "x", &one, NULL, &result) :
				  px_view_pull(first, "x", NULL, &result);

		assert_int_equal(rc, 0);
		fails_with(result, 0, PX_EINVAL, "this pool is native");
		px_result_free(result);
	}
}

/* In native engines the stack is the function's. */
static void crash_has_a_native_stack(void **state)
{
	struct px_value how = px_string("segv");
	struct px_result *result = call(first, "crash", 1, &how);

	(void)state;
	fails_with(result, 0, PX_EENGINE, native ? "native_kernels.so(crash+" : "SIGSEGV");
	px_result_free(result);
	await_engines();
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(nothing_returns_none),
		cmocka_unit_test(each_knows_its_place),
		cmocka_unit_test(values_arrive),
		cmocka_unit_test(lists_are_refused),
		cmocka_unit_test(arrays_are_read_in_any_order),
		cmocka_unit_test(live_arrays_are_the_very_memory),
		cmocka_unit_test(scratch_grows),
		cmocka_unit_test(jumps_inside_are_fine),
		cmocka_unit_test(failing_says_what),
		cmocka_unit_test(unknown_symbol_is_an_error_of_find),
		cmocka_unit_test(what_cannot_be_loaded_is_an_error_of_load),
		cmocka_unit_test(file_that_was_changed_is_refused),
		cmocka_unit_test(engine_twice_in_a_view_is_refused),
		cmocka_unit_test(prints_arrive),
		cmocka_unit_test(cancelled_call_ends),
		cmocka_unit_test(engines_meet),
		cmocka_unit_test(many_meetings_in_flight),
		cmocka_unit_test(barrier_is_broken_by_who_returns),
		cmocka_unit_test(barrier_is_broken_by_a_cancel),
		cmocka_unit_test(barrier_is_broken_by_an_abort),
		cmocka_unit_test(calls_that_wait_for_each_other_are_found),
		cmocka_unit_test(time_limit_ends_a_call),
		cmocka_unit_test(barrier_is_broken_by_who_dies),
		cmocka_unit_test(crash_names_signal_and_function),
		cmocka_unit_test(crash_has_a_native_stack),
		cmocka_unit_test(python_is_refused_in_words),
	};
	int failed;

	/* A sanitizer in the engines would explain crashes instead of dying of them. */
	setenv("ASAN_OPTIONS", "detect_leaks=0:handle_segv=0:handle_sigfpe=0", 1);
	setenv("TSAN_OPTIONS", "die_after_fork=0:handle_segv=0:handle_sigfpe=0:handle_abort=0", 1);
	failed = cmocka_run_group_tests_name("engines with an interpreter", cases, start, stop);

	native = 1;
	return failed + cmocka_run_group_tests_name("native engines", cases, start, stop);
}
