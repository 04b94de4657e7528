/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * template.c - forks engines for the supervisor.
 */
#include "engine/template.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "machine/address_space.h"
#include "pool/control.h"
#include "shm/descriptor.h"
#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/layout.h"

/* Where memory runs out, an engine is to be killed rather than the supervisor. */
static void prefer_for_oom_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "200", 3) < 0)
		errno = 0; /* not permitted: then it stays as it is */
	close(fd);
}

/*
 * The parent of a new engine is the process between it and the template, until that one has
 * ended. PR_SET_PDEATHSIG is about the parent of the moment, so it has to wait for the
 * supervisor.
 */
static int become_child(const struct px_segment *segment)
{
	int supervisor_pid = segment->header->supervisor_pid;

	for (int i = 0; getppid() != supervisor_pid; i++) {
		if (i > 1000000)
			return px_fail(PX_EPOOL, "the supervisor has not adopted this engine");
		sched_yield();
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != supervisor_pid)
		return px_fail(PX_EPOOL, "the supervisor is gone");
	(void)setpgid(0, 0);
	return 0;
}

int px_engine_set_up_process(const struct px_segment *segment, bool joined)
{
	/* Who has joined is our child from the beginning, or never. */
	bool foreign = joined && getppid() != segment->header->supervisor_pid;
	int rc = foreign ? 0 : become_child(segment);

	prefer_for_oom_killer();
	return rc;
}

static int move_fd(int from, int to)
{
	if (dup2(from, to) < 0)
		return px_fail_errno("giving an engine its standard streams");
	close(from);
	return 0;
}

/* In the new engine: puts its descriptors in place and closes the template's. */
static int become_engine(int control, const struct px_packet *packet, struct px_birth *birth)
{
	struct px_control born = { .type = PX_CONTROL_BORN, .a = (uint64_t)getpid() };
	int null = open("/dev/null", O_RDONLY);
	struct px_segment *segment = NULL;
	int rc;

	close(control);
	if (null >= 0 && null != STDIN_FILENO)
		(void)move_fd(null, STDIN_FILENO);
	rc = move_fd(packet->fds[1], STDOUT_FILENO);
	if (rc == 0)
		rc = move_fd(packet->fds[2], STDERR_FILENO);
	/* Before code of modules or the user runs, which would find a descriptor that can write. */
	if (rc == 0)
		rc = px_address_space_explain(px_segment_attach(packet->fds[6], &segment));
	if (rc == 0)
		rc = px_engine_set_up_process(segment, false);
	if (rc == 0)
		rc = px_control_send(packet->fds[0], &born, NULL, NULL, 0);
	/* Dead here: the supervisor sees it, and starts another. */
	PX_KILLPOINT("template.engine.born");
	*birth = (struct px_birth){
		.id = (uint32_t)packet->head.a,
		.slot = (uint32_t)packet->head.b,
		.epoch = (uint32_t)packet->head.c,
		.generation = (uint32_t)packet->head.d,
		.control = px_descriptor_raise(packet->fds[0]),
		.out_read = px_descriptor_raise(packet->fds[3]),
		.err_read = px_descriptor_raise(packet->fds[4]),
		.crash = px_descriptor_raise(packet->fds[5]),
		.segment = segment,
	};
	return rc;
}

/* Says it where the engine would, so that the supervisor has it as the engine's last words. */
static void cannot_fork(const struct px_packet *packet, int error)
{
	errno = error;
	(void)px_fail_errno("forking an engine");
	dprintf(packet->fds[2], "%s\n", px_last_error());
}

/*
 * Without an engine its control socket hangs up, which tells the supervisor.
 *
 * 1 in the engine, which is to call after_in_engine(), 0 in the template. The
 * template does not wait for the process in between: while that one forks, the template can go on
 * with the next engine.
 */
static int fork_twice(const struct px_forking *forking, const struct px_packet *packet)
{
	pid_t middle, engine;
	int error;

	if (forking->before)
		forking->before();
	middle = fork();
	error = errno;
	if (middle == 0) {
		engine = fork();
		if (engine == 0)
			return 1;
		if (engine < 0)
			cannot_fork(packet, errno);
		_exit(0);
	}
	if (forking->after)
		forking->after();
	PX_KILLPOINT("template.fork.done"); /* dead here: the engine goes on */
	if (middle < 0)
		cannot_fork(packet, error);
	return 0;
}

/* Children of the template leave no zombies; in an engine the old setting is restored. */
static struct sigaction keep_no_zombies(void)
{
	struct sigaction before, action = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };

	sigemptyset(&action.sa_mask);
	sigaction(SIGCHLD, &action, &before);
	return before;
}

static void close_all(struct px_packet *packet)
{
	while (packet->head.fds)
		close(packet->fds[--packet->head.fds]);
}

int px_template_run(int control, const char *reason, const struct px_forking *forking,
		    struct px_birth *birth)
{
	struct px_control ready = { .type = PX_CONTROL_READY,
				    .a = (uint64_t)getpid(),
				    .b = forking->python,
				    .c = reason ? 1 : 0 };
	struct px_packet *packet = malloc(sizeof(*packet));
	struct sigaction on_child = keep_no_zombies();
	int rc;

	if (!packet)
		return px_fail(PX_ENOMEM, "no private memory for a packet");
	rc = px_control_send(control, &ready, reason, NULL, 0);
	while (rc == 0) {
		rc = px_control_receive(control, packet);
		if (rc < 0)
			break;
		/* Dead here: the supervisor asks the next template. */
		PX_KILLPOINT("template.fork.asked");
		if (packet->head.type != PX_CONTROL_FORK ||
		    packet->head.fds != PX_CONTROL_FORK_FDS) {
			close_all(packet);
			continue;
		}
		rc = fork_twice(forking, packet);
		if (rc == 1) {
			sigaction(SIGCHLD, &on_child, NULL);
			rc = become_engine(control, packet, birth);
			/* Runs modules' code. If it dies, the supervisor knows its pid and output. */
			if (forking->after_in_engine)
				forking->after_in_engine();
			rc = rc < 0 ? rc : 1;
			break;
		}
		close_all(packet);
	}
	free(packet);
	return rc == PX_EPOOL ? 0 : rc;
}
