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

/*
 * Calls of the supervisor, without the interpreter's lock: rc is set, and raised if it is an error.
 */
#define ASK(call)                                                                                  \
	do {                                                                                       \
		Py_BEGIN_ALLOW_THREADS                                                             \
		rc = (call);                                                                       \
		Py_END_ALLOW_THREADS                                                               \
		if (rc < 0)                                                                        \
			return px_raise(rc);                                                       \
	} while (0)

struct px_client;
/* A handle for an attached client, which it takes, also on failure. NULL with an exception. */
PyObject *px_client_object(struct px_client *client);

/* Of submit(), above the message's flags. */
#define PX_FLAG_TRACK 0x10000

int px_add_client(PyObject *module);
int px_add_pool(PyObject *module);
int px_add_engine(PyObject *module);
int px_add_file(PyObject *module);

#endif
