/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_line.c - makes lines of what processes print, and reads whose they are.
 */
#include "pool/log_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIME_BYTES 24 /* "2026-11-28T02:40:09.123Z" */
#define DAY_SECONDS 86400

/* --- writing --- */

struct buffer {
	struct px_log_lines *lines;
	char head[128]; /* of a line: all but ": " or "+ " */
	size_t head_bytes, used;
	char bytes[2 * PX_LOG_TEXT_BYTES];
};

static int days_of(int month, int year)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month] + (month == 1 && leap);
}

/*
 * Not by gmtime_r(3), which takes a lock of the C library: code of users may fork at this moment, and its
 * child would wait for that lock.
 */
static void write_time(char *out, size_t out_bytes)
{
	int year = 1970, month = 0, days, seconds;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	days = (int)(now.tv_sec / DAY_SECONDS);
	seconds = (int)(now.tv_sec % DAY_SECONDS);
	for (; days >= 337 + days_of(1, year); year++)
		days -= 337 + days_of(1, year);
	for (; days >= days_of(month, year); month++)
		days -= days_of(month, year);
	snprintf(out, out_bytes, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", year, month + 1, days + 1,
		 seconds / 3600, seconds / 60 % 60, seconds % 60, now.tv_nsec / 1000000);
}

static void begin(struct buffer *b, struct px_log_lines *lines)
{
	b->lines = lines;
	b->used = 0;
	write_time(b->head, sizeof(b->head));
	b->head_bytes = strlen(b->head);
	b->head_bytes += (size_t)snprintf(b->head + b->head_bytes, sizeof(b->head) - b->head_bytes,
					  " %s", lines->who);
}

static void write_out(struct buffer *b)
{
	if (b->used)
		b->lines->torn = !b->lines->write(b->lines->ctx, b->bytes, b->used);
	b->used = 0;
}

static void put(struct buffer *b, const char *bytes, size_t count)
{
	memcpy(b->bytes + b->used, bytes, count);
	b->used += count;
}

/* The bytes at the end that begin a character of UTF-8, whose others have not come yet. */
static size_t begun_character(const char *text, size_t bytes)
{
	for (size_t i = 1; i <= 3 && i <= bytes; i++) {
		unsigned char c = (unsigned char)text[bytes - i];
		size_t whole = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

		if ((c & 0xc0) != 0x80)
			return whole > i ? i : 0;
	}
	return 0;
}

/* What is held becomes a line; one that goes on does not end amid a character. */
static void put_line(struct buffer *b, bool ended)
{
	struct px_log_lines *lines = b->lines;
	size_t kept = ended ? 0 : begun_character(lines->text, lines->held);

	lines->held -= kept;
	/* Nothing is left of one that has just been written as far as it went. */
	if (lines->held || !lines->continued) {
		if (b->used + b->head_bytes + 4 + lines->held > sizeof(b->bytes))
			write_out(b);
		if (lines->torn && !b->used)
			put(b, "\n", 1);
		put(b, b->head, b->head_bytes);
		put(b, lines->continued ? "+ " : ": ", 2);
		put(b, lines->text, lines->held);
		put(b, "\n", 1);
	}
	memmove(lines->text, lines->text + lines->held, kept);
	lines->held = kept;
	lines->continued = !ended;
}

void px_log_lines_add(struct px_log_lines *lines, const char *bytes, size_t count)
{
	struct buffer b;

	begin(&b, lines);
	while (count) {
		const char *newline = memchr(bytes, '\n', count);
		size_t length = newline ? (size_t)(newline - bytes) : count;
		size_t room = sizeof(lines->text) - lines->held;

		if (length > room) {
			length = room;
			newline = NULL;
		}
		memcpy(lines->text + lines->held, bytes, length);
		lines->held += length;
		if (newline || lines->held == sizeof(lines->text))
			put_line(&b, newline != NULL);
		bytes += length + (newline != NULL);
		count -= length + (newline != NULL);
	}
	write_out(&b);
}

void px_log_lines_flush(struct px_log_lines *lines)
{
	struct buffer b;

	if (lines->held == begun_character(lines->text, lines->held))
		return;
	begin(&b, lines);
	put_line(&b, false);
	write_out(&b);
}

void px_log_lines_end(struct px_log_lines *lines)
{
	struct buffer b;

	begin(&b, lines);
	if (lines->held)
		put_line(&b, true);
	write_out(&b);
	lines->continued = false;
}

/* --- reading --- */

static bool is_time(const char *line)
{
	static const char like[] = "0000-00-00T00:00:00.000Z ";

	for (size_t i = 0; like[i]; i++)
		if (like[i] == '0' ? line[i] < '0' || line[i] > '9' : line[i] != like[i])
			return false;
	return true;
}

static bool begins(const char *text, const char *who)
{
	size_t length = strlen(who);

	return !strncmp(text, who, length) && (text[length] == ':' || text[length] == '+') &&
	       text[length + 1] == ' ';
}

bool px_log_line_whose(const char *line, int64_t *whose)
{
	const char *who = line + TIME_BYTES + 1;
	char engine[24];
	uint32_t id = 0;

	if (!is_time(line))
		return false;
	if (begins(who, "supervisor")) {
		*whose = PX_LOG_SUPERVISOR;
	} else if (begins(who, "template")) {
		*whose = PX_LOG_TEMPLATE;
	} else {
		if (sscanf(who, "engine %9" SCNu32, &id) != 1)
			return false;
		snprintf(engine, sizeof(engine), "engine %" PRIu32, id);
		if (!begins(who, engine))
			return false;
		*whose = id;
	}
	return true;
}
