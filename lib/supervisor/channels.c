/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channels.c - makes and closes an engine's descriptors.
 */
#include "supervisor/channels.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shm/error.h"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int px_channels_open(struct px_channels *ours, int theirs[5])
{
	int pair[2], out[2] = { -1, -1 }, err[2] = { -1, -1 };
	int rc;

	for (int i = 0; i < 5; i++)
		theirs[i] = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return px_fail_errno("making an engine's socket");
	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0) {
		rc = px_fail_errno("making an engine's pipes");
		close(pair[0]);
		close(pair[1]);
		close_fd(&out[0]);
		close_fd(&out[1]);
		return rc;
	}
	/* The pipes keep their flags, which the engine shares: it has their read ends as well. */
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	*ours = (struct px_channels){ pair[0], out[0], err[0] };
	theirs[0] = pair[1];
	theirs[1] = out[1];
	theirs[2] = err[1];
	theirs[3] = out[0];
	theirs[4] = err[0];
	return 0;
}

void px_channels_close_theirs(int theirs[5])
{
	for (int i = 0; i < 3; i++)
		close_fd(&theirs[i]);
}

void px_channels_close(struct px_channels *ours)
{
	close_fd(&ours->control);
	close_fd(&ours->out);
	close_fd(&ours->err);
}
