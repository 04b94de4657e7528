/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * case.c - forks for each case, watches it, and counts.
 */
#include "tests/c/case.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/error.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIMIT_S 600
#else
#define LIMIT_S 60
#endif

/* What a case printed last. */
#define WORDS_BYTES 65536

struct run {
	const struct CMUnitTest *test;
	CMFixtureFunction setup, teardown; /* of the group */
	pid_t pid;
	int pidfd, output;
	char words[WORDS_BYTES];
	size_t used;
};

/* --- in the case's process --- */

/* cmocka goes on after a crash, by handlers of its own: we want the crash. */
static const int crashes[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS };
#define CRASHES (sizeof(crashes) / sizeof(crashes[0]))
static struct sigaction before_cmocka[CRASHES];
static const struct run *this_run;

static void with_crashes(void **state)
{
	for (size_t i = 0; i < CRASHES; i++)
		(void)sigaction(crashes[i], &before_cmocka[i], NULL);
	this_run->test->test_func(state);
}

/* cmocka would not mind a group's fixture that fails. */
static int set_up(void **state)
{
	int rc = this_run->setup ? this_run->setup(state) : 0;

	return rc == 0 && this_run->test->setup_func ? this_run->test->setup_func(state) : rc;
}

static int tear_down(void **state)
{
	int rc = this_run->test->teardown_func ? this_run->test->teardown_func(state) : 0;

	return this_run->teardown && this_run->teardown(state) ? -1 : rc;
}

/* --- what cases need --- */

static char folder[128];

const char *case_folder(void)
{
	const char *above = getenv("XDG_RUNTIME_DIR");

	if (*folder)
		return folder;
	/* Of the driver's folder nothing is left, even if we are killed. */
	snprintf(folder, sizeof(folder), "%s/pxc.XXXXXX", above && *above == '/' ? above : "/tmp");
	assert_non_null(mkdtemp(folder));
	return folder;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *walk)
{
	(void)st, (void)flag, (void)walk;
	return remove(path);
}

