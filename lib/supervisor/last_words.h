/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * last_words.h - the end of a process's output, for the report of its death.
 *
 * Who:     the supervisor.
 * Where:   private memory.
 * Blocks:  never.
 */
#ifndef PX_LAST_WORDS_H
#define PX_LAST_WORDS_H

#include <stddef.h>

#include "pool/log_line.h"

struct px_last_words {
	char text[1024]; /* NUL-terminated; its oldest bytes make room for new ones */
	size_t used;
};

void px_last_words_add(struct px_last_words *words, const char *bytes, size_t count);
/* The last line with more than blanks and rules; "" if none. Lends: cuts the text off behind it. */
const char *px_last_words_line(struct px_last_words *words);
/*
 * Moves what is in a pipe to the log, and to words unless NULL. Does not wait, and does not
 * change the descriptor's flags, which other processes share. At most one pipe's worth, since a
 * child of the dead process may go on writing.
 */
void px_last_words_drain(int pipe, struct px_log_lines *lines, struct px_last_words *words);

#endif
