/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * last_words.c - keeps the end of an output.
 */
#include "supervisor/last_words.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DRAIN_MAX (1 << 20) /* the largest pipe that an ordinary user can have */

void px_last_words_add(struct px_last_words *words, const char *bytes, size_t count)
{
	size_t room = sizeof(words->text) - 1;

	if (count > room) {
		bytes += count - room;
		count = room;
	}
	if (words->used + count > room) {
		size_t drop = words->used + count - room;

		memmove(words->text, words->text + drop, words->used - drop);
		words->used -= drop;
	}
	for (size_t i = 0; i < count; i++)
		words->text[words->used++] = bytes[i] ? bytes[i] : ' ';
	words->text[words->used] = '\0';
}

const char *px_last_words_line(struct px_last_words *words)
{
	char *newline;

	/* Open MPI and MPICH draw rules below what they say. */
	while (words->used > 0 && strchr(" \t\r\n-=", words->text[words->used - 1]))
		words->text[--words->used] = '\0';
	newline = strrchr(words->text, '\n');
	return newline ? newline + 1 : words->text;
}

void px_last_words_drain(int pipe, struct px_log_lines *lines, struct px_last_words *words)
{
	char bytes[4096];
	int waiting;

	if (pipe < 0)
		return;
	for (size_t done = 0; done < DRAIN_MAX;) {
		ssize_t got;

		if (ioctl(pipe, FIONREAD, &waiting) < 0 || waiting <= 0)
			return;
		got = read(pipe, bytes,
			   sizeof(bytes) < (size_t)waiting ? sizeof(bytes) : (size_t)waiting);
		if (got <= 0)
			return;
		px_log_lines_add(lines, bytes, (size_t)got);
		if (words)
			px_last_words_add(words, bytes, (size_t)got);
		done += (size_t)got;
	}
}
