/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_file.h - what the writers of a pool's log have in common: whose a line is, and how long the file
 * may become.
 *
 * Who:     the supervisor and each engine; a struct px_log_lines has one writer at a time.
 * Where:   one file, which all of them append to.
 * Blocks:  as long as it takes to copy the file, once in PX_LOG_MAX_BYTES.
 * Death:   while the file is being kept leaves a copy, and the file as it was.
 */
#ifndef PX_LOG_FILE_H
#define PX_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* How long the file may become: a 16th of its filesystem, which may be memory, within these bounds. */
#define PX_LOG_LEAST_BYTES (16 << 20)
#define PX_LOG_MAX_BYTES (128 << 20)

/* Output of one process, which is marked as its. */
struct px_log_lines {
	/* Writes some lines, the last of which may be incomplete. */
	void (*write)(void *ctx, const char *bytes, size_t count);
	void *ctx;
	char prefix[24]; /* "[engine 3] " */
	bool midline;    /* the last line is incomplete */
};

/* Writes bytes with the prefix before each line. */
void px_log_lines_add(struct px_log_lines *lines, const char *bytes, size_t count);
/* Ends a line that is incomplete: what comes next is from elsewhere. */
void px_log_lines_end(struct px_log_lines *lines);

/*
 * If the file has become too long, keeps it as log.1, in place of an earlier one, and begins it anew.
 * Nothing if it is no file with a name, or while another process does it. What others write in the
 * moment between the copy and the new beginning is lost.
 */
void px_log_file_rotate(int fd);

#endif