static void remove_folder(void)
{
	if (*folder)
		(void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	*folder = '\0';
}

void assert_words(const char *words)
{
	if (!strstr(px_last_error(), words))
		fail_msg("'%s' is not in '%s'", words, px_last_error());
}

static int run_here(const struct run *run)
{
	struct CMUnitTest alone[] = { *run->test };
	int failed;

	for (size_t i = 0; i < CRASHES; i++)
		(void)sigaction(crashes[i], NULL, &before_cmocka[i]);
	this_run = run;
	alone[0].test_func = with_crashes;
	alone[0].setup_func = set_up;
	alone[0].teardown_func = tear_down;
	failed = cmocka_run_group_tests(alone, NULL, NULL);
	remove_folder();
	return failed;
}

static void be_case(const struct run *run, pid_t parent, int output)
{
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)dup2(output, STDOUT_FILENO);
	(void)dup2(output, STDERR_FILENO);
	close(output);
	(void)setvbuf(stdout, NULL, _IONBF, 0); /* or else a crash loses what was printed */
	exit(run_here(run) ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* --- in the parent --- */

static void give_up(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static void start(struct run *run)
{
	pid_t self = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		give_up("a pipe for what a case prints");
	(void)fflush(NULL);
	run->pid = fork();
	if (run->pid < 0)
		give_up("forking a case");
	if (run->pid == 0)
		be_case(run, self, ends[1]);
	(void)setpgid(run->pid, run->pid);
	close(ends[1]);
	run->output = ends[0];
	(void)fcntl(run->output, F_SETFL, O_NONBLOCK);
	run->pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
	if (run->pidfd < 0)
		give_up("pidfd_open");
}

/* What the pipe has; of much the beginning is forgotten. False: nobody writes there any more. */
static bool read_words(struct run *run)
{
	for (;;) {
		size_t room = sizeof(run->words) - 1 - run->used;
		ssize_t got;

		if (!room) {
			run->used /= 2;
			memmove(run->words, run->words + run->used, run->used);
			continue;
		}
		got = read(run->output, run->words + run->used, room);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 && errno == EAGAIN;
		run->used += (size_t)got;
		run->words[run->used] = '\0';
	}
}

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until the case has ended. False: it does not. */
static bool wait_for_end(struct run *run, int64_t limit_ms)
{
	struct pollfd news[] = { { .fd = run->pidfd, .events = POLLIN },
				 { .fd = run->output, .events = POLLIN } };
	int64_t end = now_ms() + limit_ms;

	for (;;) {
		int64_t left = end - now_ms();

		if (left <= 0)
			return false;
		if (poll(news, 2, (int)left) <= 0)
			continue;
		if (news[1].revents && !read_words(run))
			news[1].fd = -1;
		if (news[0].revents)
			return true;
	}
}

/* Its wait status. Whoever is left of its group goes with it. */
static int end(struct run *run)
{
	siginfo_t info;
	int status = 0;

	while (waitid(P_PIDFD, (id_t)run->pidfd, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	(void)kill(-run->pid, SIGKILL);
	(void)waitpid(run->pid, &status, 0);
	(void)read_words(run);
	close(run->pidfd);
	close(run->output);
	return status;
}

/* --- what is shown --- */

/* What cmocka says of every case; not where an assertion failed. */
static bool chatter(const char *line)
{
	static const char *const beginnings[] = {
		"[==========]", "[ RUN      ]", "[       OK ]",      "[  PASSED  ]",
		"[  FAILED  ]", "[  SKIPPED ]", " 1 FAILED TEST(S)", " 1 SKIPPED TEST(S)",
	};

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (!strncmp(line, beginnings[i], strlen(beginnings[i])))
			return true;
	return !*line;
}

static void show_words(char *words)
{
	char *line, *rest = words;

	while ((line = strsep(&rest, "\n")))
		if (!chatter(line))
			printf("    %s\n", line);
}

/* Why it failed, NULL if it did not. */
static const char *failure(int status, bool in_time, unsigned limit_s)
{
	static char words[96];
	const char *name;

	if (!in_time) {
		snprintf(words, sizeof(words), "did not end within %u s", limit_s);
	} else if (WIFSIGNALED(status)) {
		name = sigabbrev_np(WTERMSIG(status));
		snprintf(words, sizeof(words), "was killed by SIG%s", name ? name : "?");
	} else if (WEXITSTATUS(status) == EXIT_FAILURE) {
		snprintf(words, sizeof(words), "failed");
	} else if (WEXITSTATUS(status)) {
		snprintf(words, sizeof(words), "exited with code %d", WEXITSTATUS(status));
	} else {
		return NULL;
	}
	return words;
}

enum outcome { PASSED, FAILED, SKIPPED, OUTCOMES };

static enum outcome run_apart(struct run *run, const char *group, unsigned limit_s)
{
	const char *why;
	bool in_time, skipped;
	int status;

	run->used = 0;
	run->words[0] = '\0';
	start(run);
	in_time = wait_for_end(run, (int64_t)limit_s * 1000);
	if (!in_time)
		(void)kill(-run->pid, SIGKILL);
	status = end(run);
	why = failure(status, in_time, limit_s);
	skipped = strstr(run->words, "[  SKIPPED ] ");
	if (why || skipped)
		show_words(run->words);
	if (why)
		printf("[  FAILED  ] %s%s %s\n", group, run->test->name, why);
	else
		printf("[  %s ] %s%s\n", skipped ? "SKIPPED" : "     OK", group, run->test->name);
	return why ? FAILED : skipped ? SKIPPED : PASSED;
}

/* --- the whole --- */

static unsigned limit(void)
{
	const char *said = getenv("PXRUN_CASE_SECONDS");

	return said && atoi(said) > 0 ? (unsigned)atoi(said) : LIMIT_S;
}

static bool chosen(const char *name)
{
	const char *pattern = getenv("PXRUN_CASES");

	return !pattern || fnmatch(pattern, name, 0) == 0;
}

/* cmocka's own words for a summary, which tests/driver.sh counts. */
static int summary(const size_t *counts)
{
	printf("[  PASSED  ] %zu test(s).\n", counts[PASSED]);
	if (counts[SKIPPED])
		printf("[  SKIPPED ] %zu test(s).\n", counts[SKIPPED]);
	if (counts[FAILED])
		printf("[  FAILED  ] %zu test(s).\n", counts[FAILED]);
	return counts[FAILED] < 100 ? (int)counts[FAILED] : 100;
}

int run_these_cases(const char *group, const struct CMUnitTest *cases, size_t count,
		    CMFixtureFunction setup, CMFixtureFunction teardown)
{
	static struct run run;
	const char *fork_word = getenv("PXRUN_CASE_FORK");
	bool here = fork_word && !strcmp(fork_word, "no");
	size_t counts[OUTCOMES] = { 0 };

	run.setup = setup;
	run.teardown = teardown;
	for (size_t i = 0; i < count; i++) {
		run.test = &cases[i];
		if (!chosen(cases[i].name))
			continue;
		if (here)
			counts[run_here(&run) ? FAILED : PASSED]++;
		else
			counts[run_apart(&run, group, limit())]++;
		(void)fflush(stdout);
	}
	return summary(counts);
}
