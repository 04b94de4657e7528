/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_control.c - no packet makes its reader crash, read beyond it, or keep a descriptor of a
 * packet that it refuses.
 *
 * The input's first byte says how many descriptors go with the packet, the rest is the packet.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pool/control.h"
#include "shm/error.h"

#define FDS_MAX (PX_CONTROL_FDS_MAX + 2) /* more than a reader takes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ends[2] = { -1, -1 }, null = -1;

static void check(int holds)
{
	if (!holds)
		abort();
}

static void begin(void)
{
	if (null >= 0)
		return;
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	check(null >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
}

static ssize_t send_bytes(const uint8_t *data, size_t size, size_t fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec part = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fds) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);

		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fds * sizeof(int));
		for (size_t i = 0; i < fds; i++)
			memcpy(CMSG_DATA(header) + i * sizeof(int), &null, sizeof(int));
	}
	return sendmsg(ends[0], &message, MSG_DONTWAIT);
}

/* The lowest free number: it changes if a descriptor is kept. */
static int lowest_free(void)
{
	int fd = dup(null);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct px_packet packet;
	int before, rc;

	begin();
	if (size < 2)
		return 0; /* an empty packet is a hang-up */
	before = lowest_free();
	if (send_bytes(data + 1, size - 1, data[0] % (FDS_MAX + 1)) < 0)
		return 0; /* longer than a socket takes */
	memset(&packet, 0xee, sizeof(packet));
	rc = px_control_receive(ends[1], &packet);
	check(rc == 0 || rc == PX_ECORRUPT);
	if (rc == 0) {
		check(packet.head.text_bytes == size - 1 - sizeof(packet.head));
		check(packet.text[packet.head.text_bytes] == '\0');
		check(packet.head.fds == data[0] % (FDS_MAX + 1));
		for (uint16_t i = 0; i < packet.head.fds; i++)
			check(close(packet.fds[i]) == 0);
	} else {
		check(px_last_error()[0] != '\0');
	}
	check(lowest_free() == before);
	return 0;
}
