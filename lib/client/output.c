/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * output.c - collects a request's output.
 */
#include "client/output.h"

#include <stdlib.h>
#include <string.h>

#include "shm/error.h"

static int no_memory(void)
{
	return px_fail(PX_ENOMEM, "no private memory for an engine's output");
}

static int text_append(struct px_output_text *text, const void *bytes, size_t length)
{
	if (text->length + length > text->capacity) {
		size_t capacity = 2 * (text->length + length);
		char *grown = realloc(text->bytes, capacity);

		if (!grown)
			return no_memory();
		text->bytes = grown;
		text->capacity = capacity;
	}
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
	return 0;
}

static int piece_append(struct px_output *output, struct px_output_piece piece)
{
	struct px_output_piece *last = output->count ? &output->pieces[output->count - 1] : NULL;

	if (last && last->stream == piece.stream && piece.stream <= PX_STREAM_STDERR) {
		last->length += piece.length;
		return 0;
	}
	if (output->count == output->capacity) {
		size_t capacity = output->capacity ? 2 * output->capacity : 4;
		struct px_output_piece *grown = realloc(output->pieces, capacity * sizeof(*grown));

		if (!grown)
			return no_memory();
		output->pieces = grown;
		output->capacity = capacity;
	}
	output->pieces[output->count++] = piece;
	return 0;
}

int px_output_append(struct px_output *output, enum px_stream stream, const void *bytes,
		     size_t length)
{
	struct px_output_text *text = &output->texts[stream];
	size_t start = text->length;
	int rc;

	if (!length)
		return 0;
	rc = text_append(text, bytes, length);
	if (rc == 0)
		rc = piece_append(output, (struct px_output_piece){ stream, start, length });
	return rc;
}

int px_output_copy(const struct px_output *output, struct px_output *out)
{
	int rc = 0;

	for (size_t i = 0; i < output->count && rc == 0; i++) {
		const struct px_output_piece *piece = &output->pieces[i];

		rc = px_output_append(out, piece->stream,
				      output->texts[piece->stream].bytes + piece->start,
				      piece->length);
	}
	if (rc < 0)
		px_output_clear(out);
	return rc;
}

void px_output_clear(struct px_output *output)
{
	for (unsigned i = 0; i < PX_STREAMS; i++)
		free(output->texts[i].bytes);
	free(output->pieces);
	memset(output, 0, sizeof(*output));
}
