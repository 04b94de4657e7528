/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error.h - one error number and one line of words per thread.
 *
 * The numbers are those of the public header pxrun.h, spelt as identical macros so that a
 * translation unit that sees both is checked by the compiler. Set the words where a failure is
 * understood: what was tried, what was found, what to do. The command prints them, Python raises
 * them.
 */
#ifndef PX_ERROR_H
#define PX_ERROR_H

#include <stdarg.h>

#define PX_EINVAL (-1)    /* a wrong argument */
#define PX_ENOMEM (-2)    /* private or shared memory is used up */
#define PX_ETIMEDOUT (-3) /* not ready in the given time */
#define PX_ECORRUPT (-4)  /* another member wrote invalid data */
#define PX_EENGINE (-5)   /* the engine is dead, or died meanwhile */
#define PX_EREMOTE (-6)   /* the request raised an exception on the engine */
#define PX_EPOOL (-7)     /* the supervisor is gone: so is the pool */
#define PX_ENOPOOL (-8)   /* no pool runs under that profile */
#define PX_EEXIST (-9)    /* a pool runs under that profile already */
#define PX_ESYSTEM (-10)  /* a system call failed */
#define PX_EAGAIN (-11)   /* would block */
#define PX_EVERSION (-12) /* made by another version of pxrun */
#define PX_EINTR (-13)    /* a signal arrived while waiting */
#define PX_ECLOSED (-14)  /* the handle is closed, or used after a fork */
#define PX_EABORTED (-15) /* the request was aborted before it ran */
#define PX_EPERM (-16)    /* not ours: owner or mode of a file, another user */

/* Remembers code and words for this thread; returns code. */
int px_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3), cold));
int px_vfail(int code, const char *format, va_list ap) __attribute__((format(printf, 2, 0), cold));
/* As px_fail(PX_ESYSTEM), with ": " and strerror(errno) behind the words. */
int px_fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2), cold));
/* These two are in the public header as well. */
#pragma GCC visibility push(default)
/* The words of this thread's last failure; "" if none. Lends. */
const char *px_last_error(void);
/* The name and meaning of a number. Static. */
const char *px_strerror(int code);
#pragma GCC visibility pop

#endif
