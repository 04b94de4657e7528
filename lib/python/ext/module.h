/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * module.h - functions of the extension's files that have no header of their own.
 */
#ifndef PX_MODULE_H
#define PX_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* What each file adds to the module: 0, or -1 with an exception. */
int px_add_client(PyObject *module);
int px_add_pool(PyObject *module);
int px_add_ending(PyObject *module);
int px_add_engine(PyObject *module);
int px_add_file(PyObject *module);
int px_add_numpy_memory(PyObject *module);
int px_add_same(PyObject *module);
int px_add_columns(PyObject *module);
int px_add_flat(PyObject *module);
int px_add_direct(PyObject *module);
int px_add_sent(PyObject *module);
int px_add_stacks(PyObject *module);
int px_add_stream(PyObject *module);
int px_add_namespace(PyObject *module);

#endif
