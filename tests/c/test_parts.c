/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/c/case.h"

#include <stdlib.h>
#include <string.h>

#include "client/array.h"
#include "client/parts.h"
#include "shm/error.h"

#define LIMIT UINT64_C(30000000000)
#define ENGINES 3

static struct px_client *client;
static struct px_view *all, *first, *any;

static int start(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS;

	(void)state;
	options.profile = "";
	options.engines = ENGINES;
	if (px_pool_start(&options, &client) < 0) {
		print_error("%s\n", px_last_error());
		return -1;
	}
	return px_view_all(client, &all) | px_view_any(client, &any) |
	       px_view_of(client, (uint32_t[]){ 0 }, 1, &first);
}

static int stop(void **state)
{
	(void)state;
	px_view_free(any);
	px_view_free(first);
	px_view_free(all);
	px_client_detach(client);
	return 0;
}

static void succeeds(struct px_result *result)
{
	struct px_value value;

	assert_int_equal(px_result_wait(result, LIMIT), 0);
	for (size_t i = 0; i < px_result_count(result); i++)
		if (px_result_value(result, i, &value) < 0)
			fail_msg("%s", px_last_error());
}

static void run(struct px_view *view, const char *code)
{
	struct px_result *result;

	assert_int_equal(px_view_execute(view, code, NULL, &result), 0);
	succeeds(result);
	px_result_free(result);
}

static struct px_result *pull(const char *name)
{
	struct px_result *result;

	assert_int_equal(px_view_pull(all, name, NULL, &result), 0);
	succeeds(result);
	return result;
}

/* --- ranges --- */

static void ranges_cover_all_items_once(void **state)
{
	(void)state;
	for (int64_t items = 0; items < 20; items++)
		for (int64_t parts = 1; parts < 8; parts++)
			for (int d = PX_BLOCK; d <= PX_CYCLIC; d++) {
				int seen[20] = { 0 };
				int64_t last = items;

				for (int64_t i = 0; i < parts; i++) {
					struct px_part_range r =
						px_part_range((enum px_distribution)d, items, parts,
							      i);

					assert_true(r.count <= last);
					last = r.count;
					for (int64_t k = 0; k < r.count; k++)
						seen[r.start + k * r.step]++;
				}
				for (int64_t k = 0; k < items; k++)
					assert_int_equal(seen[k], 1);
			}
}

/* --- scatter and gather --- */

/* Of a 7 x 4 array with the elements 0 to 27. */
static void there_and_back(struct px_array *array, int axis, enum px_distribution distribution)
{
	struct px_array *back;
	struct px_result *result;
	double memory[7 * 4];
	/* Column-major, and from the last row on: gather has to heed strides. */
	const int64_t strides[] = { -8, 56 };

	assert_int_equal(px_view_scatter(all, "part", array, axis, distribution, NULL, &result), 0);
	succeeds(result);
	px_result_free(result);
	run(all, "assert part.size in (4, 7, 8, 12, 14)\npart = part + 0.5");
	assert_int_equal(px_array_wrap(&memory[6], PX_DTYPE_FLOAT64, 2, array->shape, strides,
				       &back),
			 0);
	result = pull("part");
	if (px_result_gather(result, axis, distribution, back) < 0)
		fail_msg("%s", px_last_error());
	for (int i = 0; i < 7; i++)
		for (int j = 0; j < 4; j++)
			assert_true(memory[6 - i + 7 * j] == 4 * i + j + 0.5);
	px_result_free(result);
	px_array_unref(back);
}

static void scatter_and_gather_of(struct px_array *array)
{
	for (int i = 0; i < 7; i++)
		for (int j = 0; j < 4; j++)
			*(double *)(void *)(array->data + i * array->strides[0] +
					    j * array->strides[1]) = 4 * i + j;
	for (int axis = -2; axis < 2; axis++) {
		there_and_back(array, axis, PX_BLOCK);
		there_and_back(array, axis, PX_CYCLIC);
	}
	px_array_unref(array);
}

static void scatter_and_gather_wrapped(void **state)
{
	double memory[28];
	struct px_array *array;

	(void)state;
	assert_int_equal(px_array_wrap(memory, PX_DTYPE_FLOAT64, 2, (int64_t[]){ 7, 4 }, NULL,
				       &array),
			 0);
	scatter_and_gather_of(array);
}

static void scatter_and_gather_allocated(void **state)
{
	struct px_array *array;

	(void)state;
	assert_int_equal(px_array_alloc(client, PX_DTYPE_FLOAT64, 2, (int64_t[]){ 7, 4 },
					PX_ARRAY_FORTRAN, &array),
			 0);
	scatter_and_gather_of(array);
}

