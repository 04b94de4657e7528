/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * namespace.h - the engine's namespace: the functions push() and pull() of pxrun._pxrun, for names. What is no
 * name, but another assignment target or an expression, is for engine/calls.py.
 *
 * Who:     any thread with the interpreter's lock.
 * Death:   nothing here is shared.
 */
#ifndef PX_EXT_NAMESPACE_H
#define PX_EXT_NAMESPACE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* The __dict__ of what sys.modules has as __main__, a new reference. NULL with an exception. */
PyObject *px_namespace(void);

#endif
