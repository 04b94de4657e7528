/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error.c - the last failure's words, one line a thread.
 */
#include "shm/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* At most: long enough for the stack of a crashed engine, which belongs to the words. */
#define WORDS_BYTES 16384

/*
 * The thread's last words. Only this pointer and a code are thread-local, in the place that every thread has from
 * its start: the first use of a larger one in a thread allocates memory, and where there is none the
 * loader ends the process.
 */
static _Thread_local __attribute__((tls_model("initial-exec"))) const char *last = "";
static _Thread_local __attribute__((tls_model("initial-exec"))) int last_code;
static pthread_key_t key; /* the thread's words, from malloc */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool has_key;

static void make_key(void)
{
	has_key = pthread_key_create(&key, free) == 0;
}

/* Without memory for them, the words are those of the code. */
static int keep(int code, const char *words)
{
	char *old = NULL, *fresh = NULL;

	last_code = code;
	pthread_once(&once, make_key);
	if (has_key) {
		old = pthread_getspecific(key);
		fresh = strdup(words);
	}
	if (fresh && pthread_setspecific(key, fresh) == 0) {
		free(old);
		last = fresh;
	} else {
		free(fresh);
		last = px_strerror(code);
	}
	return code;
}

int px_vfail(int code, const char *format, va_list ap)
{
	char fresh[WORDS_BYTES]; /* the arguments may point into the old words */

	vsnprintf(fresh, sizeof(fresh), format, ap);
	return keep(code, fresh);
}

int px_fail(int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	px_vfail(code, format, ap);
	va_end(ap);
	return code;
}

/* Which limit of the process may be behind it, as the end of the words. */
static const char *limit_behind(int number)
{
	switch (number) {
	case EMFILE:
		return " (see ulimit -n)";
	case EFBIG:
		return " (see ulimit -f)";
	case EAGAIN: /* for want of processes and threads, or of timers */
		return " (see ulimit -u and -i)";
	default:
		return "";
	}
}

int px_fail_errno(const char *format, ...)
{
	char fresh[WORDS_BYTES];
	int number = errno;
	size_t length;
	va_list ap;

	va_start(ap, format);
	vsnprintf(fresh, sizeof(fresh), format, ap);
	va_end(ap);
	length = strlen(fresh);
	snprintf(fresh + length, sizeof(fresh) - length, ": %s%s", strerror(number),
		 limit_behind(number));
	return keep(PX_ESYSTEM, fresh);
}

const char *px_last_error(void)
{
	return last;
}

int px_last_code(void)
{
	return last_code;
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
