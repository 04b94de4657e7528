/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_case.c - the runner of cases, on cases that go wrong: this program runs itself with INNER set.
 */
#include "tests/c/case.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- cases that go wrong --- */

static int seen;

static void passes(void **state)
{
	(void)state;
	assert_int_equal(seen++, 1); /* by the fixture, and no other case */
	puts("nobody reads this");
}

static void passes_again(void **state)
{
	passes(state);
}

static void fails(void **state)
{
	(void)state;
	puts("what was wrong");
	assert_int_equal(1, 2);
}

static void crashes(void **state)
{
	(void)state;
	printf("last words");
	(void)signal(SIGSEGV, SIG_DFL); /* a sanitizer would make an exit of it */
	(void)raise(SIGSEGV);
}

static void exits(void **state)
{
	(void)state;
	_exit(3);
}

static void skips(void **state)
{
	(void)state;
	puts("the kernel cannot do it");
	skip();
}

static void hangs(void **state)
{
	(void)state;
	puts("this far");
	(void)signal(SIGTERM, SIG_IGN);
	(void)fork();
	for (;;)
		pause();
}

static void prints_much(void **state)
{
	(void)state;
	for (int i = 0; i < 100000; i++)
		printf("line %d\n", i);
	fail();
}

static int see(void **state)
{
	(void)state;
	seen++;
	return 0;
}

static int complain(void **state)
{
	(void)state;
	return strcmp(getenv("INNER"), "teardown") == 0 ? -1 : 0;
}

static int run_inner(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(passes),  cmocka_unit_test(passes_again), cmocka_unit_test(fails),
		cmocka_unit_test(crashes), cmocka_unit_test(exits),        cmocka_unit_test(skips),
		cmocka_unit_test(hangs),   cmocka_unit_test(prints_much),
	};

	return run_cases_named("inner: ", cases, see, complain);
}

/* --- what is said of them --- */

#define LIMIT "3" /* seconds; of those that hang, and enough for the others */

static char text[1 << 18];

/* Runs the inner cases that match; the exit status. Afterwards nobody of them is left. */
static int run(const char *pattern, const char *inner)
{
	size_t used = 0;
	int ends[2], status;
	ssize_t got;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		setenv("INNER", inner, 1);
		setenv("PXRUN_CASES", pattern, 1);
		setenv("PXRUN_CASE_SECONDS", LIMIT, 1);
		close(ends[0]);
		dup2(ends[1], STDOUT_FILENO);
		execl("/proc/self/exe", "test_case", (char *)NULL);
		_exit(99);
	}
	close(ends[1]);
	/* All of them have the writing end: it ends with the last. */
	while ((got = read(ends[0], text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)got;
	text[used] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool said(const char *words)
{
	return strstr(text, words);
}

static void each_case_has_fixtures_and_memory_of_its_own(void **state)
{
	(void)state;
	assert_int_equal(run("passes*", "yes"), 0);
	assert_true(said("[       OK ] inner: passes\n[       OK ] inner: passes_again\n"));
	assert_true(said("[  PASSED  ] 2 test(s).\n"));
	assert_false(said("nobody reads this"));
}

static void failure_shows_what_was_printed(void **state)
{
	(void)state;
	assert_int_equal(run("fails", "yes"), 1);
	assert_true(said("    what was wrong\n    [  ERROR   ] --- 0x1 != 0x2\n"));
	assert_true(said("test_case.c:"));
	assert_true(said("[  FAILED  ] inner: fails failed\n"));
	assert_true(said("[  PASSED  ] 0 test(s).\n[  FAILED  ] 1 test(s).\n"));
}

static void crash_says_signal_and_last_words(void **state)
{
	(void)state;
	assert_int_equal(run("crashes", "yes"), 1);
	assert_true(said("    last words\n[  FAILED  ] inner: crashes was killed by SIGSEGV\n"));
}

static void exit_says_its_code(void **state)
{
	(void)state;
	assert_int_equal(run("exits", "yes"), 1);
	assert_true(said("[  FAILED  ] inner: exits exited with code 3\n"));
}

static void skip_gives_its_reason_and_fails_nothing(void **state)
{
	(void)state;
	assert_int_equal(run("skips", "yes"), 0);
	assert_true(said("    the kernel cannot do it\n[  SKIPPED ] inner: skips\n"));
	assert_true(said("[  PASSED  ] 0 test(s).\n[  SKIPPED ] 1 test(s).\n"));
}

static void hang_is_killed_with_its_children(void **state)
{
	(void)state;
	assert_int_equal(run("hangs", "yes"), 1);
	assert_true(said("    this far\n"));
	assert_true(said("[  FAILED  ] inner: hangs did not end within " LIMIT " s\n"));
}

static void much_output_keeps_its_end(void **state)
{
	(void)state;
	assert_int_equal(run("prints_much", "yes"), 1);
	assert_true(said("    line 99999\n"));
	assert_false(said("    line 17\n"));
}

static void bad_cases_stop_no_others(void **state)
{
	(void)state;
	assert_int_equal(run("[!hp]*", "yes"), 3);
	assert_true(said(
		"[  PASSED  ] 0 test(s).\n[  SKIPPED ] 1 test(s).\n[  FAILED  ] 3 test(s).\n"));
}

static void failing_teardown_of_the_group_fails_the_case(void **state)
{
	(void)state;
	assert_int_equal(run("passes", "teardown"), 1);
	assert_true(said("[  FAILED  ] inner: passes failed\n"));
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(each_case_has_fixtures_and_memory_of_its_own),
		cmocka_unit_test(failure_shows_what_was_printed),
		cmocka_unit_test(crash_says_signal_and_last_words),
		cmocka_unit_test(exit_says_its_code),
		cmocka_unit_test(skip_gives_its_reason_and_fails_nothing),
		cmocka_unit_test(hang_is_killed_with_its_children),
		cmocka_unit_test(much_output_keeps_its_end),
		cmocka_unit_test(bad_cases_stop_no_others),
		cmocka_unit_test(failing_teardown_of_the_group_fails_the_case),
	};

	return getenv("INNER") ? run_inner() : run_cases(cases, NULL, NULL);
}
