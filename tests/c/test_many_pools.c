/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program that starts and stops pools all day has as much memory, and as many descriptors, as after the
 * first ones. 20 in make check, 200 in make soak.
 */
#include "tests/c/case.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/pxrun.h"

#define LIMIT UINT64_C(60000000000)
#define FIRST 5 /* pools after which it counts */
/* What malloc and the loader may keep at their leisure. */
#define SLACK_PAGES 256

static long count_in(const char *path)
{
	DIR *folder = opendir(path);
	long count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static long resident_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long total, resident;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld %ld", &total, &resident), 2);
	fclose(file);
	return resident;
}

static long mapping_count(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	long lines = 0;
	int byte;

	assert_non_null(file);
	while ((byte = getc(file)) != EOF)
		lines += byte == '\n';
	fclose(file);
	return lines;
}

/* A pool that is used: an array there and back, a task, output, something unanswered at the end. */
static void use_a_pool(void)
{
	struct px_pool_options options = PX_POOL_OPTIONS;
	struct px_result *result, *never;
	struct px_array *array, *back;
	struct px_client *client;
	struct px_value value;
	struct px_view *view;

	options.profile = "";
	options.engines = 1;
	options.preload = "";
	if (px_pool_start(&options, &client) < 0)
		fail_msg("%s", px_last_error());
	assert_int_equal(px_view_all(client, &view), 0);
	assert_int_equal(px_array_alloc(client, PX_DTYPE_INT8, 1, (int64_t[]){ 1 << 20 },
					PX_ARRAY_ZERO, &array),
			 0);
	value = px_of_array(array);
	assert_int_equal(px_view_push(view, "a", &value, NULL, NULL), 0);
	assert_int_equal(px_view_pull(view, "a", NULL, &result), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_array(result, 0, &back), 0);
	assert_int_equal(px_array_bytes(back), 1 << 20);
	assert_true(px_client_fd(client) >= 0);
	assert_int_equal(px_view_execute(view, "import time; time.sleep(100)", NULL, &never), 0);
	px_view_free(view);
	px_client_detach(client);
	assert_int_equal(px_result_value(never, 0, &value), PX_ECLOSED);
	px_result_free(never);
	px_result_free(result);
	px_array_unref(back);
	px_array_unref(array);
}

static void pools_one_after_the_other_leave_nothing(void **state)
{
	const char *soak = getenv("PXRUN_SOAK");
	long pools = soak && !strcmp(soak, "yes") ? 200 : 20, descriptors = 0, pages = 0, maps = 0,
	     threads = 0;

	(void)state;
	for (long i = 0; i < pools; i++) {
		if (i == FIRST) {
			descriptors = count_in("/proc/self/fd");
			threads = count_in("/proc/self/task");
			pages = resident_pages();
			maps = mapping_count();
		}
		use_a_pool();
	}
	assert_int_equal(count_in("/proc/self/fd"), descriptors);
	assert_int_equal(count_in("/proc/self/task"), threads);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip(); /* they keep what was freed */
#endif
	assert_in_range(mapping_count(), 0, maps);
	assert_in_range(resident_pages(), 0, pages + SLACK_PAGES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pools_one_after_the_other_leave_nothing),
	};

	return run_cases(tests, NULL, NULL);
}
