/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_log_line.c - lines of a log: written whole, with time and owner, and read again.
 */
#include "tests/c/case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pool/log_line.h"

#define TIME_BYTES 25 /* with the space behind it */

static char *text; /* all that was written */
static size_t used;
static unsigned writes;
static size_t room = SIZE_MAX; /* that the disk has */

static bool collect(void *ctx, const char *bytes, size_t count)
{
	bool all = count <= room;

	(void)ctx;
	assert_int_equal(bytes[count - 1], '\n');
	if (!all)
		count = room;
	if (room != SIZE_MAX)
		room -= count;
	text = realloc(text, used + count + 1);
	memcpy(text + used, bytes, count);
	used += count;
	text[used] = '\0';
	writes++;
	return all;
}

static struct px_log_lines lines = { .write = collect, .who = "engine 3" };

static void add(const char *bytes)
{
	px_log_lines_add(&lines, bytes, strlen(bytes));
}

/* What was written, without the times. */
static const char *written(void)
{
	static char out[1 << 20];
	size_t length = 0;

	for (const char *at = text; at && *at;) {
		size_t line = strcspn(at, "\n") + 1;

		assert_true(line > TIME_BYTES);
		memcpy(out + length, at + TIME_BYTES, line - TIME_BYTES);
		length += line - TIME_BYTES;
		at += line;
	}
	out[length] = '\0';
	return out;
}

/* --- writing --- */

static void add_marks_each_line_once(void **state)
{
	(void)state;
	add("a\n\nb");
	add("c");
	assert_string_equal(written(), "engine 3: a\nengine 3: \n");
	add("\nd\n");
	assert_string_equal(written(), "engine 3: a\nengine 3: \nengine 3: bc\nengine 3: d\n");
}

static void flush_writes_a_part_and_the_rest_follows_it(void **state)
{
	(void)state;
	px_log_lines_flush(&lines);
	assert_int_equal(writes, 0);
	add("a");
	px_log_lines_flush(&lines);
	px_log_lines_flush(&lines);
	add("b\nc");
	px_log_lines_flush(&lines);
	/* Nothing is left of this one. */
	add("\nd\n");
	assert_string_equal(written(), "engine 3: a\nengine 3+ b\nengine 3: c\nengine 3: d\n");
}

static void no_line_ends_amid_a_character(void **state)
{
	static const char *const whole[] = { "\xc3\xb6", "\xe2\x82\xac", "\xf0\x9f\x90\x8d" };
	char expected[256] = "";

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (size_t cut = 1; cut < strlen(whole[i]); cut++) {
			char first[8] = "", line[32];

			memcpy(first, whole[i], cut);
			add(first);
			px_log_lines_flush(&lines);
			add(whole[i] + cut);
			px_log_lines_flush(&lines);
			add("\n");
			snprintf(line, sizeof(line), "engine 3: %s\n", whole[i]);
			strcat(expected, line);
		}
	}
	/* These begin none, or never end. */
	add("\xb6\xff");
	px_log_lines_flush(&lines);
	add("a\xe2");
	px_log_lines_flush(&lines);
	px_log_lines_end(&lines);
	strcat(expected, "engine 3: \xb6\nengine 3+ \xff"
			 "a\nengine 3+ \xe2\n");
	assert_string_equal(written(), expected);
}

/* The disk was full, and is no longer. */
static void add_after_a_torn_line_begins_a_line(void **state)
{
	(void)state;
	room = TIME_BYTES + 14;
	add("long enough\nb\n");
	add("c\n");
	room = SIZE_MAX;
	add("d\n");
	add("e\n");
	assert_string_equal(written(), "engine 3: long\nengine 3: d\nengine 3: e\n");
}

static void end_begins_a_line(void **state)
{
	(void)state;
	px_log_lines_end(&lines);
	assert_int_equal(writes, 0);
	add("a");
	px_log_lines_end(&lines);
	add("\nb\n");
	assert_string_equal(written(), "engine 3: a\nengine 3: \nengine 3: b\n");
}

