/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_environment.c - the environment of engines.
 */
#include "tests/c/case.h"

#include <string.h>

#include "supervisor/environment.h"

static const char *value_of(char **environment, const char *name)
{
	size_t length = strlen(name);

	for (; *environment; environment++)
		if (!strncmp(*environment, name, length) && (*environment)[length] == '=')
			return *environment + length + 1;
	return NULL;
}

static void environment_leaves_what_the_user_set(void **state)
{
	char *own[] = { "HOME=/h", "OMP_NUM_THREADS=7", "A=1", "PXRUN_CONNECTION=/other", NULL };
	char *profile[] = { "A=2", "MKL_NUM_THREADS=5", "B=", NULL };
	char **environment;

	(void)state;
	assert_int_equal(px_environment_new(own, profile, 3, "/r/connection.json", &environment),
			 0);
	assert_string_equal(value_of(environment, "HOME"), "/h");
	assert_string_equal(value_of(environment, "OMP_NUM_THREADS"), "7");
	assert_string_equal(value_of(environment, "MKL_NUM_THREADS"), "5");
	assert_string_equal(value_of(environment, "OPENBLAS_NUM_THREADS"), "3");
	assert_string_equal(value_of(environment, "NUMEXPR_NUM_THREADS"), "3");
	assert_string_equal(value_of(environment, "A"), "2");
	assert_string_equal(value_of(environment, "B"), "");
	assert_string_equal(value_of(environment, "PXRUN_CONNECTION"), "/r/connection.json");
	px_environment_free(environment);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(environment_leaves_what_the_user_set),
	};

	return run_cases(tests, NULL, NULL);
}
