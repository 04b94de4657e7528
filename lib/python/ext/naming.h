/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * naming.h - the head of a call (calling.h), which has the function.
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
/*
 * The head of one that goes by value; bring: a bool, whether with names that it refers to. New. NULL: it has to be
 * pickled; or there is an exception.
 */
PyObject *px_value_head(PyObject *function, PyObject *bring);

#endif
