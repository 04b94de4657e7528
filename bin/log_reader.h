/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_reader.h - reads the log of a profile line by line, and goes on with the next file where one is kept, or a
 * pool is started anew.
 *
 * Who:     one thread.
 * Where:   private memory; the files are only read.
 * Blocks:  px_log_reader_wait() only.
 */
#ifndef PX_LOG_READER_H
#define PX_LOG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include "pool/runtime.h"

struct px_log_reader {
	const struct px_runtime *runtime;
	FILE *file; /* NULL: none is open */
	struct stat which;
	char *line; /* the last one, with its end and a NUL behind it, or as much as there is of the next */
	size_t length, room;
	bool taken; /* the former */
	int watch;  /* of inotify; -1 */
};

/* Opens what is there; nothing need be. Close by px_log_reader_close(). */
void px_log_reader_open(struct px_log_reader *reader, const struct px_runtime *runtime);
void px_log_reader_close(struct px_log_reader *reader);
/*
 * Reads the next line. False: there is none for now; of the last one the end may be still to come, and is not
 * waited for if `part` is true. What is left without an end in a file that is over counts as a line.
 */
bool px_log_reader_next(struct px_log_reader *reader, bool part);
/* Begins with what was kept before the present file, if anything was. Whether something is there at all. */
bool px_log_reader_rewind(struct px_log_reader *reader);
/* Waits until there may be more. False: nobody reads our standard output any more. */
bool px_log_reader_wait(struct px_log_reader *reader);

#endif
