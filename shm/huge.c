/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * huge.c - mounts a tmpfs in a private namespace.
 */
#include "shm/huge.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Any folder that is always there; in the child's namespace the mount covers it. */
#define WHERE "/tmp"

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

/*
 * A mount namespace of our own. Without root a user namespace is needed too, with our own ids
 * mapped to themselves.
 */
static bool leave_namespace(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];

	if (unshare(CLONE_NEWNS) == 0)
		return true;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return false;
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	if (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", map))
		return false;
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	return write_file("/proc/self/gid_map", map);
}

static int mount_and_open(void)
{
	if (!leave_namespace() || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	/* No size: the supervisor counts, and the machine's memory is the limit. */
	if (mount("pxrun", WHERE, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "huge=advise,size=0,mode=700") < 0)
		return -1;
	return open(WHERE, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
}

union fd_buffer {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static void hand_over(int socket, int fd)
{
	char byte = 0;
	struct iovec part = { &byte, 1 };
	union fd_buffer control = { .bytes = { 0 } };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	(void)sendmsg(socket, &message, MSG_NOSIGNAL);
}

/* The descriptor that the child handed over; -1: none, the child could not make it. */
static int take_over(int socket)
{
	char byte;
	struct iovec part = { &byte, 1 };
	union fd_buffer control;
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *header;
	ssize_t got;
	int fd = -1;

	do
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

int px_huge_mount(void)
{
	int ends[2], fd;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	child = fork();
	if (child == 0) {
		fd = mount_and_open();
		if (fd >= 0)
			hand_over(ends[1], fd);
		_exit(0);
	}
	close(ends[1]);
	fd = child > 0 ? take_over(ends[0]) : -1;
	close(ends[0]);
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return fd;
}

_Bool px_huge_shmem(void)
{
	char words[128];
	int fd = open("/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, words, sizeof(words) - 1);

	if (fd >= 0)
		close(fd);
	if (got <= 0)
		return false;
	words[got] = '\0';
	return strstr(words, "[advise]") != NULL;
}
