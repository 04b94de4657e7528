/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map_output.h - where results of `pxrun map` go, and its job log.
 *
 * Who:     one thread.
 * Where:   standard output; the log, to which whole lines are appended.
 * Blocks:  while a reader of the output does not read; a second signal ends that.
 * Death:   a line of the log is written after the result it is about: what is logged has been written.
 *          A line that is not whole is cut off when the log is read again.
 */
#ifndef PX_MAP_OUTPUT_H
#define PX_MAP_OUTPUT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers of records that follow one another. */
struct px_map_range {
	uint64_t first, last;
};

struct px_map_output {
	const char *log_path; /* NULL: there is none */
	bool log_stays;       /* as it is */
	int log_fd;
	struct px_map_range *done; /* those that the log has as done, in order */
	size_t done_count, done_room;
	size_t done_at; /* of what was asked for last */
	char *held;     /* results and lines that are not written yet */
	size_t held_bytes;
	char *log_held;
	size_t log_bytes;
	const volatile sig_atomic_t *signals; /* how many have arrived that end the command */
	bool unread;                          /* the reader of the output is gone */
	int failed;                           /* the code of why results could not be written; 0 */
};

/* Opens the log, if there is one; resume: reads it first. PX_ESYSTEM, PX_EINVAL, PX_ENOMEM. */
int px_map_output_open(struct px_map_output *output, bool resume);
void px_map_output_close(struct px_map_output *output);
/* Whether the log that was read has a record as done; to be asked for records in their order. */
bool px_map_output_has(struct px_map_output *output, uint64_t seq);
/* Takes a result and its lines of the log. As px_map_output_flush(). */
int px_map_output_put(struct px_map_output *output, const char *text, size_t bytes, const char *log,
		      size_t log_bytes);
/* Whether nobody will ever read the output, though nothing is written: the reader of a pipe has gone. */
bool px_map_output_unread(struct px_map_output *output);
/* Writes what was put. PX_ESYSTEM, PX_EINTR: given up. */
int px_map_output_flush(struct px_map_output *output);

#endif
