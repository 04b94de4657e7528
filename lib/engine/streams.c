/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * streams.c - reads the engine's own stdout and stderr.
 */
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

/* One read fills one frame: output never needs a lease. */
#define PIECE_BYTES (PX_FRAME_MAX_BYTES - 128)
#define LOG_MAX_BYTES (16 << 20)
#define PIPE_BYTES (1 << 20)

struct px_streams {
	struct pollfd pipes[2]; /* stdout, stderr; the thread polls a copy */
	int log;
	bool log_full;
	pthread_mutex_t lock; /* all below, and reading */
	struct px_link *link; /* NULL: nobody's request runs */
	uint64_t id;
	uint64_t dropped[2];
	char piece[PIECE_BYTES];
};

static void write_log(struct px_streams *s, const char *bytes, size_t length)
{
	static const char full[] = "\n[pxrun: the log is full, what follows is not kept]\n";
	struct stat file;

	if (s->log < 0 || s->log_full)
		return;
	if (fstat(s->log, &file) == 0 && file.st_size > LOG_MAX_BYTES) {
		s->log_full = true;
		bytes = full;
		length = sizeof(full) - 1;
	}
	while (length) {
		ssize_t done = write(s->log, bytes, length);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return; /* a full disk must not stop an engine */
		bytes += done;
		length -= (size_t)done;
	}
}

static int send_piece(struct px_streams *s, unsigned which, const char *bytes, size_t length)
{
	struct px_outgoing out = {
		.kind = PX_STREAM,
		.flags = which ? PX_STREAM_STDERR : 0,
		.id = s->id,
		.body = bytes,
		.body_bytes = length,
	};

	return px_link_send(s->link, &out);
}

/* Sends what was read, after a line about what could not be sent before. */
static void forward(struct px_streams *s, unsigned which, size_t length)
{
	char note[160];

	if (s->dropped[which]) {
		snprintf(note, sizeof(note),
			 "\n[pxrun: %llu bytes of output were dropped: the arena is full]\n",
			 (unsigned long long)s->dropped[which]);
		if (send_piece(s, which, note, strlen(note)) == 0)
			s->dropped[which] = 0;
	}
	if (s->dropped[which] || send_piece(s, which, s->piece, length) < 0)
		s->dropped[which] += length;
}

/* With the lock: everything that is in the pipes. */
static void drain(struct px_streams *s)
{
	for (unsigned which = 0; which < 2; which++)
		for (;;) {
			ssize_t got = read(s->pipes[which].fd, s->piece, sizeof(s->piece));

			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0)
				break;
			write_log(s, s->piece, (size_t)got);
			if (s->link)
				forward(s, which, (size_t)got);
		}
}

static void *read_along(void *ctx)
{
	struct px_streams *s = ctx;
	struct pollfd pipes[2];

	memcpy(pipes, s->pipes, sizeof(pipes));
	for (;;) {
		if (poll(pipes, 2, -1) < 0 && errno != EINTR)
			return NULL;
		pthread_mutex_lock(&s->lock);
		drain(s);
		pthread_mutex_unlock(&s->lock);
		/* Nobody writes any more: the process is on its way out. */
		if ((pipes[0].revents | pipes[1].revents) & (POLLHUP | POLLERR | POLLNVAL))
			return NULL;
	}
}

/* All signals are for the main thread. */
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

int px_streams_new(int stdout_fd, int stderr_fd, int log, struct px_streams **out)
{
	struct px_streams *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return px_fail(PX_ENOMEM, "no private memory for an engine's output");
	s->pipes[0] = (struct pollfd){ .fd = stdout_fd, .events = POLLIN };
	s->pipes[1] = (struct pollfd){ .fd = stderr_fd, .events = POLLIN };
	s->log = log;
	pthread_mutex_init(&s->lock, NULL);
	for (unsigned which = 0; which < 2; which++) {
		(void)fcntl(s->pipes[which].fd, F_SETFL, O_NONBLOCK);
		/* Room for a burst; not allowed beyond a user's quota of pipe pages. */
		(void)fcntl(s->pipes[which].fd, F_SETPIPE_SZ, PIPE_BYTES);
	}
	rc = start_thread(s);
	if (rc < 0) {
		pthread_mutex_destroy(&s->lock);
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void px_streams_begin(struct px_streams *s, struct px_link *link, uint64_t id)
{
	pthread_mutex_lock(&s->lock);
	s->link = link;
	s->id = id;
	pthread_mutex_unlock(&s->lock);
}

void px_streams_end(struct px_streams *s)
{
	struct pollfd pipes[2] = { s->pipes[0], s->pipes[1] };
	/* The thread may have read what is not in the pipes any more: the lock waits for it. */
	bool left = poll(pipes, 2, 0) != 0;

	pthread_mutex_lock(&s->lock);
	if (left)
		drain(s);
	s->link = NULL;
	pthread_mutex_unlock(&s->lock);
}
