/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * visible.c - escapes what would control a terminal.
 */
#include "bin/visible.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Of U+0080 to U+009F, which terminals take as ESC and a letter, the first byte in UTF-8. */
#define C1 0xc2

static bool controls(const unsigned char *at, const unsigned char *end)
{
	if (*at == C1 && at + 1 < end)
		return at[1] >= 0x80 && at[1] < 0xa0;
	return iscntrl(*at) && *at != '\n' && *at != '\t';
}

void px_visible_write_part(const char *text, size_t length, FILE *to)
{
	const unsigned char *at = (const unsigned char *)text, *end = at + length, *start;
	bool terminal = isatty(fileno(to));

	while (at < end) {
		for (start = at; at < end && !(terminal && controls(at, end)); at++)
			;
		fwrite(start, 1, (size_t)(at - start), to);
		if (at == end)
			break;
		at += *at == C1;
		fprintf(to, "\\x%02x", *at++);
	}
}

void px_visible_write(const char *text, FILE *to)
{
	px_visible_write_part(text, strlen(text), to);
}