static void scatter_of_live_memory_is_written_by_all(void **state)
{
	struct px_array *array;
	struct px_result *result;

	(void)state;
	assert_int_equal(px_array_alloc(client, PX_DTYPE_INT64, 1, (int64_t[]){ 10 },
					PX_ARRAY_LIVE | PX_ARRAY_ZERO, &array),
			 0);
	assert_int_equal(px_view_scatter(all, "mine", array, 0, PX_CYCLIC, NULL, &result), 0);
	succeeds(result);
	px_result_free(result);
	run(all, "mine += len(mine)");
	for (int i = 0; i < 10; i++)
		assert_int_equal(((int64_t *)px_array_data(array))[i], i % 3 == 0 ? 4 : 3);
	px_array_unref(array);
}

static void scatter_of_few_leaves_some_empty(void **state)
{
	int32_t memory[2] = { 5, 6 };
	struct px_array *array;
	struct px_result *result;

	(void)state;
	assert_int_equal(px_array_wrap(memory, PX_DTYPE_INT32, 1, (int64_t[]){ 2 }, NULL, &array),
			 0);
	for (int d = PX_BLOCK; d <= PX_CYCLIC; d++) {
		assert_int_equal(px_view_scatter(all, "few", array, 0, (enum px_distribution)d,
						 NULL, &result),
				 0);
		succeeds(result);
		px_result_free(result);
		memory[0] = memory[1] = 0;
		result = pull("few");
		assert_int_equal(px_result_gather(result, 0, (enum px_distribution)d, array), 0);
		assert_true(memory[0] == 5 && memory[1] == 6);
		px_result_free(result);
	}
	px_array_unref(array);
}

static void scatter_that_cannot_be_says_einval(void **state)
{
	double memory[4];
	struct px_array *array, *scalar;

	(void)state;
	assert_int_equal(px_array_wrap(memory, PX_DTYPE_FLOAT64, 1, (int64_t[]){ 4 }, NULL, &array),
			 0);
	assert_int_equal(px_array_wrap(memory, PX_DTYPE_FLOAT64, 0, NULL, NULL, &scalar), 0);
	assert_int_equal(px_view_scatter(all, "x", array, 1, PX_BLOCK, NULL, NULL), PX_EINVAL);
	assert_int_equal(px_view_scatter(all, "x", array, -2, PX_BLOCK, NULL, NULL), PX_EINVAL);
	assert_int_equal(px_view_scatter(all, "x", scalar, 0, PX_BLOCK, NULL, NULL), PX_EINVAL);
	assert_int_equal(px_view_scatter(all, "x", array, 0, (enum px_distribution)7, NULL, NULL),
			 PX_EINVAL);
	assert_int_equal(px_view_scatter(any, "x", array, 0, PX_BLOCK, NULL, NULL), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "px_view_all()"));
	px_array_unref(scalar);
	px_array_unref(array);
}

static void gather_that_does_not_fit_leaves_all_as_it_was(void **state)
{
	static const struct {
		const char *code, *word;
		int64_t shape[2];
		int axis;
	} cases[] = {
		{ "g = np.zeros((2, 3))", "dtype", { 6, 3 }, 0 },
		{ "g = np.zeros((2, 3), 'f4')", "items along axis 0", { 7, 3 }, 0 },
		{ "g = np.zeros((2, 3), 'f4')", "do not fit", { 5, 3 }, 0 },
		{ "g = np.zeros((2, 3), 'f4')", "dimension 0", { 6, 9 }, 1 },
		{ "g = np.zeros(2, 'f4')", "1 dimensions", { 6, 3 }, 0 },
		{ "g = [1, 2]", "no array", { 6, 3 }, 0 },
	};
	float memory[7 * 9];

	(void)state;
	for (size_t i = 0; i < 63; i++)
		memory[i] = 8;
	run(all, "import numpy as np");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct px_result *result;
		struct px_array *into;

		assert_int_equal(px_array_wrap(memory, PX_DTYPE_FLOAT32, 2, cases[i].shape, NULL,
					       &into),
				 0);
		run(all, cases[i].code);
		result = pull("g");
		assert_int_equal(px_result_gather(result, cases[i].axis, PX_BLOCK, into),
				 PX_EINVAL);
		if (!strstr(px_last_error(), cases[i].word))
			fail_msg("%zu: %s", i, px_last_error());
		px_result_free(result);
		px_array_unref(into);
	}
	for (size_t i = 0; i < 63; i++)
		assert_true(memory[i] == 8);
}

/* --- maps --- */

#define ITEMS 100