static void add_of_many_lines_writes_whole_ones(void **state)
{
	char many[30 * 1000 + 1];

	(void)state;
	for (int i = 0; i < 30; i++) {
		memset(many + i * 1000, 'a' + i % 26, 999);
		many[i * 1000 + 999] = '\n';
	}
	many[sizeof(many) - 1] = '\0';
	add(many);
	assert_int_equal(used, 30 * (TIME_BYTES + strlen("engine 3: ") + 1000));
	assert_in_range(writes, 2, 3); /* and collect() has seen that each ends a line */
}

static void add_line_that_is_too_long_is_cut(void **state)
{
	static char longest[2 * PX_LOG_TEXT_BYTES + 2];
	const char *out;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 2);
	add(longest);
	add("\nb\n");
	out = written();
	assert_memory_equal(out, "engine 3: x", 11);
	assert_int_equal(strcspn(out, "\n"), strlen("engine 3: ") + PX_LOG_TEXT_BYTES);
	out += strcspn(out, "\n") + 1;
	assert_memory_equal(out, "engine 3+ x", 11);
	out += strcspn(out, "\n") + 1;
	assert_string_equal(out, "engine 3: b\n");
}

static void time_is_utc(void **state)
{
	struct tm date = { 0 };
	time_t before = time(NULL), at;
	const char *end;

	(void)state;
	add("a\n");
	end = strptime(text, "%Y-%m-%dT%H:%M:%S", &date);
	assert_non_null(end);
	assert_int_equal(*end, '.');
	at = timegm(&date);
	assert_true(at >= before && at <= time(NULL));
}

/* --- reading --- */

static void whose_reads_what_is_written(void **state)
{
	int64_t whose = 0;

	(void)state;
	add("a");
	px_log_lines_flush(&lines);
	add("b\n");
	assert_true(px_log_line_whose(text, &whose));
	assert_int_equal(whose, 3);
	whose = 0;
	assert_true(px_log_line_whose(text + strcspn(text, "\n") + 1, &whose));
	assert_int_equal(whose, 3);
#define NOW "2026-11-28T02:40:09.123Z "
	assert_true(px_log_line_whose(NOW "supervisor: up\n", &whose));
	assert_int_equal(whose, PX_LOG_SUPERVISOR);
	assert_true(px_log_line_whose(NOW "template+ x", &whose));
	assert_int_equal(whose, PX_LOG_TEMPLATE);
	assert_true(px_log_line_whose(NOW "engine 511: engine 2: x\n", &whose));
	assert_int_equal(whose, 511);
}

static void whose_of_other_lines_is_not_known(void **state)
{
	static const char *const others[] = {
		"",
		"\n",
		"engine 3: x",
		"2026-11-28T02:40:09.123Z",
		NOW,
		NOW "supervisor",
		NOW "supervisors: x",
		NOW "engine : x",
		NOW "engine 3 x",
		NOW "engine 3:x",
		NOW "engine -3: x",
		NOW "engine 03: x",
		NOW "engine  3: x",
		NOW "engine 99999999999: x",
		"2026-11-28 02:40:09.123Z engine 3: x",
	};
	int64_t whose;

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (px_log_line_whose(others[i], &whose))
			fail_msg("'%s' was taken for a line of the log", others[i]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(add_marks_each_line_once),
		cmocka_unit_test(flush_writes_a_part_and_the_rest_follows_it),
		cmocka_unit_test(no_line_ends_amid_a_character),
		cmocka_unit_test(add_after_a_torn_line_begins_a_line),
		cmocka_unit_test(end_begins_a_line),
		cmocka_unit_test(add_of_many_lines_writes_whole_ones),
		cmocka_unit_test(add_line_that_is_too_long_is_cut),
		cmocka_unit_test(time_is_utc),
		cmocka_unit_test(whose_reads_what_is_written),
		cmocka_unit_test(whose_of_other_lines_is_not_known),
	};

	return run_cases(tests, NULL, NULL);
}
