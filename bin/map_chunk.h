/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map_chunk.h - consecutive records of `pxrun map`, which are one task, and what came of them.
 *
 * Who:     one thread.
 * Where:   private memory, and that of its result.
 * Blocks:  as tasks do: never on an engine.
 * Death:   of its engine: it is known which chunk that had, and not which record.
 */
#ifndef PX_MAP_CHUNK_H
#define PX_MAP_CHUNK_H

#include "bin/map_input.h"
#include "client/pxrun.h"

/* What is done with records. The engines' half is lib/python/pxrun/engine/records.py. */
struct px_map_job {
	const char *code; /* an expression, module:function, or a shell command */
	bool shell;
	const char *
		colsep; /* what is between the columns of a line, a regular expression; "": it has none */
	bool dry;       /* nothing is run: the result is what would be */
	const char *init;   /* "": none */
	const char *output; /* "lines", "json", "tsv" */
	uint64_t timeout_ns;
	uint32_t retries;
	bool keep_going, unordered;
	const char *log; /* NULL: there is none */
	char id[64];     /* tells it from other jobs of the same pool */
	char *folder;    /* where it was called */
};

enum px_map_state {
	PX_MAP_WAITS, /* to be posted */
	PX_MAP_OUT,
	PX_MAP_DONE
};

struct px_map_chunk {
	struct px_map_chunk *next, *before; /* in the order of records */
	enum px_map_state state;
	uint64_t first; /* the number of its first record */
	uint32_t count;
	uint32_t tries; /* that ended with the death of an engine */
	bool cancelled;
	char *data; /* records, each with its separator behind it */
	size_t bytes, room;
	struct px_result *result; /* since it was posted */
	/* Since it is done: what is to be written, and its lines of the log. */
	char *text, *log;
	size_t text_bytes, log_bytes;
};

/* What an engine says of a chunk; memory of its result. */
struct px_map_reply {
	const char *text, *log;
	size_t text_bytes, log_bytes;
	uint32_t done; /* records, failed ones as well */
	uint64_t ns;
	const struct px_value *failures; /* each a list of two: index and words */
	size_t failures_count;
	const char *interrupted; /* words about the record behind those that are done; "": none */
};

struct px_map_chunk *px_map_chunk_new(uint64_t first);
void px_map_chunk_free(struct px_map_chunk *chunk);
/* Appends a record. PX_ENOMEM. */
int px_map_chunk_add(struct px_map_chunk *chunk, const char *record, size_t bytes, char separator);
/* Where its record of that index begins, which may be that behind the last. */
const char *px_map_chunk_at(const struct px_map_chunk *chunk, uint32_t index, char separator);
/* A new chunk of so many of its records, from *at on, which is then behind them. NULL: PX_ENOMEM. */
struct px_map_chunk *px_map_chunk_part(const struct px_map_chunk *chunk, const char **at,
				       uint64_t first, uint32_t count, char separator);
/* Has it keep copies of these, and frees all else that it has. PX_ENOMEM. */
int px_map_chunk_keep(struct px_map_chunk *chunk, const struct px_map_reply *reply);
/* Posts it; the result's user is the chunk. As px_view_call(). */
int px_map_chunk_post(struct px_map_chunk *chunk, struct px_view *view,
		      const struct px_map_job *job, const struct px_map_input *input);
/* What came back. As px_result_value(); PX_ECORRUPT. */
int px_map_chunk_reply(const struct px_map_chunk *chunk, struct px_map_reply *out);

#endif
