/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * process.c - starts, signals and reaps children.
 */
#include "supervisor/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/member.h"

/* glibc has these since 2.36 only. */
int px_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int pidfd_signal(int pidfd, int signal_number)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0);
}

/* --- starting; between fork and exec only async-signal-safe functions --- */

/* A copy of the descriptor above the numbers that are to be filled. */
static int move_up(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, PX_SPAWN_FDS);

	/* It says EINVAL if the limit of descriptors is below PX_SPAWN_FDS. */
	if (moved < 0 && errno == EINVAL)
		errno = EMFILE;
	return moved;
}

/* First moves descriptors away from the numbers that others of them shall get. */
static bool place_fds(const int *fds)
{
	int moved[PX_SPAWN_FDS];

	for (int i = 0; i < PX_SPAWN_FDS; i++) {
		moved[i] = fds[i];
		if (i <= STDERR_FILENO && fds[i] < 0)
			moved[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (moved[i] >= 0)
			moved[i] = move_up(moved[i]);
		if (moved[i] < 0 && (fds[i] >= 0 || i <= STDERR_FILENO))
			return false;
	}
	for (int i = 0; i < PX_SPAWN_FDS; i++) {
		if (moved[i] < 0)
			(void)fcntl(i, F_SETFD, FD_CLOEXEC);
		else if (dup2(moved[i], i) < 0)
			return false;
	}
	return true;
}

void px_process_reset_signals(const sigset_t *blocked)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	sigemptyset(&action.sa_mask);
	/* It refuses those that may not be set, or are the C library's own. */
	for (int number = 1; number <= SIGRTMAX; number++)
		(void)sigaction(number, &action, NULL);
	(void)sigprocmask(SIG_SETMASK, blocked, NULL);
}

static void run(const struct px_spawn *spawn, pid_t parent, int report)
{
	int failure, moved;
	sigset_t none;

	sigemptyset(&none);
	px_process_reset_signals(&none);
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	/* Descriptor 3 and those behind it are about to be overwritten: report moves as well. */
	moved = move_up(report);
	if (moved >= 0) {
		report = moved;
		if (place_fds(spawn->fds))
			(void)execvpe(spawn->argv[0], spawn->argv, spawn->environment);
	}
	failure = errno;
	(void)!write(report, &failure, sizeof(failure));
	_exit(127);
}

/* The errno of what the child could not do; 0 once its program runs. */
static int wait_for_exec(int report)
{
	int failure = 0;
	ssize_t got;

	do
		got = read(report, &failure, sizeof(failure));
	while (got < 0 && errno == EINTR);
	return got == sizeof(failure) ? failure : 0;
}

int px_process_spawn(const struct px_spawn *spawn, struct px_process *out)
{
	struct px_process child = { .pidfd = -1 };
	pid_t self = getpid();
	int report[2], failure;

	if (pipe2(report, O_CLOEXEC) < 0)
		return px_fail_errno("making a pipe to start '%s'", spawn->argv[0]);
	child.pid = fork();
	if (child.pid == 0)
		run(spawn, self, report[1]);
	failure = errno;
	close(report[1]);
	if (child.pid < 0) {
		close(report[0]);
		errno = failure;
		return px_fail_errno("forking to start '%s'", spawn->argv[0]);
	}
	failure = wait_for_exec(report[0]);
	close(report[0]);
	if (!failure) {
		child.pidfd = px_pidfd_open(child.pid);
		if (child.pidfd < 0)
			failure = errno;
	}
	if (failure) {
		(void)kill(child.pid, SIGKILL);
		(void)waitpid(child.pid, NULL, 0);
		errno = failure;
		return px_fail_errno("starting '%s'", spawn->argv[0]);
	}
	*out = child;
	return 0;
}

int px_process_adopt(pid_t pid, struct px_process *out)
{
	siginfo_t info;
	int pidfd;

	if (pid <= 1)
		return px_fail(PX_EINVAL, "%d is no process of the pool", (int)pid);
	pidfd = px_pidfd_open(pid);
	if (pidfd < 0)
		return errno == ESRCH ? px_fail(PX_EINVAL, "process %d is gone", (int)pid) :
					px_fail_errno("opening process %d", (int)pid);
	if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0) {
		close(pidfd);
		return px_fail(PX_EINVAL, "process %d is no child of the supervisor", (int)pid);
	}
	*out = (struct px_process){ .pid = pid, .pidfd = pidfd };
	return 0;
}

