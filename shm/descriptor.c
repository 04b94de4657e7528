/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * descriptor.c - high numbers for our descriptors, and whether they are still ours.
 */
#include "shm/descriptor.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/error.h"

#define LOWEST 200
#define BEYOND 1024 /* FD_SETSIZE */

int px_descriptor_raise(int fd)
{
	struct rlimit files;
	int moved;

	if (fd < 0 || fd >= LOWEST)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST);
	if (moved < 0 && getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur <= LOWEST)
		moved = fcntl(fd, F_DUPFD_CLOEXEC, (int)(files.rlim_cur / 2));
	if (moved >= BEYOND || (moved >= 0 && moved < fd)) {
		close(moved);
		moved = -1;
	}
	if (moved < 0) {
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		return fd;
	}
	close(fd);
	return moved;
}

struct px_descriptor_id px_descriptor_identify(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return (struct px_descriptor_id){ 0 };
	return (struct px_descriptor_id){ st.st_dev, st.st_ino };
}

static bool is(int fd, struct px_descriptor_id id)
{
	struct px_descriptor_id now = px_descriptor_identify(fd);

	return now.inode && now.inode == id.inode && now.device == id.device;
}

int px_descriptor_check(int fd, struct px_descriptor_id id, const char *what)
{
	if (is(fd, id))
		return 0;
	return px_fail(PX_ECLOSED,
		       "code in this process has closed pxrun's descriptor %d (%s), as "
		       "os.closerange() does: close only what is your own",
		       fd, what);
}

void px_descriptor_close(int fd, struct px_descriptor_id id)
{
	if (fd >= 0 && is(fd, id))
		close(fd);
}
