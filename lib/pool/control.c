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
#include "shm/os.h"

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

static int send_packet(int socket, const struct px_control *head, const char *text, const int *fds,
		       size_t fds_count, int flags)
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
		sent = sendmsg(socket, &message, MSG_NOSIGNAL | flags);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? socket_failure("writing to") : 0;
}

int px_control_send(int socket, const struct px_control *head, const char *text, const int *fds,
		    size_t fds_count)
{
	return send_packet(socket, head, text, fds, fds_count, 0);
}

/* Copies the descriptors of a message out; returns their number. *more: there were too many, by padding. */
static uint16_t take_fds(struct msghdr *message, int *fds, bool *more)
{
	uint16_t count = 0;

	*more = false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (count < PX_CONTROL_FDS_MAX) {
				fds[count++] = fd;
				continue;
			}
			close(fd);
			*more = true;
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
	bool reset = false, more;
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
	uint16_t fds = take_fds(&message, packet->fds, &more);
	size_t text = (size_t)got - sizeof(packet->head);
	if ((size_t)got < sizeof(packet->head) || packet->head.magic != PX_CONTROL_MAGIC ||
	    packet->head.text_bytes != text || packet->head.fds != fds || more ||
	    (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		return refuse(packet, fds, got, message.msg_flags);
	}
	packet->text[text] = '\0';
	return 0;
}

/* --- who is at the other end --- */

pid_t px_control_supervisor(int socket)
{
	struct ucred peer = { .pid = 0 };
	socklen_t length = sizeof(peer);

	/* It is the supervisor that listened, or made the pair: the kernel remembers whose pid. */
	return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.pid : 0;
}

static bool look(int socket, short events, int ms)
{
	struct pollfd news = { .fd = socket, .events = events };

	return poll(&news, 1, ms) > 0;
}

bool px_control_hung_up(int socket)
{
	return look(socket, POLLRDHUP, 0);
}

int px_control_silent(pid_t supervisor, uint64_t silence_ns)
{
	double seconds = (double)silence_ns / 1e9;
	int pid = supervisor;

	if (!pid)
		return px_fail(PX_ETIMEDOUT,
			       "the pool's supervisor has not answered for %.3g s; it may be "
			       "stopped, and its process is not to be seen from here",
			       seconds);
	return px_fail(PX_ETIMEDOUT,
		       "the pool's supervisor (process %d) has not answered for %.3g s; it may be "
		       "stopped: `kill -CONT %d` has it go on, `kill -KILL %d` ends the pool",
		       pid, seconds, pid, pid);
}

/* --- calls --- */

/* One wait for the supervisor. */
struct patience {
	int socket;
	struct px_control_wait wait;
	uint64_t began_ns, seen_ns, silent_ns;
};

static void begin_patience(struct patience *p, int socket, const struct px_control_wait *wait)
{
	*p = (struct patience){ .socket = socket, .seen_ns = px_os.now_ns() };
	p->began_ns = p->seen_ns;
	if (wait)
		p->wait = *wait;
	if (!p->wait.silence_ns)
		p->wait.silence_ns = PX_CONTROL_SILENCE_NS;
}

/* What is left of the whole wait. */
static uint64_t left_ns(const struct patience *p)
{
	uint64_t gone = px_os.now_ns() - p->began_ns;

	if (!p->wait.limit_ns)
		return UINT64_MAX;
	return gone < p->wait.limit_ns ? p->wait.limit_ns - gone : 0;
}

/* How long one look may take, in ms. */
static int look_ms(const struct patience *p)
{
	uint64_t left = left_ns(p);

	return left / 1000000 < LOOK_MS ? (int)((left + 999999) / 1000000) : LOOK_MS;
}

/*
 * Waits for an event of the socket: 1, or 0 if there is none yet. PX_ETIMEDOUT when the time is over,
 * or what give_up() says. Time in which this process did not run, as when a job is suspended, does
 * not count: its supervisor did not run either, perhaps.
 */
static int await(struct patience *p, short events)
{
	int rc = p->wait.give_up ? p->wait.give_up(p->wait.ctx) : 0;
	uint64_t now, most = 2 * LOOK_MS * UINT64_C(1000000);

	if (rc < 0 || look(p->socket, events, look_ms(p)))
		return rc < 0 ? rc : 1;
	if (!left_ns(p))
		return PX_ETIMEDOUT;
	now = px_os.now_ns();
	p->silent_ns += now - p->seen_ns < most ? now - p->seen_ns : most;
	p->seen_ns = now;
	return p->silent_ns < p->wait.silence_ns ? 0 : PX_ETIMEDOUT;
}

static int silent(const struct patience *p)
{
	if (!left_ns(p))
		return px_fail(PX_ETIMEDOUT,
			       "the pool's supervisor has not done it within %.3g s; it goes on",
			       (double)p->wait.limit_ns / 1e9);
	return px_control_silent(px_control_supervisor(p->socket), p->wait.silence_ns);
}

static void heard(struct patience *p)
{
	p->seen_ns = px_os.now_ns();
	p->silent_ns = 0;
}

/* Sends a packet when there is room for it. */
static int send_patiently(struct patience *p, const struct px_control *head)
{
	int rc;

	while ((rc = send_packet(p->socket, head, NULL, NULL, 0, MSG_DONTWAIT)) == PX_EAGAIN) {
		rc = await(p, POLLOUT);
		if (rc < 0)
			break;
	}
	return rc == PX_ETIMEDOUT ? silent(p) : rc;
}

int px_control_tell(int socket, const struct px_control *head)
{
	struct patience p;

	begin_patience(&p, socket, NULL);
	return send_patiently(&p, head);
}

/* Takes until the engines are up or gone, for which the supervisor has limits of its own. */
static bool takes_long(uint16_t type)
{
	return type == PX_CONTROL_RESTART || type == PX_CONTROL_ADD || type == PX_CONTROL_REMOVE;
}

static uint32_t next_serial(void)
{
	static _Atomic uint32_t serial;
	uint32_t next;

	do
		next = atomic_fetch_add_explicit(&serial, 1, memory_order_relaxed) + 1;
	while (!next);
	return next;
}

/* The answer to an earlier call that was given up. What it brings is given back. */
static void too_late(int socket, const struct px_control *reply)
{
	struct px_control back = { .type = PX_CONTROL_EXTENT_PUT, .a = reply->a, .b = reply->b };

	if (reply->c == PX_CONTROL_EXTENT_GET && reply->code == 0)
		(void)px_control_tell(socket, &back);
}

static bool answers(const struct px_control *reply, const struct px_control *head)
{
	return reply->type == PX_CONTROL_REPLY &&
	       (reply->serial == head->serial || (!reply->serial && reply->code < 0));
}

static int await_reply(struct patience *p, const struct px_control *head, struct px_packet *packet)
{
	struct px_control ping = { .type = PX_CONTROL_PING };
	bool pinged = !takes_long(head->type);
	int rc;

	for (;;) {
		rc = await(p, POLLIN);
		if (rc == PX_ETIMEDOUT && !pinged && left_ns(p)) {
			ping.serial = next_serial();
			pinged = true;
			heard(p);
			rc = send_patiently(p, &ping);
			if (rc < 0)
				return rc;
		}
		if (rc == PX_ETIMEDOUT)
			return silent(p);
		if (rc > 0)
			rc = px_control_receive(p->socket, packet);
		else if (rc == 0)
			continue;
		if (rc < 0)
			return rc;
		if (answers(&packet->head, head))
			return 0;
		too_late(p->socket, &packet->head);
		pinged = !takes_long(head->type);
		heard(p);
	}
}

int px_control_call(int socket, struct px_control *head, struct px_packet *packet,
		    const struct px_control_wait *wait)
{
	struct patience p;
	int rc;

	begin_patience(&p, socket, wait);
	head->serial = next_serial();
	rc = send_patiently(&p, head);
	/* A peer that has hung up may have sent the reason before. */
	if (rc == 0 || (rc == PX_EPOOL && look(socket, POLLIN, 0)))
		rc = await_reply(&p, head, packet);
	if (rc == 0 && packet->head.code < 0)
		return px_fail(packet->head.code, "%s", packet->text);
	return rc;
}
