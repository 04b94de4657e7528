/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event_loop_uring.c - the loop on io_uring(7).
 *
 * Each watch is a one-shot poll, armed again with the next wait: that is one
 * submission more per event, but in the same system call, and it is
 * level-triggered as epoll is. A multishot poll reports edges only, so that a
 * callback would have to read each descriptor dry.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>

#include "shm/error.h"
#include "supervisor/event_loop_backend.h"

#define ENTRIES 256

static int uring_open(void **out)
{
	struct io_uring *ring = malloc(sizeof(*ring));
	int rc;

	if (!ring)
		return px_fail(PX_ENOMEM, "no private memory for the event loop");
	rc = io_uring_queue_init(ENTRIES, ring, 0);
	if (rc < 0) {
		errno = -rc;
		free(ring);
		return px_fail_errno("setting up io_uring (%s; --event-loop=epoll does without)",
				     rc == -EPERM ? "kernel.io_uring_disabled or a seccomp filter "
						    "forbids it" :
						    "the kernel may lack it");
	}
	/* Without this feature (Linux 5.11) a wait with a time limit needs a request of its own. */
	if (!(ring->features & IORING_FEAT_EXT_ARG)) {
		io_uring_queue_exit(ring);
		free(ring);
		return px_fail(PX_ESYSTEM,
			       "io_uring of this kernel is too old: Linux 5.11 is needed "
			       "(--event-loop=epoll does without)");
	}
	*out = ring;
	return 0;
}

static void uring_close(void *ring)
{
	io_uring_queue_exit(ring);
	free(ring);
}

static struct io_uring_sqe *next_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe) {
		(void)io_uring_submit(ring);
		sqe = io_uring_get_sqe(ring);
	}
	return sqe;
}

static int uring_add(void *ring, int fd, uint64_t token)
{
	struct io_uring_sqe *sqe = next_sqe(ring);

	if (!sqe)
		return px_fail(PX_ESYSTEM, "io_uring takes no more requests");
	io_uring_prep_poll_add(sqe, fd, POLLIN);
	sqe->user_data = token;
	return 0;
}

static void uring_remove(void *ring, int fd, uint64_t token)
{
	struct io_uring_sqe *sqe = next_sqe(ring);

	(void)fd;
	if (sqe) {
		io_uring_prep_rw(IORING_OP_POLL_REMOVE, sqe, -1, NULL, 0, 0);
		sqe->addr = token;
		sqe->user_data = 0;
	}
	/* Cancelled at once: an armed poll keeps the file open after close(2). */
	(void)io_uring_submit(ring);
}

static int uring_wait(void *at, uint64_t timeout_ns, uint64_t *tokens, size_t max)
{
	struct io_uring *ring = at;
	struct __kernel_timespec limit = {
		.tv_sec = (long long)(timeout_ns / 1000000000),
		.tv_nsec = (long long)(timeout_ns % 1000000000),
	};
	struct io_uring_cqe *cqe = NULL;
	unsigned head, seen = 0;
	int rc, count = 0;

	rc = io_uring_submit_and_wait_timeout(ring, &cqe, 1,
					      timeout_ns == UINT64_MAX ? NULL : &limit, NULL);
	if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY) {
		errno = -rc;
		return px_fail_errno("waiting on io_uring");
	}
	io_uring_for_each_cqe(ring, head, cqe)
	{
		if ((size_t)count == max)
			break;
		seen++;
		if (cqe->user_data && cqe->res != -ECANCELED)
			tokens[count++] = cqe->user_data;
	}
	io_uring_cq_advance(ring, seen);
	return count;
}

const struct px_loop_backend px_loop_uring = {
	.name = "io_uring",
	.open = uring_open,
	.close = uring_close,
	.add = uring_add,
	.remove = uring_remove,
	.again = uring_add,
	.wait = uring_wait,
};
