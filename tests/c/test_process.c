/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_process.c - children: how they are started, named, signalled and reaped.
 */
#include "tests/c/case.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/error.h"
#include "supervisor/process.h"

#define NO_FDS                                                                                     \
	{                                                                                          \
		-1, -1, -1, -1, -1, -1, -1, -1, -1                                                 \
	}

extern char **environ;

static int spawn_shell(const char *script, const int *fds, struct px_process *out)
{
	char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, (char *)(uintptr_t)script, NULL };
	struct px_spawn spawn = { .argv = argv, .environment = environ };

	memcpy(spawn.fds, fds, sizeof(spawn.fds));
	return px_process_spawn(&spawn, out);
}

/* What a shell prints; it has ended well. */
static void ask_shell(const char *script, char *out, size_t out_bytes)
{
	int ends[2], fds[PX_SPAWN_FDS] = NO_FDS;
	struct px_process shell;
	size_t used = 0;
	ssize_t got;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fds[1] = ends[1];
	assert_int_equal(spawn_shell(script, fds, &shell), 0);
	close(ends[1]);
	while ((got = read(ends[0], out + used, out_bytes - 1 - used)) > 0)
		used += (size_t)got;
	out[used] = '\0';
	close(ends[0]);
	px_process_end(&shell);
}

static void wait_for_end(const struct px_process *process)
{
	struct pollfd end = { .fd = process->pidfd, .events = POLLIN };

	assert_int_equal(poll(&end, 1, -1), 1);
}

static void assert_no_child(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* --- starting --- */

static void spawn_resets_signals(void **state)
{
	char before[256], after[256];
	sigset_t all, old;

	(void)state;
	ask_shell("grep -E 'Sig(Blk|Ign)' /proc/self/status", before, sizeof(before));
	sigfillset(&all);
	assert_int_equal(sigprocmask(SIG_SETMASK, &all, &old), 0);
	for (int number = 1; number <= SIGRTMAX; number++)
		if (number != SIGCHLD)
			(void)signal(number, SIG_IGN);
	ask_shell("grep -E 'Sig(Blk|Ign)' /proc/self/status", after, sizeof(after));
	for (int number = 1; number <= SIGRTMAX; number++)
		(void)signal(number, SIG_DFL);
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
	assert_string_equal(after, before);
	assert_non_null(strstr(after, "SigBlk:\t0000000000000000\n"));
}

/* Out of the way of the places that a test fills. */
static void make_high_pipe(int ends[2])
{
	int low[2];

	assert_int_equal(pipe2(low, O_CLOEXEC), 0);
	for (int i = 0; i < 2; i++) {
		ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 20);
		assert_true(ends[i] >= 20);
		close(low[i]);
	}
}

static void spawn_places_descriptors_across_each_other(void **state)
{
	int a[2], b[2], fds[PX_SPAWN_FDS] = NO_FDS;
	struct px_process shell;
	char text[8];

	(void)state;
	make_high_pipe(a);
	make_high_pipe(b);
	/* Each would overwrite the other if they were placed one after the other. */
	assert_int_equal(dup3(a[1], 5, O_CLOEXEC), 5);
	assert_int_equal(dup3(b[1], 6, O_CLOEXEC), 6);
	fds[5] = 6;
	fds[6] = 5;
	assert_int_equal(spawn_shell("printf a >&6; printf b >&5", fds, &shell), 0);
	close(5);
	close(6);
	close(a[1]);
	close(b[1]);
	assert_int_equal(read(a[0], text, sizeof(text)), 1);
	assert_int_equal(text[0], 'a');
	assert_int_equal(read(b[0], text, sizeof(text)), 1);
	assert_int_equal(text[0], 'b');
	close(a[0]);
	close(b[0]);
	px_process_end(&shell);
}

static void spawn_opens_standard_descriptors_and_closes_others(void **state)
{
	char text[256];
	int open_here = open("/dev/zero", O_RDONLY);

	(void)state;
	assert_true(open_here >= 0);
	assert_int_equal(dup2(open_here, 7), 7);
	ask_shell("readlink /proc/$$/fd/0 /proc/$$/fd/2; ls /proc/$$/fd | grep -x 7", text,
		  sizeof(text));
	close(7);
	close(open_here);
	assert_string_equal(text, "/dev/null\n/dev/null\n");
}

static void spawn_makes_a_process_group(void **state)
{
	int fds[PX_SPAWN_FDS] = NO_FDS;
	struct px_process shell;

	(void)state;
	assert_int_equal(spawn_shell("kill -STOP $$", fds, &shell), 0);
	assert_int_equal(getpgid(shell.pid), shell.pid);
	px_process_end(&shell);
}

static void spawn_without_program_names_it(void **state)
{
	char *argv[] = { (char[]){ "/nonexistent/program" }, NULL };
	struct px_spawn spawn = { .argv = argv, .environment = environ, .fds = NO_FDS };
	struct px_process none = { .pid = 77 };

	(void)state;
	assert_int_equal(px_process_spawn(&spawn, &none), PX_ESYSTEM);
	assert_string_equal(px_last_error(),
			    "starting '/nonexistent/program': No such file or directory");
	assert_int_equal(none.pid, 77);
	assert_no_child();
}