static void map_by(struct px_view *view, size_t chunk, size_t chunks)
{
	struct px_value items[ITEMS], value;
	struct px_result *result;
	size_t entry;

	for (int i = 0; i < ITEMS; i++)
		items[i] = px_int(-i);
	assert_int_equal(px_view_map(view, "builtins:abs", ITEMS, items, chunk, NULL, &result), 0);
	succeeds(result);
	if (chunks)
		assert_int_equal(px_result_count(result), chunks);
	for (size_t i = 0; i < ITEMS; i++) {
		assert_int_equal(px_result_item(result, i, &value), 0);
		assert_int_equal(value.as.integer, i);
	}
	assert_int_equal(px_result_item(result, ITEMS, &value), PX_EINVAL);
	assert_int_equal(px_result_item_entry(result, ITEMS - 1, &entry), 0);
	assert_int_equal(entry, px_result_count(result) - 1);
	assert_int_equal(px_result_item_entry(result, ITEMS, &entry), PX_EINVAL);
	px_result_free(result);
}

static void map_of_any_chunks(void **state)
{
	(void)state;
	map_by(all, 0, ENGINES);
	map_by(first, 0, 1);
	for (size_t chunk = 1; chunk < ITEMS + 2; chunk += 7) {
		map_by(all, chunk, (ITEMS + chunk - 1) / chunk);
		map_by(any, chunk, (ITEMS + chunk - 1) / chunk);
	}
	map_by(any, 0, 0);
	map_by(any, 1000, 1);
}

static void map_of_arrays(void **state)
{
	static double memory[5][20000];
	struct px_value items[5], value;
	struct px_array *arrays[5];
	struct px_result *result;
	double sum;

	(void)state;
	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < 20000; k++)
			memory[i][k] = i;
		assert_int_equal(px_array_wrap(memory[i], PX_DTYPE_FLOAT64, 1, (int64_t[]){ 20000 },
					       NULL, &arrays[i]),
				 0);
		items[i] = px_of_array(arrays[i]);
	}
	assert_int_equal(px_view_map(any, "numpy:sum", 5, items, 2, NULL, &result), 0);
	succeeds(result);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(px_result_item(result, (size_t)i, &value), 0);
		assert_int_equal(px_value_as_double(&value, &sum), 0);
		assert_true(sum == 20000.0 * i);
		px_array_unref(arrays[i]);
	}
	px_result_free(result);
}

static void map_that_fails_names_the_item(void **state)
{
	struct px_value items[6], value;
	const char *traceback;
	struct px_result *result;

	(void)state;
	for (int i = 0; i < 6; i++)
		items[i] = px_int(i);
	run(all, "def f(x): return 6 // (x - 3)");
	assert_int_equal(px_view_map(all, "f", 6, items, 0, NULL, &result), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_item(result, 1, &value), 0);
	assert_int_equal(value.as.integer, -3);
	assert_int_equal(px_result_item(result, 3, &value), PX_EREMOTE);
	assert_non_null(strstr(px_last_error(), "one of the items 2 to 3, a chunk: engine"));
	assert_int_equal(px_result_error(result, 1, NULL, NULL, &traceback), 0);
	assert_non_null(strstr(traceback, "element 3 of the map"));
	assert_int_equal(px_result_item(result, 4, &value), 0);
	px_result_free(result);
	assert_int_equal(px_view_map(all, "f", 0, items, 0, NULL, NULL), PX_EINVAL);
	assert_int_equal(px_view_noop(all, NULL, &result), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_item(result, 0, &value), PX_EINVAL);
	px_result_free(result);
	/* A chunk of one item failed with that. */
	assert_int_equal(px_view_map(all, "f", 6, items, 1, NULL, &result), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_item(result, 3, &value), PX_EREMOTE);
	assert_null(strstr(px_last_error(), "items"));
	assert_int_equal(px_result_item(result, 6, &value), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "item 6, counted from 0"));
	px_result_free(result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_cover_all_items_once),
		cmocka_unit_test(scatter_and_gather_wrapped),
		cmocka_unit_test(scatter_and_gather_allocated),
		cmocka_unit_test(scatter_of_live_memory_is_written_by_all),
		cmocka_unit_test(scatter_of_few_leaves_some_empty),
		cmocka_unit_test(scatter_that_cannot_be_says_einval),
		cmocka_unit_test(gather_that_does_not_fit_leaves_all_as_it_was),
		cmocka_unit_test(map_of_any_chunks),
		cmocka_unit_test(map_of_arrays),
		cmocka_unit_test(map_that_fails_names_the_item),
	};

	return run_cases(tests, start, stop);
}
