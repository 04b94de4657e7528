/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_output.c - output in the order in which it came, and what of it is news.
 */
#include "tests/c/case.h"

#include <stdio.h>
#include <string.h>

#include "client/output.h"

static void say(struct px_output *output, enum px_stream stream, const char *text)
{
	assert_int_equal(px_output_append(output, stream, text, strlen(text)), 0);
}

/* All pieces, as "stream:text|". */
static const char *pieces(const struct px_output *output)
{
	static char text[256];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < output->count; i++) {
		const struct px_output_piece *piece = &output->pieces[i];

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%d:%.*s|",
					 (int)piece->stream, (int)piece->length,
					 output->texts[piece->stream].bytes + piece->start);
	}
	return text;
}

static void expect_news(struct px_output *output, bool all, const char *expected)
{
	struct px_output news = { 0 };

	assert_int_equal(px_output_news(output, all, SIZE_MAX, &news), 0);
	assert_string_equal(pieces(&news), expected);
	px_output_clear(&news);
}

static void append_keeps_the_order(void **state)
{
	struct px_output output = { 0 }, copy = { 0 };

	(void)state;
	say(&output, PX_STREAM_STDOUT, "a");
	say(&output, PX_STREAM_STDOUT, "b");
	say(&output, PX_STREAM_STDERR, "c");
	say(&output, PX_STREAM_DISPLAY, "d");
	say(&output, PX_STREAM_DISPLAY, "e");
	say(&output, PX_STREAM_STDOUT, "f");
	assert_string_equal(pieces(&output), "0:ab|1:c|2:d|2:e|0:f|");
	assert_int_equal(px_output_copy(&output, &copy), 0);
	assert_string_equal(pieces(&copy), "0:ab|1:c|2:d|2:e|0:f|");
	px_output_clear(&copy);
	px_output_clear(&output);
}

static void news_are_given_once_and_in_lines(void **state)
{
	struct px_output output = { 0 };

	(void)state;
	assert_false(px_output_has_news(&output));
	expect_news(&output, true, "");
	say(&output, PX_STREAM_STDOUT, "one\ntwo\nthr");
	expect_news(&output, false, "0:one\ntwo\n|");
	expect_news(&output, false, "");
	say(&output, PX_STREAM_STDERR, "wrong");
	say(&output, PX_STREAM_STDOUT, "ee\nfour");
	assert_true(px_output_has_news(&output));
	expect_news(&output, false, "0:three\n|");
	expect_news(&output, true, "0:four|1:wrong|");
	assert_false(px_output_has_news(&output));
	expect_news(&output, true, "");
	px_output_clear(&output);
}

static void news_of_what_was_displayed_come_between_lines(void **state)
{
	struct px_output output = { 0 };

	(void)state;
	say(&output, PX_STREAM_STDOUT, "before\nhalf");
	say(&output, PX_STREAM_DISPLAY, "plot");
	assert_true(px_output_has_news(&output));
	expect_news(&output, false, "0:before\n|2:plot|");
	say(&output, PX_STREAM_STDOUT, " a line\n");
	say(&output, PX_STREAM_DATA, "data");
	say(&output, PX_STREAM_DISPLAY, "plot 2");
	expect_news(&output, false, "0:half a line\n|3:data|2:plot 2|");
	assert_false(px_output_has_news(&output));
	px_output_clear(&output);
}

static void news_within_a_bound_ends_with_a_line(void **state)
{
	struct px_output output = { 0 }, news = { 0 };

	(void)state;
	say(&output, PX_STREAM_STDOUT, "one\ntwo\n");
	say(&output, PX_STREAM_DISPLAY, "d");
	say(&output, PX_STREAM_STDERR, "three\n");
	assert_int_equal(px_output_news(&output, true, 6, &news), 0);
	assert_string_equal(pieces(&news), "0:one\n|");
	px_output_clear(&news);
	assert_int_equal(px_output_told(&output), 4);
	/* A line that is longer by itself is cut. */
	assert_int_equal(px_output_news(&output, true, 2, &news), 0);
	assert_string_equal(pieces(&news), "0:tw|");
	px_output_clear(&news);
	expect_news(&output, false, "0:o\n|2:d|1:three\n|");
	assert_int_equal(px_output_told(&output), 14);
	px_output_clear(&output);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(append_keeps_the_order),
		cmocka_unit_test(news_are_given_once_and_in_lines),
		cmocka_unit_test(news_of_what_was_displayed_come_between_lines),
		cmocka_unit_test(news_within_a_bound_ends_with_a_line),
	};

	return run_cases(tests, NULL, NULL);
}
