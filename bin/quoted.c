/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quoted.c - escapes what a string of JSON cannot have.
 */
#include "bin/quoted.h"

#include <stdio.h>
#include <string.h>

void px_quoted_print_part(const char *text, size_t length)
{
	putchar('"');
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '"' || text[i] == '\\')
			putchar('\\');
		if ((unsigned char)text[i] < ' ')
			printf("\\u%04x", (unsigned)text[i]);
		else
			putchar(text[i]);
	}
	putchar('"');
}

void px_quoted_print(const char *text)
{
	px_quoted_print_part(text, strlen(text));
}
