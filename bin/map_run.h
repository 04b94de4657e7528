/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map_run.h - has engines work on all records, and writes what comes of them.
 *
 * Who:     one thread.
 * Where:   private memory, which is bounded however long the input is: by chunks that are posted, and by
 *          those whose turn to be written has not come.
 * Blocks:  until all is done, or a signal ends it.
 * Death:   of an engine: the records of its chunk are done again one by one, and the one that kills an
 *          engine once more has failed, unless it has tries left.
 */
#ifndef PX_MAP_RUN_H
#define PX_MAP_RUN_H

#include "bin/map_chunk.h"
#include "bin/map_output.h"

struct px_map_run {
	struct px_client *client;
	const struct px_map_job *job;
	struct px_map_input *input;
	struct px_map_output *output;
	uint32_t chunk; /* records of each; 0: as many as take some milliseconds */
	bool progress;  /* is shown */

	/* The rest begins as 0. */
	struct px_view *view;
	uint32_t engines;
	struct px_map_chunk *first, *last; /* all that are not written, in the order of records */
	struct px_map_chunk *building;     /* is being filled; in no list */
	uint32_t out, held;                /* posted; all in the list */
	uint32_t waiting;                  /* of these, those that wait to be posted */
	size_t held_bytes;
	bool exhausted;   /* there are no more records */
	double record_ns; /* what one takes; 0: not known yet */
	uint32_t size;    /* records of the next chunk */
	uint64_t done, failed;
	int stop; /* an exit code; 0: it goes on */
	uint64_t
		stop_at; /* the record that failed, behind which nothing is done any more; 0: none */
	uint64_t stop_by_ns;
	uint64_t began_ns, shown_ns; /* of the progress bar */
};

/* Returns an exit code. */
int px_map_run(struct px_map_run *run);
/* Catches the signals that end the command, and how many have come, and the last of them. */
void px_map_catch_signals(void);
extern volatile sig_atomic_t px_map_signals, px_map_signal;

/* --- the list of chunks; map_list.c --- */

/* Puts it behind another one, or with NULL at the end. */
void px_map_insert(struct px_map_run *run, struct px_map_chunk *chunk, struct px_map_chunk *before);
/* Takes it out and frees it. */
void px_map_drop(struct px_map_run *run, struct px_map_chunk *chunk);
/* Says that nothing is wanted behind a record, and has engines end what they do there. */
void px_map_stop(struct px_map_run *run, int code, uint64_t at);

/* --- answers; map_answer.c --- */

/* Takes what came back of a chunk. What px_map_output_put() does, PX_ENOMEM; PX_EREMOTE: the job is wrong. */
int px_map_answer(struct px_map_run *run, struct px_map_chunk *chunk);
/* Writes all that is done, up to the first that is not; all: also what is behind that. */
int px_map_write(struct px_map_run *run, bool all);

/* --- the progress bar; map_progress.c --- */

void px_map_progress_show(struct px_map_run *run);
/* Wipes it, so that something else can be written. */
void px_map_progress_wipe(struct px_map_run *run);

#endif
