/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * owner.c - sees the end of a private pool's owner.
 */
#include "supervisor/owner.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/process.h"
#include "supervisor/supervision.h"
#include "supervisor/supervisor.h"

static void gone(struct px_supervisor *s)
{
	px_loop_unwatch(s->loop, &s->owner.end_watch);
	px_loop_unwatch(s->loop, &s->owner.death_watch);
	if (!s->closing)
		px_turn_stop(&s->turn, "its owner is gone");
}

static void end_ready(void *ctx)
{
	struct px_supervisor *s = ctx;
	char byte;
	ssize_t got = read(s->options->owner_fd, &byte, 1);

	if (got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN)))
		return;
	gone(s);
}

static void died(void *ctx)
{
	gone(ctx);
}

/* The process that made the socket; 0: it is a pipe, or that is in another pid namespace. */
static pid_t maker(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.pid : 0;
}

int px_owner_watch(struct px_supervisor *s)
{
	int fd = s->options->owner_fd, rc;
	pid_t pid;

	if (fd < 0)
		return 0;
	rc = px_loop_watch(s->loop, &s->owner.end_watch, fd, end_ready, s);
	pid = maker(fd);
	if (rc < 0 || pid <= 0)
		return rc;
	s->owner.pidfd = px_pidfd_open(pid);
	if (s->owner.pidfd >= 0)
		return px_loop_watch(s->loop, &s->owner.death_watch, s->owner.pidfd, died, s);
	if (errno == ESRCH)
		gone(s);
	return 0;
}

void px_owner_close(struct px_supervisor *s)
{
	if (s->loop) {
		px_loop_unwatch(s->loop, &s->owner.end_watch);
		px_loop_unwatch(s->loop, &s->owner.death_watch);
	}
	if (s->owner.pidfd >= 0)
		close(s->owner.pidfd);
	if (s->options->owner_fd >= 0)
		close(s->options->owner_fd);
	s->owner.pidfd = -1;
}
