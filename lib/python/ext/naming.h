/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * naming.h - the head of calls of functions that engines find by their name (calling.h).
 *
 * Who:     any thread with the interpreter's lock.
 * Death:   nothing here is shared.
 */
#ifndef PX_EXT_NAMING_H
#define PX_EXT_NAMING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/*
 * The head, as wire/frames.py has it: borrowed, until the next call. NULL: the function goes in
 * another way, or is none; or there is an exception, a signal handler's.
 */
PyObject *px_name_head(PyObject *function);

#endif