int px_process_meet(pid_t pid, struct px_process *out)
{
	int pidfd = px_pidfd_open(pid);

	if (pidfd < 0)
		return errno == ESRCH ? px_fail(PX_EINVAL, "process %d is gone", (int)pid) :
					px_fail_errno("opening process %d", (int)pid);
	*out = (struct px_process){ .pid = pid, .pidfd = pidfd, .foreign = true };
	return 0;
}

/* --- ending --- */

bool px_process_signal(const struct px_process *process, int signal_number)
{
	return process->pid > 0 && pidfd_signal(process->pidfd, signal_number) == 0;
}

int px_process_signal_value(const struct px_process *process, int signal_number, uint64_t value)
{
	siginfo_t info = { .si_signo = signal_number, .si_code = SI_QUEUE };

	info.si_pid = getpid();
	info.si_uid = getuid();
	/* A uintptr_t has all of it: there is no pool on 32-bit machines. */
	info.si_value.sival_ptr = (void *)(uintptr_t)value;
	if (process->pid <= 0)
		return PX_EENGINE;
	if (syscall(SYS_pidfd_send_signal, process->pidfd, signal_number, &info, 0) == 0)
		return 0;
	return errno == ESRCH ? PX_EENGINE : px_fail_errno("sending an engine a signal");
}

void px_process_kill(const struct px_process *process)
{
	if (process->pid <= 0)
		return;
	(void)pidfd_signal(process->pidfd, SIGKILL);
	if (!process->foreign)
		(void)kill(-process->pid, SIGKILL);
}

static struct px_process_exit exit_of(int status)
{
	return (struct px_process_exit){
		.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
		.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
	};
}

/* The last field of a zombie's /proc/PID/stat is its wait status, until its parent has reaped it. */
static struct px_process_exit exit_of_zombie(pid_t pid)
{
	char path[32], line[1024];
	const char *name_end = NULL, *last = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file && fgets(line, sizeof(line), file)) {
		name_end = strrchr(line, ')');
		last = strrchr(line, ' ');
	}
	if (file)
		fclose(file);
	if (!name_end || !last || strncmp(name_end, ") Z", 3) != 0)
		return (struct px_process_exit){ .code = PX_EXIT_UNKNOWN };
	return exit_of(atoi(last));
}

static bool foreign_reap(struct px_process *process, struct px_process_exit *out)
{
	struct pollfd look = { .fd = process->pidfd, .events = POLLIN };

	if (poll(&look, 1, 0) != 1)
		return false;
	*out = exit_of_zombie(process->pid);
	close(process->pidfd);
	*process = (struct px_process){ .pidfd = -1 };
	return true;
}

bool px_process_reap(struct px_process *process, struct px_process_exit *out)
{
	siginfo_t info = { 0 };

	if (process->pid <= 0)
		return false;
	if (process->foreign)
		return foreign_reap(process, out);
	if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid == 0)
		return false;
	(void)kill(-process->pid, SIGKILL);
	(void)waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG);
	*out = (struct px_process_exit){
		.signal = info.si_code == CLD_EXITED ? 0 : info.si_status,
		.code = info.si_code == CLD_EXITED ? info.si_status : 0,
	};
	close(process->pidfd);
	*process = (struct px_process){ .pidfd = -1 };
	return true;
}

void px_process_end(struct px_process *process)
{
	struct pollfd gone = { .fd = process->pidfd, .events = POLLIN };
	siginfo_t info;

	if (process->pid <= 0)
		return;
	px_process_kill(process);
	while (process->foreign && poll(&gone, 1, -1) < 0 && errno == EINTR)
		;
	while (!process->foreign && waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED) < 0 &&
	       errno == EINTR)
		;
	close(process->pidfd);
	*process = (struct px_process){ .pidfd = -1 };
}

const char *px_exit_words(const struct px_process_exit *how, char *out, size_t out_bytes)
{
	const char *name = sigabbrev_np(how->signal);

	if (!how->signal && how->code == PX_EXIT_UNKNOWN)
		snprintf(out, out_bytes, "how is not known");
	else if (!how->signal)
		snprintf(out, out_bytes, "exit code %d", how->code);
	else if (name)
		snprintf(out, out_bytes, "SIG%s", name);
	else
		snprintf(out, out_bytes, "signal %d", how->signal);
	return out;
}
