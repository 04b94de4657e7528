/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control.c - packets over the supervisor's socket.
 */
#include "pool/control.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shm/error.h"

#define LOOK_MS 50

union fds_buffer {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(PX_CONTROL_FDS_MAX * sizeof(int))];
};

static int socket_failure(const char *doing)
{
	switch (errno) {
	case EAGAIN:
		return px_fail(PX_EAGAIN, "the control socket is busy");
	case EPIPE:
	case ECONNRESET:
	case ENOTCONN:
		return px_fail(PX_EPOOL, "the pool's supervisor is gone");
	default:
		return px_fail_errno("%s the control socket", doing);
	}
}

int px_control_send(int socket, const struct px_control *head, const char *text, const int *fds,
		    size_t fds_count)
{
	struct px_control packet = *head;
	union fds_buffer control;
	size_t length = text ? strlen(text) : 0;
	ssize_t sent;

	if (length > PX_CONTROL_TEXT_MAX)
		length = PX_CONTROL_TEXT_MAX;
	packet.magic = PX_CONTROL_MAGIC;
	packet.fds = (uint16_t)fds_count;
	packet.text_bytes = (uint32_t)length;
	struct iovec parts[2] = {
		{ .iov_base = &packet, .iov_len = sizeof(packet) },
		{ .iov_base = (void *)(uintptr_t)text, .iov_len = length },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = length ? 2 : 1 };
	if (fds_count) {
		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fds_count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fds_count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, fds_count * sizeof(int));
	}
	do
		sent = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? socket_failure("writing to") : 0;
}

/* Copies the descriptors of a message out; returns their number. */
static uint16_t take_fds(struct msghdr *message, int *fds)
{
	uint16_t count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (count < PX_CONTROL_FDS_MAX)
				fds[count++] = fd;
			else
				close(fd);
		}
	}
	return count;
}

/* Closes the descriptors of a packet that cannot be used; the error says why. */
static int refuse(const struct px_packet *packet, uint16_t fds, ssize_t got, int flags)
{
	/* Fewer came than there is room for: the kernel could not give them all to this process. */
	bool exhausted = flags & MSG_CTRUNC && fds < PX_CONTROL_FDS_MAX;

	while (fds)
		close(packet->fds[--fds]);
	if (exhausted)
		return px_fail(
			PX_ESYSTEM,
			"a descriptor that came on the control socket could not be taken: this "
			"process has too many open files; close some, or raise `ulimit -n`");
	return px_fail(PX_ECORRUPT, "a packet of %zd bytes on the control socket is not pxrun's",
		       got);
}

int px_control_receive(int socket, struct px_packet *packet)
{
	union fds_buffer control;
	struct iovec parts[2] = {
		{ .iov_base = &packet->head, .iov_len = sizeof(packet->head) },
		{ .iov_base = packet->text, .iov_len = PX_CONTROL_TEXT_MAX },
	};
	struct msghdr message = {
		.msg_iov = parts,
		.msg_iovlen = 2,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	bool reset = false;
	ssize_t got;

	/*
	 * If the peer closed without reading our last packet, the socket is reset; its own
	 * packets can still be read after that.
	 */
	do {
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
		if (got < 0 && errno == ECONNRESET && !reset) {
			reset = true;
			errno = EINTR;
		}
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return socket_failure("reading from");
	if (got == 0)
		return px_fail(PX_EPOOL, "the pool's supervisor is gone");
	uint16_t fds = take_fds(&message, packet->fds);
	size_t text = (size_t)got - sizeof(packet->head);
	if ((size_t)got < sizeof(packet->head) || packet->head.magic != PX_CONTROL_MAGIC ||
	    packet->head.text_bytes != text || packet->head.fds != fds ||
	    (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		return refuse(packet, fds, got, message.msg_flags);
	}
	packet->text[text] = '\0';
	return 0;
}

static bool readable(int socket)
{
	struct pollfd look = { .fd = socket, .events = POLLIN };

	return poll(&look, 1, 0) > 0;
}

/* Waits until there is something to read; without give_up, for ever. */
static int wait_readable(int socket, int (*give_up)(void *ctx), void *ctx)
{
	struct pollfd news = { .fd = socket, .events = POLLIN };
	int rc = 0;

	while (give_up && (rc = give_up(ctx)) == 0) {
		int ready = poll(&news, 1, LOOK_MS);

		if (ready > 0)
			break;
		if (ready < 0 && errno != EINTR)
			return px_fail_errno("waiting for the control socket");
	}
	return rc;
}

int px_control_call_unless(int socket, struct px_control *head, const char *text,
			   struct px_packet *packet, int (*give_up)(void *ctx), void *ctx)
{
	static _Atomic uint32_t serial;
	int rc;

	do
		head->serial = atomic_fetch_add_explicit(&serial, 1, memory_order_relaxed) + 1;
	while (!head->serial);
	rc = px_control_send(socket, head, text, NULL, 0);
	/* A peer that has hung up may have sent the reason before. */
	if (rc < 0 && (rc != PX_EPOOL || !readable(socket)))
		return rc;
	do {
		rc = wait_readable(socket, give_up, ctx);
		if (rc == 0)
			rc = px_control_receive(socket, packet);
		if (rc < 0)
			return rc;
		/* An earlier call that was given up may have its reply before ours. */
	} while (packet->head.type != PX_CONTROL_REPLY ||
		 (packet->head.serial != head->serial &&
		  (packet->head.serial || packet->head.code >= 0)));
	return packet->head.code < 0 ? px_fail(packet->head.code, "%s", packet->text) : 0;
}

int px_control_call(int socket, struct px_control *head, const char *text, struct px_packet *packet)
{
	return px_control_call_unless(socket, head, text, packet, NULL, NULL);
}
