/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_engine.c - stands in for pxrun-engine in test_supervisor: speaks to the supervisor
 * as template and as engine, and misbehaves as the environment says.
 *
 *   FAKE_TEMPLATE   refuse   says that no engine can be made
 *                   exit     prints and exits before it is ready
 *                   threads  cannot fork
 *                   silent   never says anything
 *                   import   says that it imports a module, and no more
 *   FAKE_ENGINE     early    is born, prints and exits
 *                   mute     never says anything
 *                   silent   is born, and never ready
 *                   garbage  sends a packet that is none
 *                   thief    gives memory back that is not its own
 *                   greedy   takes 8 MiB of the arena
 *                   stubborn does not heed SIGTERM
 *                   chatty   prints, and leaves it in the pipe
 *                   daemon   leaves a daemon behind, "left-behind"
 *                   deaf     the same; the daemon does not heed SIGTERM
 *   FAKE_ONCE       a file: only the process that removes it misbehaves
 *   FAKE_TELL       a FIFO, which hears of those that are silent
 *
 * Once up, SIGUSR1 makes it exit with 0, SIGUSR2 with 1, and SIGHUP lose its socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool/control.h"

static int control = 3;

static bool mode(const char *variable, const char *word)
{
	const char *value = getenv(variable), *once = getenv("FAKE_ONCE");

	return value && !strcmp(value, word) && (!once || unlink(once) == 0);
}

static void exit_0(int number)
{
	(void)number;
	_exit(0);
}

static void exit_1(int number)
{
	(void)number;
	_exit(1);
}

static void hang_up(int number)
{
	(void)number;
	close(control);
	control = -1;
}

static int say(uint16_t type, uint64_t a, int code, uint64_t c, const char *text)
{
	struct px_control head = { .type = type, .a = a, .b = 0x030b02f0, .c = c, .code = code };

	return px_control_send(control, &head, text, NULL, 0);
}

/* That all has been done that is to be done. */
static void tell(void)
{
	const char *path = getenv("FAKE_TELL");
	int fd = path ? open(path, O_WRONLY | O_NONBLOCK) : -1;

	if (fd < 0)
		return;
	(void)!write(fd, "", 1);
	close(fd);
}

/* Until the supervisor hangs up. */
static void wait_for_end(void)
{
	static struct px_packet packet;

	for (;;) {
		if (control < 0)
			pause();
		else if (px_control_receive(control, &packet) < 0 && control >= 0)
			_exit(0);
	}
}

static void leave_daemon(bool deaf)
{
	pid_t middle = fork();

	if (middle == 0) {
		(void)setsid();
		if (deaf)
			(void)signal(SIGTERM, SIG_IGN);
		(void)prctl(PR_SET_NAME, "left-behind");
		(void)close_range(0, UINT_MAX, 0);
		if (fork() > 0)
			_exit(0);
		for (;;)
			pause();
	}
	(void)waitpid(middle, NULL, 0);
}

static void serve(void)
{
	struct px_control theft = { .type = PX_CONTROL_EXTENT_PUT, .a = 4096, .b = 77 };
	struct px_control greed = { .type = PX_CONTROL_EXTENT_GET, .a = 8 << 20 };

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGUSR1, exit_0);
	(void)signal(SIGUSR2, exit_1);
	(void)signal(SIGHUP, hang_up);
	if (mode("FAKE_ENGINE", "mute"))
		wait_for_end();
	if (mode("FAKE_ENGINE", "stubborn"))
		(void)signal(SIGTERM, SIG_IGN);
	(void)say(PX_CONTROL_BORN, (uint64_t)getpid(), 0, 0, NULL);
	if (mode("FAKE_ENGINE", "early")) {
		fprintf(stderr, "first words\nearly words\n");
		_exit(7);
	}
	if (mode("FAKE_ENGINE", "silent")) {
		tell();
		wait_for_end();
	}
	if (mode("FAKE_ENGINE", "daemon"))
		leave_daemon(false);
	if (mode("FAKE_ENGINE", "deaf"))
		leave_daemon(true);
	/* Before it is ready: who starts the pool finds it taken. */
	if (mode("FAKE_ENGINE", "greedy"))
		(void)px_control_send(control, &greed, NULL, NULL, 0);
	if (mode("FAKE_ENGINE", "chatty"))
		(void)!write(STDOUT_FILENO, "left in the pipe\n", 17);
	(void)say(PX_CONTROL_READY, (uint64_t)getpid(), 0, 0, NULL);
	if (mode("FAKE_ENGINE", "garbage"))
		(void)!write(control, "rubbish", 7);
	if (mode("FAKE_ENGINE", "thief"))
		(void)px_control_send(control, &theft, NULL, NULL, 0);
	wait_for_end();
}

/* When the end of the process between is known, its children have been adopted. */
static void await_adoption(pid_t supervisor)
{
	pid_t middle = getppid();
	struct pollfd end = { .fd = -1, .events = POLLIN };

	if (middle == supervisor)
		return;
	end.fd = (int)syscall(SYS_pidfd_open, middle, 0);
	/* If there is none any more, it has ended meanwhile. */
	if (end.fd < 0)
		return;
	(void)poll(&end, 1, -1);
	close(end.fd);
}

static void fork_engine(struct px_packet *packet)
{
	pid_t supervisor = getppid(), middle = fork();

	if (middle == 0) {
		if (fork() > 0)
			_exit(0);
		close(control);
		control = packet->fds[0];
		dup2(packet->fds[1], STDOUT_FILENO);
		dup2(packet->fds[2], STDERR_FILENO);
		close(packet->fds[1]);
		close(packet->fds[2]);
		await_adoption(supervisor);
		serve();
	}
	waitpid(middle, NULL, 0);
	for (int i = 0; i < packet->head.fds; i++)
		close(packet->fds[i]);
}

static int be_template(void)
{
	static struct px_packet packet;

	if (mode("FAKE_TEMPLATE", "exit")) {
		fprintf(stderr, "no module named nonsense\n");
		return 3;
	}
	if (mode("FAKE_TEMPLATE", "silent")) {
		tell();
		wait_for_end();
	}
	if (mode("FAKE_TEMPLATE", "import")) {
		(void)say(PX_CONTROL_PRELOAD, 0, 0, 0, "quick_module");
		(void)say(PX_CONTROL_PRELOAD, 0, 0, 0, "slow_module");
		wait_for_end();
	}
	if (mode("FAKE_TEMPLATE", "refuse"))
		(void)say(PX_CONTROL_READY, (uint64_t)getpid(), -6, 0, "the preload failed");
	else if (mode("FAKE_TEMPLATE", "threads"))
		(void)say(PX_CONTROL_READY, (uint64_t)getpid(), 0, 1,
			  "a module has started threads");
	else
		(void)say(PX_CONTROL_READY, (uint64_t)getpid(), 0, 0, NULL);
	while (px_control_receive(control, &packet) == 0)
		if (packet.head.type == PX_CONTROL_FORK && packet.head.fds == PX_CONTROL_FORK_FDS)
			fork_engine(&packet);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 4 || strcmp(argv[2], "--control") != 0 || strcmp(argv[3], "3") != 0)
		return 64;
	if (!strcmp(argv[1], "--template"))
		return be_template();
	if (!strcmp(argv[1], "--engine") && argc >= 14)
		serve();
	return 64;
}
