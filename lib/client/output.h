/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * output.h - what a request printed and published, in the order in which it came.
 *
 * Who:     whoever holds the client's lock.
 * Where:   private memory.
 * Blocks:  never.
 * Death:   of the engine: what it sent before stays.
 */
#ifndef PX_OUTPUT_H
#define PX_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link/message.h"

/*
 * Consecutive output of one stream is one piece, except for published data: there each message is
 * a piece of its own.
 */
struct px_output_piece {
	enum px_stream stream;
	size_t start, length; /* in the stream's text */
};

struct px_output_text {
	char *bytes;
	size_t length, capacity;
	size_t told; /* the bytes that px_output_news() has given */
};

/* All zero: empty. */
struct px_output {
	struct px_output_text texts[PX_STREAMS];
	struct px_output_piece *pieces;
	size_t count, capacity;
	size_t told; /* the pieces that px_output_news() has given all of */
};

/* Copies the bytes. PX_ENOMEM. */
int px_output_append(struct px_output *output, enum px_stream stream, const void *bytes,
		     size_t length);
/* Copies it to *out, which is empty. PX_ENOMEM. */
int px_output_copy(const struct px_output *output, struct px_output *out);
/*
 * Appends to *out what no earlier call has given, up to most bytes of what was printed. Of that only
 * whole lines, unless one alone is longer, but with all also a last line that has no newline yet.
 * PX_ENOMEM.
 */
int px_output_news(struct px_output *output, bool all, size_t most, struct px_output *out);
/* How much of what was printed px_output_news() has given. */
size_t px_output_told(const struct px_output *output);
/* Whether px_output_news() with all would give something. */
bool px_output_has_news(const struct px_output *output);
void px_output_clear(struct px_output *output);

#endif
