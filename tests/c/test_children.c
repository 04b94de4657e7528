/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_children.c - the list of living children, and their names.
 */
#include "tests/c/case.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/children.h"

/* A child that has its name and waits. */
static pid_t make_child(const char *name)
{
	int told[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(told), 0);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_NAME, name);
		close(told[0]);
		close(told[1]);
		pause();
		_exit(0);
	}
	close(told[1]);
	/* End of file: it has closed its end. */
	assert_int_equal(read(told[0], &byte, 1), 0);
	close(told[0]);
	return pid;
}

static void end_child(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void list_has_the_living(void **state)
{
	pid_t a = make_child("a"), b = make_child("b"), found[4];
	siginfo_t info;

	(void)state;
	assert_int_equal(px_children_list(found, 4), 2);
	assert_true((found[0] == a && found[1] == b) || (found[0] == b && found[1] == a));
	assert_int_equal(px_children_list(found, 1), 1);
	assert_int_equal(kill(a, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)a, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(px_children_list(found, 4), 1);
	assert_int_equal(found[0], b);
	assert_int_equal(waitpid(a, NULL, 0), a);
	end_child(b);
	assert_int_equal(px_children_list(found, 4), 0);
}

static void name_may_contain_anything(void **state)
{
	pid_t odd = make_child("a) Z b"), found[4];
	char name[32];

	(void)state;
	assert_int_equal(px_children_list(found, 4), 1);
	assert_int_equal(found[0], odd);
	assert_string_equal(px_children_name(odd, name, sizeof(name)), "a) Z b");
	end_child(odd);
	assert_string_equal(px_children_name(odd, name, sizeof(name)), "?");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_has_the_living),
		cmocka_unit_test(name_may_contain_anything),
	};

	if (access("/proc/thread-self/children", R_OK) < 0) {
		print_message("skipped: this kernel does not list children in /proc\n");
		return 77;
	}
	return run_cases(tests, NULL, NULL);
}
