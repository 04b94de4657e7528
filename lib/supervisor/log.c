/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.c - writes lines that never block.
 */
#include "supervisor/log.h"

#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pool/log_file.h"

/* A pipe that is ready takes PIPE_BUF bytes without waiting. */
static bool write_bytes(void *ctx, const char *bytes, size_t count)
{
	struct px_log *log = ctx;
	struct pollfd place = { .fd = log->fd, .events = POLLOUT };

	if (log->fd < 0)
		return true;
	(void)px_log_file_renew(log->fd);
	while (count > 0) {
		size_t piece = count < PIPE_BUF ? count : PIPE_BUF;
		ssize_t done = -1;

		if (poll(&place, 1, 0) == 1 && (place.revents & POLLOUT))
			done = write(log->fd, bytes, piece);
		if (done <= 0)
			return false;
		bytes += done;
		count -= (size_t)done;
	}
	return true;
}

void px_log_of_engine(struct px_log *log, uint32_t id, struct px_log_lines *lines)
{
	*lines = (struct px_log_lines){ .write = write_bytes, .ctx = log };
	snprintf(lines->who, sizeof(lines->who), "engine %" PRIu32, id);
}

void px_log_of(struct px_log *log, const char *who, struct px_log_lines *lines)
{
	*lines = (struct px_log_lines){ .write = write_bytes, .ctx = log };
	snprintf(lines->who, sizeof(lines->who), "%s", who);
}

void px_log(struct px_log *log, const char *format, ...)
{
	struct px_log_lines lines = { .write = write_bytes, .ctx = log, .who = "supervisor" };
	char words[PIPE_BUF];
	va_list ap;
	int length;

	va_start(ap, format);
	length = vsnprintf(words, sizeof(words), format, ap);
	va_end(ap);
	if (length < 0)
		return;
	px_log_lines_add(&lines, words, strlen(words));
	px_log_lines_end(&lines);
}
