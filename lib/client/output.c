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

/* Gives what was printed since the last call, up to the offset end; then *most is what may still be given. */
static int tell_text(struct px_output *output, enum px_stream stream, size_t end, bool all,
		     size_t *most, struct px_output *out)
{
	struct px_output_text *text = &output->texts[stream];
	const char *start = text->bytes + text->told;
	size_t length = end > text->told ? end - text->told : 0;
	bool cut = length > *most;
	const char *newline;
	int rc;

	if (cut)
		length = *most;
	newline = length && (cut || !all) ? memrchr(start, '\n', length) : NULL;
	if (newline)
		length = (size_t)(newline - start) + 1;
	else if (!cut && !all)
		length = 0;
	rc = px_output_append(out, stream, start, length);
	if (rc < 0)
		return rc;
	text->told += length;
	*most = cut ? 0 : *most - length;
	return 0;
}

static int tell_texts(struct px_output *output, const size_t *ends, bool all, size_t *most,
		      struct px_output *out)
{
	int rc = tell_text(output, PX_STREAM_STDOUT, ends[PX_STREAM_STDOUT], all, most, out);

	return rc < 0 ? rc :
			tell_text(output, PX_STREAM_STDERR, ends[PX_STREAM_STDERR], all, most, out);
}

int px_output_news(struct px_output *output, bool all, size_t most, struct px_output *out)
{
	size_t ends[PX_STREAMS] = { 0 };
	int rc = 0;

	for (size_t i = output->told; i < output->count && rc == 0; i++) {
		const struct px_output_piece *piece = &output->pieces[i];

		ends[piece->stream] = piece->start + piece->length;
		if (piece->stream <= PX_STREAM_STDERR)
			continue;
		rc = tell_texts(output, ends, all, &most, out);
		if (!most)
			return rc;
		if (rc == 0)
			rc = px_output_append(out, piece->stream,
					      output->texts[piece->stream].bytes + piece->start,
					      piece->length);
		if (rc == 0)
			output->told = i + 1;
	}
	return rc < 0 ? rc :
			tell_texts(output,
				   (size_t[]){ output->texts[PX_STREAM_STDOUT].length,
					       output->texts[PX_STREAM_STDERR].length },
				   all, &most, out);
}

size_t px_output_told(const struct px_output *output)
{
	return output->texts[PX_STREAM_STDOUT].told + output->texts[PX_STREAM_STDERR].told;
}

bool px_output_has_news(const struct px_output *output)
{
	if (output->texts[PX_STREAM_STDOUT].told < output->texts[PX_STREAM_STDOUT].length ||
	    output->texts[PX_STREAM_STDERR].told < output->texts[PX_STREAM_STDERR].length)
		return true;
	for (size_t i = output->told; i < output->count; i++)
		if (output->pieces[i].stream > PX_STREAM_STDERR)
			return true;
	return false;
}

void px_output_clear(struct px_output *output)
{
	for (unsigned i = 0; i < PX_STREAMS; i++)
		free(output->texts[i].bytes);
	free(output->pieces);
	memset(output, 0, sizeof(*output));
}
