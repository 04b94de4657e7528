/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lint-analyzer.h - tells clang's analyser, which looks at one file at a time, that the functions
 * of error.h return a failure. It is read before every file but error.c itself (see make lint).
 */
#include "shm/error.h"

#define px_fail(code, ...) (px_fail((code), __VA_ARGS__), (code))
#define px_fail_errno(...) (px_fail_errno(__VA_ARGS__), PX_ESYSTEM)
