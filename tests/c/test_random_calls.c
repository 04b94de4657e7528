/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls the functions of pxrun.h in random order, with handles that are alive, closed, NULL, of another
 * kind or of another client, and with nonsense for the rest. Each has to return, and soon.
 * PXRUN_SEED: another order than usual.
 */
#include "tests/c/case.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/dlpack.h"
#include "client/pxrun.h"

#define MILLISECOND UINT64_C(1000000)
#define PLACES 6
/* A call that takes longer hangs: what waits does so for milliseconds, and pools are not started. */
#define SOON_S 20

/* A freed handle is recognised for a while, not for ever. */
#define RECOGNISED_ROUNDS 10

/* A handle in each place; one that has ended stays there until another takes its place. */
struct places {
	void *handle[PLACES];
	bool ended[PLACES];
	long ended_round[PLACES];
};

static struct places clients, views, results, arrays, libraries, kernels;
static long round_now;
static const char *calling = "nothing";
static char profile[40], file_path[60];
static char kernels_path[400];

static uint32_t below(uint32_t limit)
{
	return (uint32_t)random() % limit;
}

static bool one_in(uint32_t n)
{
	return below(n) == 0;
}

/* Mostly of that kind; sometimes NULL, or something else. */
static void *any(struct places *places)
{
	struct places *all[] = { &clients, &views, &results, &arrays, &libraries, &kernels };
	struct places *from = one_in(20) ? all[below(6)] : places;
	uint32_t place = below(PLACES);

	if (one_in(20) ||
	    (from->ended[place] && round_now - from->ended_round[place] > RECOGNISED_ROUNDS))
		return NULL;
	return from->handle[place];
}

/* A new handle takes a place; what was there ends. */
static void put(struct places *places, void *handle, void (*end)(void *))
{
	uint32_t place = below(PLACES);

	if (!places->ended[place])
		end(places->handle[place]);
	places->handle[place] = handle;
	places->ended[place] = false;
}

static void end_one(struct places *places, void (*end)(void *))
{
	uint32_t place = below(PLACES);

	if (!places->ended[place])
		end(places->handle[place]);
	places->ended[place] = true;
	places->ended_round[place] = round_now;
}

static void end_client(void *handle)
{
	px_client_detach(handle);
}

static void end_view(void *handle)
{
	px_view_free(handle);
}

static void end_result(void *handle)
{
	px_result_free(handle);
}

static void end_array(void *handle)
{
	px_array_unref(handle);
}

static void keep_result(int rc, struct px_result *result)
{
	if (rc == 0 && result)
		put(&results, result, end_result);
}

/* --- arguments --- */

static struct px_value value_of(unsigned depth)
{
	static struct px_value items[4];
	struct px_value wrong = px_none();

	for (size_t i = 0; depth && i < 4; i++)
		items[i] = value_of(0);
	switch (below(depth ? 14 : 11)) {
	case 0:
		return px_none();
	case 1:
		return px_bool((int)below(2));
	case 2:
		return px_int((int64_t)random() - (int64_t)random());
	case 3:
		return px_uint(UINT64_MAX - below(3));
	case 4:
		return px_double(1.0 / below(3));
	case 5:
		return px_complex(1, -1);
	case 6:
		return one_in(3) ? px_string_n(one_in(4) ? NULL : "text", below(5)) :
				   px_string(one_in(4) ? NULL :
					     one_in(2) ? "\xff" :
							 "text");
	case 7:
		return px_bytes(one_in(4) ? NULL : "bytes", below(6));
	case 8:
	case 9:
		return px_of_array(any(&arrays));
	case 10:
		wrong.type = (enum px_type)(one_in(2) ? PX_OBJECT : (int)random());
		return wrong;
	case 11:
		return px_list(one_in(5) ? NULL : items, below(5));
	default:
		return one_in(2) ? px_list(items, below(5)) : px_dict(items, items + 2, below(3));
	}
}

static const char *text(void)
{
	static const char *const texts[] = {
		NULL,  "",          "builtins:len", "builtins:abs",      "x",
		"1/0", "import os", "nothing:here", "print('y' * 1000)", "\xff\xfe",
		"a b", "x = 1\nx",
	};

	return texts[below(sizeof(texts) / sizeof(texts[0]))];
}

static const struct px_how *how(void)
{
	/* With room for the greatest size that it may say. */
	static union {
		struct px_how how;
		char room[200];
	} wide;
	struct px_how made = PX_HOW;

	made.retries = one_in(4) ? below(3) : 0;
	made.flags = one_in(10) ? (unsigned)random() : one_in(3) ? below(8) : 0;
	made.timeout_ns = one_in(5) ? 1 + below(3) * MILLISECOND : 0;
	made.size = one_in(20) ? below(100) : sizeof(made);
	made.user = &wide;
	wide.how = made;
	return one_in(3) ? NULL : &wide.how;
}

