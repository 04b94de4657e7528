/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map_input.h - the records of `pxrun map`: of standard input, or arguments.
 *
 * Who:     one thread.
 * Where:   private memory: what was read and is not taken, which is a record at least, however long.
 * Blocks:  px_map_input_read(), until there is something.
 */
#ifndef PX_MAP_INPUT_H
#define PX_MAP_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum px_map_format { PX_MAP_LINES, PX_MAP_JSON, PX_MAP_CSV };

/* Within a record of CSV, as Python's csv module has it: quotes count where a field begins. */
enum px_map_csv { FIELD_BEGINS, IN_FIELD, IN_QUOTES, QUOTE_IN_QUOTES };

struct px_map_input {
	enum px_map_format format;
	char separator;   /* what ends a record here */
	char **arguments; /* in place of standard input; NULL: that is read */
	char *buffer;
	size_t start, scanned, used,
		room;              /* what is not taken; of that, what has no end of a record */
	bool ended;                /* there is no more to be read */
	enum px_map_csv csv_state; /* where `scanned` is */
	uint64_t seq;              /* of the record that was taken last, from 1 on */
	uint64_t taken_bytes;      /* of the input; of arguments, their number */
	uint64_t total;            /* the same of all of it; 0: not known */
	char *header;              /* of CSV: the first record. NULL: not read yet */
	size_t header_bytes;
};

/* format, separator and arguments are set; the rest is 0. */
void px_map_input_open(struct px_map_input *input);
void px_map_input_close(struct px_map_input *input);
/*
 * Takes the next record: lends it, without what ends it. 1; 0: there is none before more was read, or at
 * all if it has ended. PX_EINVAL: of CSV, a NUL byte.
 */
int px_map_input_next(struct px_map_input *input, const char **record, size_t *bytes);
/* Whether reading would wait. */
bool px_map_input_waits(const struct px_map_input *input);
/* Reads some more, once. PX_EINTR, PX_ENOMEM, PX_ESYSTEM. */
int px_map_input_read(struct px_map_input *input);

#endif
