/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_log_file.c - marked lines, and a log that has become too long.
 */
#include "tests/c/case.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/log_file.h"

/* --- lines --- */

static char *text;
static size_t used;
static unsigned writes;

static void collect(void *ctx, const char *bytes, size_t count)
{
	(void)ctx;
	text = realloc(text, used + count + 1);
	memcpy(text + used, bytes, count);
	used += count;
	text[used] = '\0';
	writes++;
}

static struct px_log_lines lines = { .write = collect, .prefix = "[e] " };

static void add(const char *bytes)
{
	px_log_lines_add(&lines, bytes, strlen(bytes));
}

static void add_marks_each_line_once(void **state)
{
	(void)state;
	add("a\n\nb");
	add("c");
	add("\nd\n");
	assert_string_equal(text, "[e] a\n[e] \n[e] bc\n[e] d\n");
}

static void end_ends_only_what_is_incomplete(void **state)
{
	(void)state;
	px_log_lines_end(&lines);
	assert_int_equal(writes, 0);
	add("a");
	px_log_lines_end(&lines);
	px_log_lines_end(&lines);
	add("b\n");
	assert_string_equal(text, "[e] a\n[e] b\n");
}

/* So that the line of another process does not come into it. */
static void add_writes_lines_in_one_piece(void **state)
{
	char many[20 * 1000 + 1];

	(void)state;
	for (int i = 0; i < 20; i++) {
		memset(many + i * 1000, 'a' + i, 999);
		many[i * 1000 + 999] = '\n';
	}
	many[sizeof(many) - 1] = '\0';
	add(many);
	assert_int_equal(used, 20 * 1004);
	assert_int_equal(writes, 2);
	/* The first write was of 16 lines, the most that go in. */
	assert_memory_equal(text + (size_t)16 * 1004, "[e] q", 5);
}

static void add_line_that_is_too_long_is_whole(void **state)
{
	char *longest = malloc(100001);

	(void)state;
	memset(longest, 'x', 100000);
	longest[100000] = '\0';
	add(longest);
	assert_int_equal(used, 100004);
	assert_memory_equal(text, "[e] x", 5);
	assert_string_equal(text + 4, longest);
	free(longest);
}

/* --- the file --- */

static char path[128], kept[130];

static int open_log(void)
{
	snprintf(path, sizeof(path), "%s/log", case_folder());
	snprintf(kept, sizeof(kept), "%s.1", path);
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static off_t size_of(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 ? st.st_size : -1;
}

static void rotate_keeps_what_there_was(void **state)
{
	int log = open_log();
	char end[4] = "";
	int old;

	(void)state;
	assert_int_equal(ftruncate(log, PX_LOG_MAX_BYTES - 3), 0);
	assert_int_equal(write(log, "end", 3), 3);
	px_log_file_rotate(log);
	assert_int_equal(size_of(kept), -1);
	assert_int_equal(write(log, "END", 3), 3);
	px_log_file_rotate(log);
	assert_int_equal(size_of(path), 0);
	assert_int_equal(size_of(kept), PX_LOG_MAX_BYTES + 3);
	old = open(kept, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(old, end, 3, PX_LOG_MAX_BYTES), 3);
	assert_string_equal(end, "END");
	close(old);
	/* Everybody's descriptor goes on at the new beginning. */
	assert_int_equal(write(log, "new", 3), 3);
	assert_int_equal(size_of(path), 3);
}

static void rotate_by_another_process_is_left_to_it(void **state)
{
	int log = open_log(), other = open(path, O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(log, PX_LOG_MAX_BYTES + 1), 0);
	assert_int_equal(flock(other, LOCK_EX), 0);
	px_log_file_rotate(log);
	assert_int_equal(size_of(path), PX_LOG_MAX_BYTES + 1);
	close(other);
	px_log_file_rotate(log);
	assert_int_equal(size_of(path), 0);
}

static void rotate_without_a_name_does_nothing(void **state)
{
	int log = memfd_create("log", MFD_CLOEXEC), other;
	struct stat st;

	(void)state;
	assert_int_equal(ftruncate(log, PX_LOG_MAX_BYTES + 1), 0);
	px_log_file_rotate(log);
	assert_int_equal(fstat(log, &st), 0);
	assert_int_equal(st.st_size, PX_LOG_MAX_BYTES + 1);
	/* Nor does it touch another file that has got the name. */
	log = open_log();
	assert_int_equal(ftruncate(log, PX_LOG_MAX_BYTES + 1), 0);
	assert_int_equal(unlink(path), 0);
	other = open_log();
	assert_int_equal(ftruncate(other, PX_LOG_MAX_BYTES + 2), 0);
	px_log_file_rotate(log);
	assert_int_equal(size_of(path), PX_LOG_MAX_BYTES + 2);
	assert_int_equal(size_of(kept), -1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(add_marks_each_line_once),
		cmocka_unit_test(end_ends_only_what_is_incomplete),
		cmocka_unit_test(add_writes_lines_in_one_piece),
		cmocka_unit_test(add_line_that_is_too_long_is_whole),
		cmocka_unit_test(rotate_keeps_what_there_was),
		cmocka_unit_test(rotate_by_another_process_is_left_to_it),
		cmocka_unit_test(rotate_without_a_name_does_nothing),
	};

	return run_cases(tests, NULL, NULL);
}
