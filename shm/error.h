/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error.h - one error number and one line of words per thread.
 *
 * Who:     any thread; each has words of its own.
 * Where:   private memory; where there is none for words, those of the code are used.
 * Blocks:  never.
 * Death:   leaves nothing.
 *
 * Set the words where a failure is understood: what was tried, what was found, what to do. The
 * command prints them, Python raises them.
 */
#ifndef PX_ERROR_H
#define PX_ERROR_H

#include <stdarg.h>

#include "shm/error_codes.h"

/* pxrun.h has the same numbers as macros, for its readers. */
#ifndef PXRUN_H
enum {
#define PX_ERROR_CODE(name, number, words) PX_##name = (number),
	PX_ERROR_CODES(PX_ERROR_CODE)
#undef PX_ERROR_CODE
};
#endif

/* Remembers code and words for this thread; returns code. */
int px_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3), cold));
int px_vfail(int code, const char *format, va_list ap) __attribute__((format(printf, 2, 0), cold));
/* As px_fail(PX_ESYSTEM), with ": " and strerror(errno) behind the words. */
int px_fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2), cold));
/* These two are in the public header as well. */
#pragma GCC visibility push(default)
/* The words of this thread's last failure; "" if none. Lends. */
const char *px_last_error(void);
int px_last_code(void);
/* The name and meaning of a number. Static. */
const char *px_strerror(int code);
#pragma GCC visibility pop

#endif
