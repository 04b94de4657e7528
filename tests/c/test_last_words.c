/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_last_words.c - the end of an output.
 */
#include "tests/c/case.h"

#include <string.h>
#include <unistd.h>

#include "supervisor/last_words.h"

static bool nowhere(void *ctx, const char *bytes, size_t count)
{
	(void)ctx;
	(void)bytes;
	(void)count;
	return true;
}

static void last_words_keep_the_end(void **state)
{
	struct px_log_lines lines = { .write = nowhere };
	struct px_last_words words = { .used = 0 };
	char many[3000];
	int pair[2];

	(void)state;
	assert_string_equal(px_last_words_line(&words), "");
	memset(many, 'x', sizeof(many));
	px_last_words_add(&words, many, sizeof(many));
	px_last_words_add(&words, "\nTraceback\nImportError: no\n  \n", 30);
	assert_int_equal(words.used, sizeof(words.text) - 1);
	assert_string_equal(px_last_words_line(&words), "ImportError: no");
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(write(pair[1], "end", 3), 3);
	/* The pipe's other end is open, and yet it does not wait. */
	px_last_words_drain(pair[0], &lines, &words);
	assert_string_equal(px_last_words_line(&words), "ImportError: noend");
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_words_keep_the_end),
	};

	return run_cases(tests, NULL, NULL);
}
