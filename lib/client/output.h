/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * output.h - what a request printed and published, in the order in which it came.
 */
#ifndef PX_OUTPUT_H
#define PX_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link/message.h"

/* Pieces of one stream that follow each other are one, but for what was published as a whole. */
struct px_output_piece {
	enum px_stream stream;
	size_t start, length; /* in the stream's text */
};

struct px_output_text {
	char *bytes;
	size_t length, capacity;
	size_t told; /* px_output_news() has given so much of it */
};

/* All zero: empty. */
struct px_output {
	struct px_output_text texts[PX_STREAMS];
	struct px_output_piece *pieces;
	size_t count, capacity;
	size_t told; /* pieces that px_output_news() is through with */
};

/* Copies the bytes. PX_ENOMEM. */
int px_output_append(struct px_output *output, enum px_stream stream, const void *bytes,
		     size_t length);
/* Makes *out, which is empty, the same. PX_ENOMEM. */
int px_output_copy(const struct px_output *output, struct px_output *out);
/*
 * Appends to *out what no earlier call has given: of what was printed whole lines only, or with all
 * the beginning of a line as well. PX_ENOMEM.
 */
int px_output_news(struct px_output *output, bool all, struct px_output *out);
/* Whether the next call with all gives something. */
bool px_output_has_news(const struct px_output *output);
void px_output_clear(struct px_output *output);

#endif
