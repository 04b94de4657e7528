/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * case.h - runs each case of a C test in a process of its own, with a time limit.
 *
 * Who:     main() of every tests/c/test_OBJECT.c, which gives its cases to run_cases().
 * Where:   cases and fixtures are cmocka's. All fixtures, also those of the group, run in the
 *          process of each case, so no case sees what another has left.
 * Blocks:  until the last case has ended. A case that takes longer than its limit is killed.
 * Death:   of a case is its failure: the name, the signal and what the case printed are shown, and
 *          the next case runs. What is left of its process group is killed.
 *
 * The environment may say
 *   PXRUN_CASES=PATTERN    which cases to run: a pattern as the shell's, such as 'peek_*'
 *   PXRUN_CASE_SECONDS=N   the limit of each case; 60, or 600 with sanitizers
 *   PXRUN_CASE_FORK=no     all cases in this process and without a limit, for a debugger
 */
#ifndef PX_TEST_CASE_H
#define PX_TEST_CASE_H

/* What cmocka.h needs before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* A new folder of the case, removed at its end. */
const char *case_folder(void);
/* px_last_error() has these words. */
void assert_words(const char *words);

/* Runs an array of cases. The number of those that failed. The group's fixtures may be NULL. */
#define run_cases(cases, setup, teardown) run_cases_named("", cases, setup, teardown)
/* The same; group stands before their names. */
#define run_cases_named(group, cases, setup, teardown)                                             \
	run_these_cases(group, cases, sizeof(cases) / sizeof((cases)[0]), setup, teardown)

int run_these_cases(const char *group, const struct CMUnitTest *cases, size_t count,
		    CMFixtureFunction setup, CMFixtureFunction teardown);

#endif