static uint64_t moment(void)
{
	return one_in(2) ? 0 : below(3) * MILLISECOND;
}

static size_t index_of(void)
{
	return one_in(10) ? SIZE_MAX - below(2) : below(3);
}

/* It may say what it likes. */
static void tried(int rc)
{
	(void)rc;
}

/* --- calls --- */

static void call_attach(void)
{
	struct px_client *client;

	if (one_in(4) && px_client_attach(profile, 0, &client) == 0)
		put(&clients, client, end_client);
	if (one_in(6))
		end_one(&clients, end_client);
}

static void call_client(void)
{
	struct px_client *client = any(&clients);
	struct px_result *result = NULL;
	uint32_t ids[2];

	(void)px_client_poll(client);
	(void)px_client_engines(client, one_in(4) ? NULL : ids, below(3));
	(void)px_client_trim(client);
	if (one_in(3))
		tried(px_client_fd(client));
	if (px_client_next(client, moment(), one_in(10) ? NULL : &result) == 0 && result)
		for (size_t i = 0; i < PLACES; i++)
			if (results.handle[i] == result && !results.ended[i])
				return; /* it is in its place */
}

static void call_view_new(void)
{
	struct px_client *client = any(&clients);
	const uint32_t ids[] = { 0, 1, one_in(2) ? 1 : 77 };
	struct px_view *view = NULL;
	int rc;

	switch (below(4)) {
	case 0:
		rc = px_view_all(client, one_in(10) ? NULL : &view);
		break;
	case 1:
		rc = px_view_any(client, one_in(10) ? NULL : &view);
		break;
	case 2:
		rc = px_view_of(client, one_in(10) ? NULL : ids, below(4), &view);
		break;
	default:
		rc = px_view_any_of(client, one_in(10) ? NULL : ids, one_in(9) ? 9999 : below(4),
				    &view);
		break;
	}
	if (rc == 0 && view)
		put(&views, view, end_view);
	if (one_in(8))
		end_one(&views, end_view);
}

static void call_request(void)
{
	struct px_view *view = any(&views);
	struct px_result *result = NULL, **to = one_in(6) ? NULL : &result;
	struct px_value arguments[3] = { value_of(1), value_of(0), value_of(0) };
	const struct px_value *argv = one_in(9) ? NULL : arguments;
	struct px_value keywords = px_dict(arguments, arguments, below(2));
	int rc;

	switch (below(7)) {
	case 5:
		rc = px_view_scatter(view, text(), any(&arrays), (int)below(4) - 2,
				     (enum px_distribution)below(3), how(), to);
		break;
	case 6:
		rc = px_view_map(view, text(), below(4), argv, one_in(4) ? SIZE_MAX : below(3),
				 how(), to);
		break;
	case 0:
		rc = px_view_noop(view, how(), to);
		break;
	case 1:
		rc = px_view_execute(view, text(), how(), to);
		break;
	case 2:
		rc = px_view_call(view, text(), below(4), argv, one_in(4) ? &keywords : NULL, how(),
				  to);
		break;
	case 3:
		rc = px_view_push(view, text(), argv, how(), to);
		break;
	default:
		rc = px_view_pull(view, text(), how(), to);
		break;
	}
	keep_result(rc, result);
}

static void call_result(void)
{
	struct px_result *result = any(&results);
	const char *words[3];
	struct px_result *some[] = { result, any(&results) };
	struct px_times times = PX_TIMES;
	struct px_value value;
	struct px_array *array = NULL;
	char output[8];
	size_t got;
	int number;

	(void)px_result_wait(result, moment());
	(void)px_result_ready(result);
	(void)px_result_count(result);
	(void)px_result_engine(result, index_of());
	tried(px_result_value(result, index_of(), one_in(9) ? NULL : &value));
	(void)px_result_error(result, index_of(), &words[0], NULL, &words[2]);
	tried(px_result_output(result, index_of(), (int)below(4), below(9),
			       one_in(9) ? NULL : output, below(9), one_in(9) ? NULL : &got));
	tried(px_result_item_entry(result, index_of(), one_in(9) ? NULL : &got));
	tried(px_result_item(result, index_of(), one_in(9) ? NULL : &value));
	tried(px_result_gather(result, (int)below(3) - 1, (enum px_distribution)below(3),
			       any(&arrays)));
	(void)px_result_death(result, index_of(), &number, one_in(9) ? NULL : &number);
	(void)px_result_times(result, index_of(), one_in(9) ? NULL : &times);
	tried(px_result_wait_output(result, index_of(), (int)below(4), below(9), moment()));
	tried(px_result_wait_any(some, below(3), moment(), one_in(9) ? NULL : &got));
	(void)px_result_set_user(result, result);
	(void)px_result_user(result);
	if (px_result_array(result, index_of(), &array) == 0)
		put(&arrays, array, end_array);
}

