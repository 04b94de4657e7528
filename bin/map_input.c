/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map_input.c - reads records.
 */
#include "bin/map_input.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/error.h"

#define READ_BYTES ((size_t)1 << 18)

void px_map_input_open(struct px_map_input *input)
{
	struct stat st;

	if (input->arguments) {
		while (input->arguments[input->total])
			input->total++;
		input->ended = true;
	} else if (fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode)) {
		off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);

		input->total = at >= 0 && at < st.st_size ? (uint64_t)(st.st_size - at) : 0;
	}
}

void px_map_input_close(struct px_map_input *input)
{
	free(input->buffer);
	free(input->header);
}

/* --- where a record ends --- */

static enum px_map_csv csv_next(enum px_map_csv state, char c)
{
	if (state == IN_QUOTES)
		return c == '"' ? QUOTE_IN_QUOTES : IN_QUOTES;
	if (state == QUOTE_IN_QUOTES && c == '"')
		return IN_QUOTES;
	if (c == ',')
		return FIELD_BEGINS;
	return state == FIELD_BEGINS && c == '"' ? IN_QUOTES : IN_FIELD;
}

static char *find_csv_end(struct px_map_input *input)
{
	char *at = input->buffer + input->scanned, *end = input->buffer + input->used;

	for (; at < end; at++) {
		if (*at == '\n' && input->csv_state != IN_QUOTES) {
			input->csv_state = FIELD_BEGINS;
			return at;
		}
		input->csv_state = csv_next(input->csv_state, *at);
	}
	return NULL;
}

static char *find_end(struct px_map_input *input)
{
	if (input->scanned == input->used)
		return NULL;
	if (input->format == PX_MAP_CSV && !input->arguments)
		return find_csv_end(input);
	return memchr(input->buffer + input->scanned, input->separator,
		      input->used - input->scanned);
}

/* --- records --- */

static bool take_argument(struct px_map_input *input, const char **record, size_t *bytes)
{
	if (input->taken_bytes == input->total)
		return false;
	*record = input->arguments[input->taken_bytes++];
	*bytes = strlen(*record);
	return true;
}

/* Of the input, whether or not it is a record. */
static bool take(struct px_map_input *input, const char **record, size_t *bytes)
{
	char *at = input->buffer + input->start, *end;

	if (input->arguments)
		return take_argument(input, record, bytes);
	end = find_end(input);
	if (!end && (!input->ended || input->start == input->used)) {
		input->scanned = input->used;
		return false;
	}
	*record = at;
	*bytes = end ? (size_t)(end - at) : input->used - input->start;
	input->start += *bytes + (end != NULL);
	input->scanned = input->start;
	input->taken_bytes += *bytes + (end != NULL);
	return true;
}

static bool is_blank(const char *record, size_t bytes)
{
	while (bytes && strchr(" \t\r", *record) && *record)
		record++, bytes--;
	return bytes == 0;
}

static int take_header(struct px_map_input *input, const char *record, size_t bytes)
{
	input->header = malloc(bytes + 1);
	if (!input->header)
		return px_fail(PX_ENOMEM, "no private memory for the first line");
	memcpy(input->header, record, bytes);
	input->header_bytes = bytes;
	return 0;
}

int px_map_input_next(struct px_map_input *input, const char **record, size_t *bytes)
{
	while (take(input, record, bytes)) {
		int rc = 0;

		if (input->format != PX_MAP_LINES && is_blank(*record, *bytes))
			continue;
		if (input->format == PX_MAP_CSV && memchr(*record, '\0', *bytes))
			return px_fail(PX_EINVAL, "record %llu has a NUL byte, and CSV has none",
				       (unsigned long long)input->seq + 1);
		if (input->format != PX_MAP_CSV || input->header) {
			input->seq++;
			return 1;
		}
		rc = take_header(input, *record, *bytes);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* --- reading --- */

bool px_map_input_waits(const struct px_map_input *input)
{
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };

	return !input->ended && poll(&fd, 1, 0) == 0;
}

/* Room behind what is there, which moves to the front. */
static int make_room(struct px_map_input *input)
{
	size_t left = input->used - input->start, room = input->room;
	char *grown = input->buffer;

	if (input->start) {
		memmove(grown, grown + input->start, left);
		input->scanned -= input->start;
		input->start = 0;
		input->used = left;
	}
	while (room - left < READ_BYTES)
		room = room ? 2 * room : 2 * READ_BYTES;
	if (room > input->room)
		grown = realloc(grown, room);
	if (!grown)
		return px_fail(PX_ENOMEM, "no private memory for a record of %zu bytes", left);
	input->buffer = grown;
	input->room = room;
	return 0;
}

int px_map_input_read(struct px_map_input *input)
{
	ssize_t got;
	int rc = input->ended ? 0 : make_room(input);

	if (rc < 0 || input->ended)
		return rc;
	got = read(STDIN_FILENO, input->buffer + input->used, input->room - input->used);
	if (got < 0 && errno == EINTR)
		return px_fail(PX_EINTR, "a signal arrived while reading standard input");
	if (got < 0 && errno == EAGAIN)
		return 0;
	if (got < 0)
		return px_fail_errno("reading standard input");
	input->used += (size_t)got;
	input->ended = got == 0;
	return 0;
}
