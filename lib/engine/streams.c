/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * streams.c - reads the engine's own stdout and stderr.
 */
#include "engine/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine/outlet.h"
#include "pool/log_file.h"
#include "pool/log_line.h"
#include "shm/error.h"

/* One read fills one frame: output never needs a lease. */
#define PIECE_BYTES (PX_FRAME_MAX_BYTES - 128)
#define PIPE_BYTES (1 << 20)

struct px_streams {
	int pipes[2]; /* stdout, stderr */
	/*
	 * An epoll set of both pipes: looking at it costs hardly more than the cheapest system
	 * call, and half as much as poll(2).
	 */
	int news;
	int log;
	struct px_descriptor_id log_id;
	_Atomic bool ending;  /* the main thread waits for the lock */
	pthread_mutex_t lock; /* all below, and reading */
	struct px_log_lines lines[2];
	struct px_link *link; /* NULL: nobody's request runs */
	uint64_t id;
	struct px_outlet outlets[2];
	uint64_t displayed_bytes;
	char piece[PIECE_BYTES];
};

static bool write_log(void *ctx, const char *bytes, size_t length)
{
	struct px_streams *s = ctx;

	if (px_descriptor_check(s->log, s->log_id, "the log") < 0)
		return true;
	if (px_log_file_renew(s->log))
		s->log_id = px_descriptor_identify(s->log);
	while (length) {
		ssize_t done = write(s->log, bytes, length);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false; /* a full disk must not stop an engine */
		bytes += done;
		length -= (size_t)done;
	}
	return true;
}

/*
 * With the lock: reads what is in a pipe, but at most one pipe's worth at a time, for a process
 * in the background may print without end. False: the pipe has no writer any more.
 */
static bool drain(struct px_streams *s, unsigned which)
{
	for (size_t taken = 0; taken < PIPE_BYTES;) {
		ssize_t got = read(s->pipes[which], s->piece, sizeof(s->piece));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			bool open = got < 0 && errno == EAGAIN;

			px_log_lines_flush(&s->lines[which]);
			return open;
		}
		px_log_lines_add(&s->lines[which], s->piece, (size_t)got);
		px_outlet_write(&s->outlets[which], s->piece, (size_t)got);
		taken += (size_t)got;
	}
	return true;
}

/* With the lock. */
static void drain_both(struct px_streams *s)
{
	for (unsigned which = 0; which < 2; which++)
		if (!drain(s, which))
			(void)epoll_ctl(s->news, EPOLL_CTL_DEL, s->pipes[which], NULL);
}

static void *read_along(void *ctx)
{
	struct px_streams *s = ctx;
	struct epoll_event event;

	for (;;) {
		if (epoll_wait(s->news, &event, 1, -1) < 0 && errno != EINTR)
			return NULL;
		/* The main thread goes first: a client waits for it. */
		while (atomic_load_explicit(&s->ending, memory_order_relaxed))
			sched_yield();
		pthread_mutex_lock(&s->lock);
		drain_both(s);
		pthread_mutex_unlock(&s->lock);
	}
}

/* Blocks all signals in the thread: they are for the main thread. */
static int start_thread(struct px_streams *s)
{
	pthread_t thread;
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&thread, NULL, read_along, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		errno = rc;
		return px_fail_errno("starting the thread that reads an engine's output");
	}
	pthread_detach(thread);
	return 0;
}

static int watch(struct px_streams *s, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	/* Room for bursts; fails beyond the user's quota of pipe pages. */
	(void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
	if (epoll_ctl(s->news, EPOLL_CTL_ADD, fd, &event) < 0)
		return px_fail_errno("watching an engine's output");
	return 0;
}

int px_streams_new(uint32_t engine, int stdout_fd, int stderr_fd, int log, struct px_streams **out)
{
	struct px_streams *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return px_fail(PX_ENOMEM, "no private memory for an engine's output");
	s->pipes[0] = stdout_fd;
	s->pipes[1] = stderr_fd;
	s->log = log;
	s->log_id = px_descriptor_identify(log);
	for (int i = 0; i < 2; i++) {
		s->lines[i].write = write_log;
		s->lines[i].ctx = s;
		snprintf(s->lines[i].who, sizeof(s->lines[i].who), "engine %u", engine);
	}
	s->news = px_descriptor_raise(epoll_create1(EPOLL_CLOEXEC));
	if (s->news < 0) {
		rc = px_fail_errno("watching an engine's output");
		goto no_epoll;
	}
	pthread_mutex_init(&s->lock, NULL);
	rc = watch(s, stdout_fd);
	if (rc == 0)
		rc = watch(s, stderr_fd);
	if (rc == 0)
		rc = start_thread(s);
	if (rc < 0)
		goto no_thread;
	*out = s;
	return 0;

no_thread:
	pthread_mutex_destroy(&s->lock);
	close(s->news);
no_epoll:
	free(s);
	return rc;
}

void px_streams_begin(struct px_streams *s, struct px_link *link, uint64_t id)
{
	pthread_mutex_lock(&s->lock);
	s->link = link;
	s->id = id;
	s->displayed_bytes = 0;
	px_outlet_open(&s->outlets[0], link, id, PX_STREAM_STDOUT);
	px_outlet_open(&s->outlets[1], link, id, PX_STREAM_STDERR);
	pthread_mutex_unlock(&s->lock);
}

/* With the lock. */
static int publish(struct px_streams *s, enum px_stream stream, const void *bytes, size_t length)
{
	bool displays = stream == PX_STREAM_DISPLAY;
	int rc;

	if (!s->link)
		return px_fail(PX_EINVAL, "no request runs to which this output would belong");
	if (displays && s->displayed_bytes + length > PX_DISPLAYED_MAX_BYTES)
		return px_fail(PX_EABORTED, "a request displays at most %u MiB",
			       PX_DISPLAYED_MAX_BYTES >> 20);
	rc = px_outlet_send(s->link, s->id, stream, bytes, length);
	if (rc == 0 && displays)
		s->displayed_bytes += length;
	return rc;
}

int px_streams_publish(struct px_streams *s, enum px_stream stream, const void *bytes,
		       size_t length)
{
	int rc;

	pthread_mutex_lock(&s->lock);
	drain_both(s);
	rc = publish(s, stream, bytes, length);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

bool px_streams_end(struct px_streams *s, struct px_outlet rest[2])
{
	struct epoll_event event;
	/* The thread may be sending what it took out of the pipes: the lock waits for it. */
	int left = epoll_wait(s->news, &event, 1, 0);
	bool closed = left < 0 && errno != EINTR;

	atomic_store_explicit(&s->ending, true, memory_order_relaxed);
	pthread_mutex_lock(&s->lock);
	atomic_store_explicit(&s->ending, false, memory_order_relaxed);
	/* If it is not open any more, the pipes are not either: their numbers may be other files'. */
	if (left && !closed)
		drain_both(s);
	for (unsigned which = 0; which < 2; which++)
		px_outlet_end(&s->outlets[which], &rest[which]);
	s->link = NULL;
	pthread_mutex_unlock(&s->lock);
	return !closed;
}