static void call_off(void)
{
	struct px_result *result = any(&results);

	switch (below(4)) {
	case 0:
		(void)px_result_cancel(result, one_in(2) ? PX_ALL_ENTRIES : index_of());
		break;
	case 1:
		(void)px_result_interrupt(result, index_of());
		break;
	case 2:
		(void)px_result_abort(result);
		break;
	default:
		end_one(&results, end_result);
		break;
	}
}

static void call_array(void)
{
	static double memory[4096];
	static const enum px_dtype dtypes[] = { PX_DTYPE_FLOAT64, PX_DTYPE_INT8, PX_DTYPE_COMPLEX64,
						(enum px_dtype)0x0999 };
	const int64_t shape[] = { below(4), one_in(9) ? -1 : (int64_t)below(30), 2 };
	const int64_t strides[] = { 480, 8 * (int64_t)below(3), 8 };
	struct px_array *array = any(&arrays), *made = NULL;
	uint32_t ids[2];
	int ndim = one_in(20) ? 99 : (int)below(4), rc;

	if (one_in(2))
		rc = px_array_alloc(any(&clients), dtypes[below(4)], ndim, shape, below(9), &made);
	else
		rc = px_array_wrap(one_in(9) ? NULL : memory, dtypes[below(4)], ndim, shape,
				   one_in(2) ? NULL : strides, &made);
	if (rc == 0)
		put(&arrays, made, end_array);
	(void)px_array_data(array);
	(void)px_array_ndim(array);
	(void)px_array_shape(array);
	(void)px_array_strides(array);
	(void)px_array_dtype(array);
	(void)px_array_bytes(array);
	(void)px_array_wait(array, moment());
	(void)px_array_holders(array, ids, below(3));
	if (one_in(8))
		end_one(&arrays, end_array);
}

/* A kernel ends with its library, so that both are let go of at once, in the same place. */
static void end_native(uint32_t place)
{
	if (libraries.handle[place] && !libraries.ended[place])
		px_library_free(libraries.handle[place]);
	libraries.ended[place] = kernels.ended[place] = true;
	libraries.ended_round[place] = kernels.ended_round[place] = round_now;
}

static void call_native(void)
{
	struct px_library *library = NULL;
	struct px_kernel *kernel = NULL;
	struct px_result *result = NULL;
	struct px_value arguments[2] = { value_of(1), value_of(0) };
	uint32_t place = below(PLACES);
	int rc;

	if (one_in(6)) {
		rc = px_library_load(any(&views), one_in(4) ? text() : kernels_path,
				     one_in(3) ? moment() : 1000 * MILLISECOND, &library);
		if (rc == 0) {
			end_native(place);
			libraries.handle[place] = library;
			kernels.handle[place] = NULL;
			libraries.ended[place] = kernels.ended[place] = false;
		}
		if (rc == 0 && px_kernel_find(library, "nothing", &kernel) == 0)
			kernels.handle[place] = kernel;
	}
	tried(px_kernel_find(any(&libraries), text(), &kernel));
	rc = px_view_call_native(any(&views), any(&kernels), one_in(20) ? 999 : below(3),
				 one_in(9) ? NULL : arguments, how(), one_in(4) ? NULL : &result);
	keep_result(rc, result);
	if (one_in(12))
		end_native(below(PLACES));
}

/* To other libraries, to files, and back. */
static void call_door(void)
{
	struct DLManagedTensorVersioned *tensor = NULL;
	struct px_array *array = NULL;

	if (px_array_to_dlpack(any(&arrays), one_in(9) ? NULL : &tensor) == 0) {
		if (px_array_from_dlpack(tensor, &array) == 0)
			put(&arrays, array, end_array);
		else
			tensor->deleter(tensor);
	}
	if (one_in(4))
		tried(px_array_save(any(&arrays), one_in(9) ? NULL : file_path));
	if (one_in(4) && px_array_load(any(&clients), one_in(9) ? text() : file_path, &array) == 0)
		put(&arrays, array, end_array);
}

static void call_value(void)
{
	struct px_value value = value_of(1), got;
	int64_t integer;
	double real;
	const char *words;

	tried(px_value_get(&value, text(), &got));
	tried(px_value_as_int64(one_in(9) ? NULL : &value, &integer));
	tried(px_value_as_double(&value, one_in(9) ? NULL : &real));
	tried(px_value_as_text(&value, &words));
	(void)px_last_error();
	(void)px_last_code();
	(void)px_strerror((int)random());
}

