/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * module.h - the extension pxrun._pxrun: what its files share.
 */
#ifndef PX_MODULE_H
#define PX_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Raises the class that set_errors() gave the code, with this thread's last words. Always NULL. */
PyObject *px_raise(int code);

/* An object of a heap type, its fields zero; and what ends a tp_dealloc. */
PyObject *px_make(PyObject *type);
void px_unmake(PyObject *self);

/* Of submit(), above the message's flags. */
#define PX_FLAG_TRACK 0x10000

int px_add_client(PyObject *module);
int px_add_engine(PyObject *module);
int px_add_file(PyObject *module);

#endif
