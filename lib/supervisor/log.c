/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.c - writes lines that never block.
 */
#include "supervisor/log.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pool/log_file.h"

void px_log_bytes(struct px_log *log, const char *bytes, size_t count)
{
	struct pollfd place = { .fd = log->fd, .events = POLLOUT };

	if (log->fd < 0)
		return;
	px_log_file_rotate(log->fd);
	while (count > 0) {
		/* A pipe that is ready takes PIPE_BUF bytes without waiting. */
		size_t piece = count < PIPE_BUF ? count : PIPE_BUF;
		ssize_t done = -1;

		if (poll(&place, 1, 0) == 1 && (place.revents & POLLOUT))
			done = write(log->fd, bytes, piece);
		if (done <= 0) {
			log->dropped += count;
			return;
		}
		bytes += done;
		count -= (size_t)done;
	}
}

static void write_bytes(void *ctx, const char *bytes, size_t count)
{
	px_log_bytes(ctx, bytes, count);
}

struct px_log_lines px_log_of_engine(struct px_log *log, uint32_t id)
{
	struct px_log_lines lines = { .write = write_bytes, .ctx = log };

	snprintf(lines.prefix, sizeof(lines.prefix), "[engine %u] ", id);
	return lines;
}

struct px_log_lines px_log_of_template(struct px_log *log)
{
	return (struct px_log_lines){ .write = write_bytes, .ctx = log };
}

void px_log(struct px_log *log, const char *format, ...)
{
	char line[PIPE_BUF];
	struct timespec now;
	struct tm date;
	size_t used;
	va_list ap;
	int length;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &date);
	used = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &date);
	used += (size_t)snprintf(line + used, sizeof(line) - used,
				 ".%03ldZ supervisor: ", now.tv_nsec / 1000000);
	va_start(ap, format);
	length = vsnprintf(line + used, sizeof(line) - used - 1, format, ap);
	va_end(ap);
	if (length < 0)
		return;
	used = strlen(line);
	line[used++] = '\n';
	px_log_bytes(log, line, used);
}