static void call_engines(void)
{
	struct px_engine_status engine = { .size = one_in(4) ? 0 : sizeof(engine) };
	struct px_status status = { .size = one_in(4) ? 0 : sizeof(status) };
	struct px_memory memory = { .size = one_in(4) ? 0 : sizeof(memory) };
	struct px_client *client = any(&clients);
	char *json = NULL;

	if (!one_in(8))
		return;
	(void)px_client_signal(client, one_in(4) ? 77u : below(2), one_in(4) ? 99 : SIGCONT,
			       one_in(4) ? 1 : 0);
	(void)px_client_status(client, &status);
	(void)px_client_engine_status(client, one_in(4) ? 77u : below(2), &engine);
	(void)px_client_memory(client, &memory);
	if (px_client_status_json(client, &json) == 0)
		free(json);
}

static const struct {
	const char *name;
	void (*call)(void);
} calls[] = {
	{ "attach and detach", call_attach },
	{ "client", call_client },
	{ "view", call_view_new },
	{ "request", call_request },
	{ "request", call_request },
	{ "request", call_request },
	{ "result", call_result },
	{ "cancel and free", call_off },
	{ "array", call_array },
	{ "value", call_value },
	{ "engines", call_engines },
	{ "native", call_native },
	{ "DLPack and files", call_door },
};

/* --- the whole --- */

static void tell_who_hangs(int number)
{
	static const char words[] = " does not return\n";

	(void)number;
	(void)!write(STDERR_FILENO, calling, strlen(calling));
	(void)!write(STDERR_FILENO, words, sizeof(words) - 1);
	_exit(1);
}

static void fill(struct px_client *client)
{
	for (size_t i = 0; i < PLACES; i++) {
		struct px_client *more = NULL;
		struct px_view *view = NULL;
		struct px_result *result = NULL;
		struct px_array *array = NULL;

		assert_int_equal(px_client_attach(profile, 0, &more), 0);
		assert_int_equal(px_view_all(i % 2 ? client : more, &view), 0);
		assert_int_equal(px_view_noop(view, NULL, &result), 0);
		assert_int_equal(px_array_alloc(more, PX_DTYPE_INT32, 0, NULL, 0, &array), 0);
		clients.handle[i] = more;
		views.handle[i] = view;
		results.handle[i] = result;
		arrays.handle[i] = array;
	}
}

static void empty(void)
{
	for (size_t i = 0; i < PLACES; i++) {
		if (!arrays.ended[i])
			px_array_unref(arrays.handle[i]);
		if (!results.ended[i])
			px_result_free(results.handle[i]);
		if (!views.ended[i])
			px_view_free(views.handle[i]);
		if (!clients.ended[i])
			px_client_detach(clients.handle[i]);
	}
}

static void any_calls_in_any_order_return(void **state)
{
	const char *seed = getenv("PXRUN_SEED"), *soak = getenv("PXRUN_SOAK");
	long rounds = soak && !strcmp(soak, "yes") ? 200000 : 5000;
	struct px_pool_options options = PX_POOL_OPTIONS;
	struct px_client *client;
	struct px_view *view;
	struct px_result *result;

	(void)state;
	srandom(seed ? (unsigned)atoi(seed) : 1);
	snprintf(profile, sizeof(profile), "random-%d", (int)getpid());
	options.profile = profile;
	options.engines = 2;
	assert_int_equal(px_pool_start(&options, &client), 0);
	fill(client);
	snprintf(file_path, sizeof(file_path), "/tmp/pxrun-random-%d.npy", (int)getpid());
	snprintf(kernels_path, sizeof(kernels_path), "%s/tests/c/.libs/native_kernels.so",
		 getenv("PXRUN_BUILDDIR") ? getenv("PXRUN_BUILDDIR") : ".");
	for (uint32_t i = 0; i < PLACES; i++)
		libraries.ended[i] = kernels.ended[i] = true;
	signal(SIGALRM, tell_who_hangs);
	for (round_now = 0; round_now < rounds; round_now++) {
		size_t chosen = below(sizeof(calls) / sizeof(calls[0]));

		calling = calls[chosen].name;
		alarm(SOON_S);
		calls[chosen].call();
	}
	alarm(0);
	for (uint32_t i = 0; i < PLACES; i++)
		end_native(i);
	unlink(file_path);
	empty();
	/* And the pool is as it was. */
	assert_int_equal(px_view_all(client, &view), 0);
	assert_int_equal(px_view_noop(view, NULL, &result), 0);
	assert_int_equal(px_result_wait(result, 30000 * MILLISECOND), 0);
	px_result_free(result);
	px_view_free(view);
	assert_int_equal(px_client_stop_pool(client, 30000 * MILLISECOND), 0);
	px_client_detach(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_calls_in_any_order_return),
	};

	return run_cases(tests, NULL, NULL);
}