static void spawn_without_descriptors_says_so(void **state)
{
	int fds[PX_SPAWN_FDS] = NO_FDS;
	struct rlimit before, few;
	struct px_process none;
	int lowest = dup(0), rc = 0;

	(void)state;
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	/* From none that is left to enough: in the parent, in the child, not at all. */
	for (int spare = 0; spare < 16; spare++) {
		few = (struct rlimit){ (rlim_t)(lowest + spare), before.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		rc = spawn_shell("exit 0", fds, &none);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		if (rc == 0)
			break;
		assert_int_equal(rc, PX_ESYSTEM);
		assert_non_null(strstr(px_last_error(), "Too many open files"));
		assert_no_child();
	}
	assert_int_equal(rc, 0);
	px_process_end(&none);
}

/* --- adopting --- */

static void adopt_takes_children_only(void **state)
{
	struct px_process process;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(px_process_adopt(0, &process), PX_EINVAL);
	assert_int_equal(px_process_adopt(1, &process), PX_EINVAL);
	assert_int_equal(px_process_adopt(getppid(), &process), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "is no child of the supervisor"));
	assert_int_equal(px_process_adopt(child, &process), 0);
	assert_int_equal(process.pid, child);
	px_process_end(&process);
	assert_int_equal(px_process_adopt(child, &process), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "is gone"));
}

/* --- ending --- */

static void reap_says_how_it_ended(void **state)
{
	static const struct {
		const char *script;
		struct px_process_exit how;
		const char *words;
	} cases[] = {
		{ "exit 0", { 0, 0 }, "exit code 0" },
		{ "exit 7", { 0, 7 }, "exit code 7" },
		{ "kill -SEGV $$", { SIGSEGV, 0 }, "SIGSEGV" },
		{ "kill -KILL $$", { SIGKILL, 0 }, "SIGKILL" },
		{ "kill -40 $$", { 40, 0 }, "signal 40" },
	};
	int fds[PX_SPAWN_FDS] = NO_FDS;
	char words[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct px_process shell;
		struct px_process_exit how;

		assert_int_equal(spawn_shell(cases[i].script, fds, &shell), 0);
		wait_for_end(&shell);
		assert_true(px_process_reap(&shell, &how));
		assert_int_equal(how.signal, cases[i].how.signal);
		assert_int_equal(how.code, cases[i].how.code);
		assert_string_equal(px_exit_words(&how, words, sizeof(words)), cases[i].words);
		assert_int_equal(shell.pid, 0);
		assert_false(px_process_reap(&shell, &how));
		assert_false(px_process_signal(&shell, SIGTERM));
		assert_no_child();
	}
}

static void reap_of_the_living_is_false(void **state)
{
	int fds[PX_SPAWN_FDS] = NO_FDS;
	struct px_process shell;
	struct px_process_exit how;

	(void)state;
	assert_int_equal(spawn_shell("kill -STOP $$", fds, &shell), 0);
	assert_false(px_process_reap(&shell, &how));
	assert_true(shell.pid > 0);
	assert_true(px_process_signal(&shell, SIGKILL));
	wait_for_end(&shell);
	assert_true(px_process_reap(&shell, &how));
	assert_int_equal(how.signal, SIGKILL);
}

/* A process that the shell leaves in its group holds the pipe open until it is killed. */
static void reap_kills_the_group(void **state)
{
	int ends[2], fds[PX_SPAWN_FDS] = NO_FDS;
	struct px_process shell;
	struct px_process_exit how;
	char byte;

	(void)state;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fds[3] = ends[1];
	assert_int_equal(spawn_shell("sleep 1000 & exit 3", fds, &shell), 0);
	close(ends[1]);
	wait_for_end(&shell);
	assert_true(px_process_reap(&shell, &how));
	assert_int_equal(how.code, 3);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	assert_true(waitpid(-1, NULL, 0) > 0);
	assert_no_child();
}

static void end_kills_and_reaps(void **state)
{
	int fds[PX_SPAWN_FDS] = NO_FDS;
	struct px_process shell;

	(void)state;
	assert_int_equal(spawn_shell("trap '' TERM INT HUP; while :; do :; done", fds, &shell), 0);
	px_process_end(&shell);
	assert_int_equal(shell.pid, 0);
	assert_no_child();
	px_process_end(&shell);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(spawn_resets_signals),
		cmocka_unit_test(spawn_places_descriptors_across_each_other),
		cmocka_unit_test(spawn_opens_standard_descriptors_and_closes_others),
		cmocka_unit_test(spawn_makes_a_process_group),
		cmocka_unit_test(spawn_without_program_names_it),
		cmocka_unit_test(spawn_without_descriptors_says_so),
		cmocka_unit_test(adopt_takes_children_only),
		cmocka_unit_test(reap_says_how_it_ended),
		cmocka_unit_test(reap_of_the_living_is_false),
		cmocka_unit_test(reap_kills_the_group),
		cmocka_unit_test(end_kills_and_reaps),
	};

	return run_cases(tests, NULL, NULL);
}
