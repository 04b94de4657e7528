/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_line.h - the lines of a pool's log: when, whose, and what.
 *
 *     2026-11-28T02:40:09.123Z supervisor: 4 engines serve, 95 ms after the start
 *     2026-11-28T02:40:11.456Z engine 3: a line that it has printed
 *     2026-11-28T02:40:12.789Z engine 3+ and one that goes on where its last one has ended
 *
 * Each is written in one piece, so that those of several processes do not mix. What is printed without
 * an end of line is held until that comes, but no longer than its process goes on printing. No line ends
 * amid a character of UTF-8.
 *
 * Who:     the supervisor and each engine; a struct px_log_lines has one writer at a time.
 * Where:   private memory.
 * Blocks:  as write() does.
 * Death:   loses what is held, which is nothing while the process prints nothing, but for a part of a character.
 */
#ifndef PX_LOG_LINE_H
#define PX_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most of a text that one line has; what is longer goes on in the next. */
#define PX_LOG_TEXT_BYTES 8192

/* Output of one process, which is marked as its. */
struct px_log_lines {
	/* Writes some lines, all of them whole. False: not all of it, as on a full disk. */
	bool (*write)(void *ctx, const char *bytes, size_t count);
	void *ctx;
	char who[24];   /* "engine 3" */
	bool continued; /* the next one continues the last */
	bool torn;      /* what was written may end amid a line */
	size_t held;
	char text[PX_LOG_TEXT_BYTES];
};

void px_log_lines_add(struct px_log_lines *lines, const char *bytes, size_t count);
/* Writes what is held: there is no more for now. */
void px_log_lines_flush(struct px_log_lines *lines);
/* The same, and what comes next begins a line. */
void px_log_lines_end(struct px_log_lines *lines);

/* Beside the ids of engines. */
enum { PX_LOG_SUPERVISOR = -1, PX_LOG_TEMPLATE = -2 };
/*
 * Whose a line is, which ends with a NUL: an engine's id, or one of these. False: it does not say so, such as
 * what a library of the supervisor's prints.
 */
bool px_log_line_whose(const char *line, int64_t *whose);

#endif
