/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channels.c - makes and closes an engine's descriptors.
 */
#include "supervisor/channels.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/layout.h"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Of a size that code of the user cannot change. */
static int open_crash_text(void)
{
	int fd = memfd_create("pxrun-crash", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, PX_CRASH_BYTES) < 0 ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0))
		close_fd(&fd);
	return fd;
}

int px_channels_open(struct px_channels *ours, int theirs[6])
{
	int pair[2], out[2] = { -1, -1 }, err[2] = { -1, -1 };
	int crash, rc;

	for (int i = 0; i < 6; i++)
		theirs[i] = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return px_fail_errno("making an engine's socket");
	crash = open_crash_text();
	if (crash < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0) {
		rc = px_fail_errno("making an engine's pipes");
		close_fd(&crash);
		close(pair[0]);
		close(pair[1]);
		close_fd(&out[0]);
		close_fd(&out[1]);
		return rc;
	}
	/* The pipes keep their flags, which the engine shares: it has their read ends as well. */
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	*ours = (struct px_channels){ pair[0], out[0], err[0], crash };
	theirs[0] = pair[1];
	theirs[1] = out[1];
	theirs[2] = err[1];
	theirs[3] = out[0];
	theirs[4] = err[0];
	theirs[5] = crash;
	return 0;
}

void px_channels_close_theirs(int theirs[6])
{
	for (int i = 0; i < 3; i++)
		close_fd(&theirs[i]);
}

void px_channels_close(struct px_channels *ours)
{
	close_fd(&ours->control);
	close_fd(&ours->out);
	close_fd(&ours->err);
	close_fd(&ours->crash);
}
