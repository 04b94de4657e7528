/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/c/case.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* In this order: a code that the public header lacks does not compile below. */
#include "client/pxrun.h"
#include "shm/error.h"

#define LONG_BYTES 100000 /* more than any line of words */

static char endless[LONG_BYTES + 1];

static int setup(void **state)
{
	(void)state;
	memset(endless, 'x', LONG_BYTES);
	return 0;
}

static void fail_any_gives_code_and_words(void **state)
{
	(void)state;
	assert_int_equal(px_fail(PX_ENOMEM, "needs %d MiB, has %d", 5, 3), PX_ENOMEM);
	assert_string_equal(px_last_error(), "needs 5 MiB, has 3");
	assert_int_equal(px_fail(PX_EINVAL, "no"), PX_EINVAL);
	assert_string_equal(px_last_error(), "no");
}

static void fail_own_words_wraps_them(void **state)
{
	(void)state;
	px_fail(PX_ESYSTEM, "the cause");
	px_fail(PX_EPOOL, "the pool: %s: %s", px_last_error(), px_last_error());
	assert_string_equal(px_last_error(), "the pool: the cause: the cause");
}

static void fail_percent_in_argument_is_no_format(void **state)
{
	(void)state;
	px_fail(PX_EREMOTE, "%s", "100 %s of %n");
	assert_string_equal(px_last_error(), "100 %s of %n");
}

static void fail_endless_words_are_cut(void **state)
{
	size_t length;

	(void)state;
	assert_int_equal(px_fail(PX_EREMOTE, "%s", endless), PX_EREMOTE);
	length = strlen(px_last_error());
	assert_in_range(length, 1000, LONG_BYTES - 1);
	/* No room for the reason: the words stay as they are. */
	errno = ENOSPC;
	assert_int_equal(px_fail_errno("%s", endless), PX_ESYSTEM);
	assert_int_equal(strlen(px_last_error()), length);
	/* Room for a part of it. */
	errno = ENOSPC;
	px_fail_errno("%.*s", (int)length - 4, endless);
	assert_int_equal(strlen(px_last_error()), length);
	assert_string_equal(px_last_error() + length - 4, ": No");
}

static void fail_errno_any_says_why(void **state)
{
	char expected[200];

	(void)state;
	snprintf(expected, sizeof(expected), "opening /nowhere: %s", strerror(ENOENT));
	errno = ENOENT;
	assert_int_equal(px_fail_errno("opening %s", "/nowhere"), PX_ESYSTEM);
	assert_string_equal(px_last_error(), expected);
}

static void *fail_elsewhere(void *ctx)
{
	const char **first = ctx;

	*first = px_last_error()[0] ? "words of another thread" : NULL;
	px_fail(PX_EINVAL, "elsewhere");
	return NULL;
}

static void last_error_of_another_thread_is_not_ours(void **state)
{
	const char *wrong = "the thread did not run";
	pthread_t thread;

	(void)state;
	px_fail(PX_EINVAL, "here");
	assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &wrong), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_null(wrong);
	assert_string_equal(px_last_error(), "here");
}

/* Takes all that malloc can still give. */
static void use_up_memory(void)
{
	setrlimit(RLIMIT_DATA, &(struct rlimit){ 0, 0 });
	for (size_t bytes = 1 << 20; bytes >= 16; bytes /= 2)
		while (malloc(bytes))
			;
}

static void *fail_without_memory(void *ctx)
{
	const char **found = ctx;

	use_up_memory();
	px_fail(PX_ENOMEM, "an array needs %d MiB", 5);
	*found = px_last_error();
	return NULL;
}

/* Where even a failure's words find no memory, those of its code are left. */
static void fail_without_memory_has_the_words_of_the_code(void **state)
{
	const char *found = NULL;
	pthread_t thread;

	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip(); /* their allocators end the process */
#endif
	assert_int_equal(pthread_create(&thread, NULL, fail_without_memory, &found), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_ptr_equal(found, px_strerror(PX_ENOMEM));
}

/* Numbers count down from -1 without a gap. */
static const int codes[] = {
#define NUMBER(name, number, words) number,
	PX_ERROR_CODES(NUMBER)
};
#define CODES (int)(sizeof(codes) / sizeof(codes[0]))

static void public_header_has_the_same_numbers(void **state)
{
	(void)state;
#define SAME(name, number, words) assert_int_equal(PX_##name, number);
	PX_ERROR_CODES(SAME)
	for (int i = 0; i < CODES; i++)
		assert_int_equal(codes[i], -1 - i);
}

static void strerror_each_code_has_words_of_its_own(void **state)
{
	(void)state;
	for (int code = 0; code >= -CODES; code--) {
		assert_true(strlen(px_strerror(code)) > 0);
		assert_string_not_equal(px_strerror(code), "unknown error");
		for (int other = 0; other > code; other--)
			assert_string_not_equal(px_strerror(code), px_strerror(other));
	}
}

static void strerror_no_code_is_unknown(void **state)
{
	static const int none[] = { 1, INT_MAX, -CODES - 1, INT_MIN, INT_MIN + 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_string_equal(px_strerror(none[i]), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fail_any_gives_code_and_words),
		cmocka_unit_test(fail_own_words_wraps_them),
		cmocka_unit_test(fail_percent_in_argument_is_no_format),
		cmocka_unit_test(fail_endless_words_are_cut),
		cmocka_unit_test(fail_errno_any_says_why),
		cmocka_unit_test(last_error_of_another_thread_is_not_ours),
		cmocka_unit_test(fail_without_memory_has_the_words_of_the_code),
		cmocka_unit_test(public_header_has_the_same_numbers),
		cmocka_unit_test(strerror_each_code_has_words_of_its_own),
		cmocka_unit_test(strerror_no_code_is_unknown),
	};

	return run_cases(tests, setup, NULL);
}
