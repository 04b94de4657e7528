/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * object.h - helpers for all types of the extension: errors, allocation, blocking calls.
 */
#ifndef PX_EXT_OBJECT_H
#define PX_EXT_OBJECT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/*
 * As Python's own, whose headers of 3.12 and newer take no reference, for these objects are immortal there:
 * a wheel that is built with them would destroy those of 3.11. For a like reason no format here has a '#':
 * headers of 3.13 have forgotten what it meant before.
 */
#define PX_RETURN_NONE return Py_NewRef(Py_None)
#define PX_RETURN_TRUE return Py_NewRef(Py_True)
#define PX_RETURN_FALSE return Py_NewRef(Py_False)

/* Raises the class that set_errors() gave the code, with this thread's last words. Always NULL. */
PyObject *px_raise(int code);

/* Allocates an object of a heap type, its fields zero; the last call of a tp_dealloc. */
PyObject *px_make(PyObject *type);
void px_unmake(PyObject *self);

/* For calls to the supervisor: without the interpreter's lock; an error in rc is raised. */
#define ASK(call)                                                                                  \
	do {                                                                                       \
		Py_BEGIN_ALLOW_THREADS                                                             \
		rc = (call);                                                                       \
		Py_END_ALLOW_THREADS                                                               \
		if (rc < 0)                                                                        \
			return px_raise(rc);                                                       \
	} while (0)

/* The module's function set_errors(): the exception class for each code. */
PyObject *px_set_errors(PyObject *self, PyObject *mapping);
/* Makes the class Error. */
int px_add_errors(PyObject *module);

#endif
