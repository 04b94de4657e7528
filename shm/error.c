/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error.c - the last failure's words, one line a thread.
 */
#include "shm/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Long enough for the stack of a crashed engine, which belongs to the words. */
static _Thread_local char words[16384];

int px_vfail(int code, const char *format, va_list ap)
{
	char fresh[sizeof(words)]; /* the arguments may point into the old words */

	vsnprintf(fresh, sizeof(fresh), format, ap);
	strcpy(words, fresh);
	return code;
}

int px_fail(int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	px_vfail(code, format, ap);
	va_end(ap);
	return code;
}

int px_fail_errno(const char *format, ...)
{
	int number = errno;
	size_t length;
	va_list ap;

	va_start(ap, format);
	px_vfail(PX_ESYSTEM, format, ap);
	va_end(ap);
	length = strlen(words);
	snprintf(words + length, sizeof(words) - length, ": %s", strerror(number));
	return PX_ESYSTEM;
}

const char *px_last_error(void)
{
	return words;
}

const char *px_strerror(int code)
{
	switch (code) {
	case 0:
		return "success";
#define WORDS(name, number, words)                                                                 \
	case number:                                                                               \
		return words;
		PX_ERROR_CODES(WORDS)
#undef WORDS
	default:
		return "unknown error";
	}
}
