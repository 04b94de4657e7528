/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map_chunk.c - makes tasks of records, and reads what engines say of them.
 */
#include "bin/map_chunk.h"

#include <stdlib.h>
#include <string.h>

#include "shm/error.h"

struct px_map_chunk *px_map_chunk_new(uint64_t first)
{
	struct px_map_chunk *chunk = calloc(1, sizeof(*chunk));

	if (chunk)
		chunk->first = first;
	else
		px_fail(PX_ENOMEM, "no private memory for records");
	return chunk;
}

void px_map_chunk_free(struct px_map_chunk *chunk)
{
	px_result_free(chunk->result);
	free(chunk->data);
	free(chunk->text);
	free(chunk->log);
	free(chunk);
}

int px_map_chunk_add(struct px_map_chunk *chunk, const char *record, size_t bytes, char separator)
{
	size_t needed = chunk->bytes + bytes + 1;

	if (needed > chunk->room) {
		size_t room = needed < 64 ? 64 : chunk->room ? 2 * needed : needed;
		char *grown = realloc(chunk->data, room);

		if (!grown)
			return px_fail(PX_ENOMEM, "no private memory for records of %zu bytes",
				       needed);
		chunk->data = grown;
		chunk->room = room;
	}
	memcpy(chunk->data + chunk->bytes, record, bytes);
	chunk->data[needed - 1] = separator;
	chunk->bytes = needed;
	chunk->count++;
	return 0;
}

const char *px_map_chunk_at(const struct px_map_chunk *chunk, uint32_t index, char separator)
{
	const char *at = chunk->data, *end = chunk->data + chunk->bytes;

	while (index--)
		at = (const char *)memchr(at, separator, (size_t)(end - at)) + 1;
	return at;
}

struct px_map_chunk *px_map_chunk_part(const struct px_map_chunk *chunk, const char **at,
				       uint64_t first, uint32_t count, char separator)
{
	struct px_map_chunk *part = px_map_chunk_new(first);

	while (part && count--) {
		size_t left = (size_t)(chunk->data + chunk->bytes - *at);
		const char *end = memchr(*at, separator, left);

		if (px_map_chunk_add(part, *at, (size_t)(end - *at), separator) < 0) {
			px_map_chunk_free(part);
			return NULL;
		}
		*at = end + 1;
	}
	return part;
}

static char *copy(const char *text, size_t bytes)
{
	char *made = malloc(bytes + 1);

	if (made && bytes)
		memcpy(made, text, bytes);
	return made;
}

int px_map_chunk_keep(struct px_map_chunk *chunk, const struct px_map_reply *reply)
{
	chunk->text = copy(reply->text, reply->text_bytes);
	chunk->log = copy(reply->log, reply->log_bytes);
	if (!chunk->text || !chunk->log)
		return px_fail(PX_ENOMEM, "no private memory for results");
	chunk->text_bytes = reply->text_bytes;
	chunk->log_bytes = reply->log_bytes;
	px_result_free(chunk->result);
	chunk->result = NULL;
	free(chunk->data);
	chunk->data = NULL;
	chunk->bytes = chunk->room = 0;
	return 0;
}

#define TEXT(value) px_bytes(value, strlen(value))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int px_map_chunk_post(struct px_map_chunk *chunk, struct px_view *view,
		      const struct px_map_job *job, const struct px_map_input *input)
{
	static const char *const formats[] = { "lines", "json", "csv" };
	const struct {
		const char *key;
		struct px_value value;
	} wants[] = {
		{ "id", px_string(job->id) },
		{ "code", TEXT(job->code) },
		{ "shell", px_bool(job->shell) },
		{ "colsep", TEXT(job->colsep) },
		{ "dry", px_bool(job->dry) },
		{ "init", TEXT(job->init) },
		{ "input", px_string(formats[input->format]) },
		{ "separator", px_string_n(&input->separator, 1) },
		{ "header", px_bytes(input->header ? input->header : "", input->header_bytes) },
		{ "output", px_string(job->output) },
		{ "timeout", px_double((double)job->timeout_ns / 1e9) },
		{ "retries", px_int(job->retries) },
		{ "keep_going", px_bool(job->keep_going) },
		{ "log", px_bool(job->log != NULL) },
		{ "folder", TEXT(job->folder) },
	};
	struct px_value keys[COUNT(wants)], values[COUNT(wants)], arguments[3];
	struct px_how how = PX_HOW;

	for (size_t i = 0; i < COUNT(wants); i++) {
		keys[i] = px_string(wants[i].key);
		values[i] = wants[i].value;
	}
	arguments[0] = px_dict(keys, values, COUNT(wants));
	arguments[1] = px_uint(chunk->first);
	arguments[2] = px_bytes(chunk->data, chunk->bytes);
	how.user = chunk;
	return px_view_call(view, "pxrun.engine.records:run", COUNT(arguments), arguments, NULL,
			    &how, &chunk->result);
}

/* --- replies --- */

static bool is_number(const struct px_value *value)
{
	return value->type == PX_INT && value->as.integer >= 0;
}

static bool are_failures(const struct px_value *list)
{
	if (list->type != PX_LIST)
		return false;
	for (uint64_t i = 0; i < list->as.list.count; i++) {
		const struct px_value *pair = &list->as.list.items[i];

		if (pair->type != PX_LIST || pair->as.list.count != 2 ||
		    !is_number(&pair->as.list.items[0]) || pair->as.list.items[1].type != PX_STRING)
			return false;
	}
	return true;
}

int px_map_chunk_reply(const struct px_map_chunk *chunk, struct px_map_reply *out)
{
	const struct px_value *parts;
	struct px_value value;
	int rc = px_result_value(chunk->result, 0, &value);

	if (rc < 0)
		return rc;
	parts = value.as.list.items;
	if (value.type != PX_LIST || value.as.list.count != 6 || parts[0].type != PX_BYTES ||
	    !is_number(&parts[1]) || parts[1].as.integer > chunk->count || !is_number(&parts[2]) ||
	    !are_failures(&parts[3]) || parts[4].type != PX_BYTES || parts[5].type != PX_STRING)
		return px_fail(PX_ECORRUPT, "an engine's answer about records makes no sense");
	*out = (struct px_map_reply){
		.text = parts[0].as.text.data,
		.text_bytes = parts[0].as.text.bytes,
		.done = (uint32_t)parts[1].as.integer,
		.ns = (uint64_t)parts[2].as.integer,
		.failures = parts[3].as.list.items,
		.failures_count = parts[3].as.list.count,
		.log = parts[4].as.text.data,
		.log_bytes = parts[4].as.text.bytes,
		.interrupted = parts[5].as.text.data,
	};
	return 0;
}
