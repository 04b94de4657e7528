/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error_codes.h - the table of error codes: PX_E… in C, E… in _pxrun, and the words of px_strerror().
 *
 * The public header pxrun.h spells the numbers out for its readers, as do the manual and the stub of the
 * extension: tests/c/test_error.c and tests/python/test_error_codes.py say what is missing where. A
 * number is never given another meaning: programs are compiled with it.
 */
#ifndef PX_ERROR_CODES_H
#define PX_ERROR_CODES_H

#define PX_ERROR_CODES(X)                                                                          \
	X(EINVAL, -1, "wrong argument")                                                            \
	X(ENOMEM, -2, "out of memory")                                                             \
	X(ETIMEDOUT, -3, "timed out")                                                              \
	X(ECORRUPT, -4, "another member wrote invalid data")                                       \
	X(EENGINE, -5, "the engine is dead")                                                       \
	X(EREMOTE, -6, "the request raised an exception")                                          \
	X(EPOOL, -7, "the pool is gone")                                                           \
	X(ENOPOOL, -8, "no pool runs")                                                             \
	X(EEXIST, -9, "a pool runs already")                                                       \
	X(ESYSTEM, -10, "a system call failed")                                                    \
	X(EAGAIN, -11, "would block")                                                              \
	X(EVERSION, -12, "made by another version of pxrun")                                       \
	X(EINTR, -13, "interrupted by a signal")                                                   \
	X(ECLOSED, -14, "the handle is closed")                                                    \
	X(EABORTED, -15, "aborted")                                                                \
	X(EPERM, -16, "not permitted")

#endif
