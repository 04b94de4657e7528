/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event_loop_epoll.c - the loop on epoll(7), for machines that do not permit io_uring.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "shm/error.h"
#include "supervisor/event_loop_backend.h"

struct epoll_state {
	int fd;
};

static int epoll_open(void **out)
{
	struct epoll_state *state = malloc(sizeof(*state));

	if (!state)
		return px_fail(PX_ENOMEM, "no private memory for the event loop");
	state->fd = epoll_create1(EPOLL_CLOEXEC);
	if (state->fd < 0) {
		free(state);
		return px_fail_errno("making an epoll descriptor");
	}
	*out = state;
	return 0;
}

static void epoll_close(void *at)
{
	struct epoll_state *state = at;

	close(state->fd);
	free(state);
}

static int epoll_add(void *at, int fd, uint64_t token)
{
	const struct epoll_state *state = at;
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = token };

	if (epoll_ctl(state->fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return px_fail_errno("watching descriptor %d", fd);
	return 0;
}

static void epoll_remove(void *at, int fd, uint64_t token)
{
	const struct epoll_state *state = at;

	(void)token;
	(void)epoll_ctl(state->fd, EPOLL_CTL_DEL, fd, NULL);
}

static int milliseconds(uint64_t timeout_ns)
{
	if (timeout_ns == UINT64_MAX)
		return -1;
	/* Rounded up: waking too early would mean waking twice. */
	return timeout_ns > UINT64_C(3600000000000) ? 3600000 :
						      (int)((timeout_ns + 999999) / 1000000);
}

static int epoll_look(void *at, uint64_t timeout_ns, uint64_t *tokens, size_t max)
{
	const struct epoll_state *state = at;
	struct epoll_event events[PX_LOOP_BATCH];
	int count = epoll_wait(state->fd, events, (int)max, milliseconds(timeout_ns));

	if (count < 0)
		return errno == EINTR ? 0 : px_fail_errno("waiting on epoll");
	for (int i = 0; i < count; i++)
		tokens[i] = events[i].data.u64;
	return count;
}

const struct px_loop_backend px_loop_epoll = {
	.name = "epoll",
	.open = epoll_open,
	.close = epoll_close,
	.add = epoll_add,
	.remove = epoll_remove,
	.wait = epoll_look,
};
