/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pools.c - a program of somebody else, in C: what is installed compiles, links and runs.
 */
#include <stdio.h>
#include <string.h>

#include <pxrun.h>

static int failures;

static void expect(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "pools.c: %s: %s\n", what, px_last_error());
	failures++;
}

static void call(struct px_client *client)
{
	const struct px_value sides[] = { px_double(3), px_double(4) };
	struct px_result *result = NULL;
	struct px_view *view = NULL;
	struct px_value value;

	expect(px_view_all(client, &view) == 0, "a view");
	expect(px_view_call(view, "math:hypot", 2, sides, NULL, NULL, &result) == 0, "a call");
	expect(px_result_wait(result, PX_FOREVER) == 0, "waiting");
	for (size_t i = 0; i < 2; i++)
		expect(px_result_value(result, i, &value) == 0 && value.as.real == 5, "a value");
	px_result_free(result);
	px_view_free(view);
}

static void send_array(struct px_client *client)
{
	const int64_t shape[] = { 1000 };
	struct px_result *result = NULL;
	struct px_array *array = NULL;
	struct px_view *view = NULL;
	struct px_value argument;
	double sum = 0;

	expect(px_array_alloc(client, PX_DTYPE_FLOAT64, 1, shape, PX_ARRAY_ZERO, &array) == 0,
	       "an array");
	((double *)px_array_data(array))[999] = 7;
	argument = px_of_array(array);
	expect(px_view_any(client, &view) == 0, "a load-balanced view");
	expect(px_view_call(view, "numpy:sum", 1, &argument, NULL, NULL, &result) == 0, "a task");
	expect(px_result_wait(result, PX_FOREVER) == 0, "waiting for it");
	expect(px_result_value(result, 0, &argument) == 0 &&
		       px_value_as_double(&argument, &sum) == 0 && sum == 7,
	       "a sum");
	px_array_unref(array);
	px_result_free(result);
	px_view_free(view);
}

static void native(struct px_client *client)
{
	const int64_t shape[] = { 3 };
	double numbers[] = { 1, 2, 3 };
	struct px_library *library = NULL;
	struct px_result *result = NULL;
	struct px_kernel *kernel = NULL;
	struct px_array *array = NULL;
	struct px_view *view = NULL;
	struct px_value arguments[2];

	expect(px_view_all(client, &view) == 0, "a view");
	expect(px_library_load(view, "./libscale.so", PX_FOREVER, &library) == 0, "a library");
	expect(px_kernel_find(library, "scaled", &kernel) == 0, "a native function");
	expect(px_array_wrap(numbers, PX_DTYPE_FLOAT64, 1, shape, NULL, &array) == 0, "an array");
	arguments[0] = px_of_array(array);
	arguments[1] = px_double(10);
	expect(px_view_call_native(view, kernel, 2, arguments, NULL, &result) == 0,
	       "calling a native function");
	expect(px_result_wait(result, PX_FOREVER) == 0, "waiting for it");
	expect(px_result_value(result, 1, arguments) == 0 && arguments[0].as.real == 61,
	       "what it returned");
	px_array_unref(array);
	px_result_free(result);
	px_library_free(library);
	px_view_free(view);
}

int main(void)
{
	struct px_pool_options options = PX_POOL_OPTIONS;
	struct px_client *client = NULL;
	char version[32];

	snprintf(version, sizeof(version), "%d.%d.%d", PX_VERSION_MAJOR, PX_VERSION_MINOR,
		 PX_VERSION_PATCH);
	expect(strcmp(px_version(), version) == 0, "the header's version is the library's");
	options.profile = "";
	options.engines = 2;
	expect(px_pool_start(&options, &client) == 0, "a pool");
	if (client) {
		call(client);
		send_array(client);
		native(client);
	}
	px_client_detach(client);
	return failures != 0;
}
