/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rank.c - forks an engine that the supervisor adopts, and waits for its end.
 */
#include "bin/rank.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/error.h"
#include "supervisor/process.h"

/* When a rank aborts, mpiexec ends all: so long that one has to be seen to end by itself, before the others are. */
#define ABORT_MS 1000

/* The parent of a process; 0: it has none that we know. */
static pid_t parent_of(pid_t pid)
{
	char path[32], line[512];
	const char *name_end = NULL;
	int parent = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	/* The state and the parent follow the name, which may contain anything. */
	if (fgets(line, sizeof(line), file))
		name_end = strrchr(line, ')');
	fclose(file);
	if (name_end && strlen(name_end) > 4)
		parent = atoi(name_end + 4);
	return parent;
}

bool px_rank_descends(pid_t ancestor)
{
	pid_t pid = getppid();

	while (pid > 1 && pid != ancestor)
		pid = parent_of(pid);
	return pid == ancestor;
}

int px_rank_hang_on(int lifeline)
{
	struct pollfd gone = { .fd = lifeline };

	/* The kernel sends the signal for what it calls input: of a pipe that nobody writes to, its end. */
	if (fcntl(lifeline, F_SETOWN, getpid()) < 0 || fcntl(lifeline, F_SETSIG, SIGKILL) < 0 ||
	    fcntl(lifeline, F_SETFL, O_NONBLOCK | O_ASYNC) < 0)
		return px_fail_errno("asking to end with another process");
	if (poll(&gone, 1, 0) == 1)
		return px_fail(PX_EPOOL, "the pool's supervisor, or mpiexec's rank, is gone");
	return 0;
}

static volatile sig_atomic_t told;

static void on_sigterm(int number)
{
	(void)number;
	told = 1;
}

/* Closes all but these two, and the standard streams. */
static void close_others(int one, int other)
{
	unsigned low = (unsigned)(one < other ? one : other),
		 high = (unsigned)(one < other ? other : one);

	if (low > STDERR_FILENO + 1)
		(void)close_range(STDERR_FILENO + 1, low - 1, 0);
	if (high > low + 1)
		(void)close_range(low + 1, high - 1, 0);
	(void)close_range(high + 1, ~0U, 0);
}

/* The socket by which MPICH learns of a rank's end, once the last process that has it ends; else the one given. */
static int mpich_socket(int otherwise)
{
	const char *number = getenv("PMI_FD");
	int fd = number ? atoi(number) : 0;

	/* It was inherited; what has that number by chance is closed on exec. */
	return fd > STDERR_FILENO && fcntl(fd, F_GETFD) == 0 ? fd : otherwise;
}

/*
 * What stays, with the end of a pipe whose other one only the engine has, and with MPICH's socket: closed by the
 * engine alone, it would have the others ended before the engine has ended wholly, and the supervisor
 * would see one of them end first.
 */
static _Noreturn void stand(pid_t pid, int end)
{
	struct pollfd engine = { .fd = px_pidfd_open(pid), .events = POLLIN };
	struct sigaction action = { .sa_handler = on_sigterm };
	sigset_t none, terminate;

	sigemptyset(&none);
	sigemptyset(&terminate);
	sigaddset(&terminate, SIGTERM);
	sigemptyset(&action.sa_mask);
	/* Only ppoll() is interrupted by it, so that none comes unnoticed between a look and a wait. */
	(void)sigprocmask(SIG_SETMASK, &terminate, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	if (engine.fd < 0 && errno == ESRCH)
		_exit(EXIT_SUCCESS);
	if (engine.fd < 0) /* this one is closed soon enough */
		engine.fd = end;
	if (dup2(engine.fd, STDIN_FILENO) >= 0) {
		engine.fd = STDIN_FILENO;
		close_others(end, mpich_socket(end));
	}
	while (!told && ppoll(&engine, 1, NULL, &none) < 0 && errno == EINTR)
		;
	if (told)
		(void)poll(&engine, 1, ABORT_MS);
	_exit(EXIT_SUCCESS);
}

/* The process in between has as good as ended. */
static int wait_for_parent(pid_t middle, pid_t supervisor, int lifeline)
{
	struct pollfd gone = { .fd = lifeline };

	while (getppid() == middle)
		sched_yield();
	if (getppid() == supervisor)
		return 0;
	if (poll(&gone, 1, 0) == 1)
		return px_fail(PX_EPOOL, "the pool's supervisor is gone");
	return px_fail(PX_ESYSTEM,
		       "process %d, which mpiexec has started or was started by, adopts engines "
		       "(PR_SET_CHILD_SUBREAPER), and only the pool may: leave that program out",
		       (int)getppid());
}

/* The process in between: forks the engine, says its pid, or that it has none and why, and returns in it. */
static void fork_again(int report)
{
	pid_t engine = fork();

	if (engine == 0)
		return;
	if (engine < 0)
		engine = -errno;
	_exit(write(report, &engine, sizeof(engine)) != sizeof(engine));
}

int px_rank_fork(pid_t supervisor, int *lifeline)
{
	int ends[2], report[2], rc;
	pid_t middle, engine = -ECHILD;

	if (pipe2(ends, O_CLOEXEC) < 0 || pipe2(report, O_CLOEXEC) < 0)
		return px_fail_errno("making a pipe for an engine");
	middle = fork();
	if (middle < 0)
		return px_fail_errno("forking an engine");
	if (middle > 0) {
		close(ends[0]);
		close(report[1]);
		(void)waitpid(middle, NULL, 0);
		if (read(report[0], &engine, sizeof(engine)) != sizeof(engine) || engine < 0)
			return px_fail(PX_ESYSTEM, "an engine could not be forked: %s",
				       strerror(-engine));
		stand(engine, ends[1]);
	}
	middle = getpid();
	fork_again(report[1]);
	close(report[0]);
	close(report[1]);
	close(ends[1]);
	rc = wait_for_parent(middle, supervisor, *lifeline);
	*lifeline = ends[0];
	return rc < 0 ? rc : px_rank_hang_on(ends[0]);
}
