/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * direct.h - the type pxrun._pxrun.Direct: the half of a DirectView that plain calls go through, without
 * Python in between.
 *
 * A call is plain if its function goes by name, or by value and has only code (naming.h), its arguments are flat
 * (flat.h), and the view has no flag that wants more. For all else the methods call those of DirectView
 * (client/view.py) whose names begin with an underscore, which can do everything.
 *
 * Who:     any thread with the interpreter's lock.
 * Blocks:  as long as the call runs. Python's signal handlers run meanwhile.
 * Death:   of engine or pool: the call fails.
 */
#ifndef PX_EXT_DIRECT_H
#define PX_EXT_DIRECT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

#include "python/ext/flat.h"

/* A DirectView. Its flags, which Python sees as attributes; NULL: not set yet. */
struct px_direct {
	PyObject_HEAD
	PyObject *client, *targets, *block, *track, *timeout, *shower, *library, *label,
		*send_globals;
	PyObject *sent;           /* its history */
	PyObject *core, *core_of; /* client._core, and whose it is: for the next call */
};

/*
 * A blocking call whose body is in `flat`. *value: its value or values, or NULL with an exception. `function`
 * is for its name. false: the view's targets are not plain, and nothing was sent.
 */
bool px_direct_run(struct px_direct *view, PyObject *function, const struct px_flat *flat,
		   PyObject **value);
/* The same without waiting: *value is its AsyncResult. */
bool px_direct_start(struct px_direct *view, PyObject *function, const struct px_flat *flat,
		     PyObject **value);
/* Whether the view's calls can be plain. */
bool px_direct_is_plain(const struct px_direct *view);
/* Begins a body with a function. false: it has to be pickled; or there is an exception. */
bool px_direct_begin(const struct px_direct *view, struct px_flat *flat, PyObject *function);
/* Arguments as a method got them. NULL with an exception. */
PyObject *px_tuple_of(PyObject *const *args, Py_ssize_t count);
PyObject *px_dict_of(PyObject *keywords, PyObject *const *values);

/* direct_names.c: push, pull, get and view[name], view[name] = value. */
PyObject *px_direct_push(PyObject *self, PyObject *const *args, Py_ssize_t count,
			 PyObject *keywords);
PyObject *px_direct_pull(PyObject *self, PyObject *const *args, Py_ssize_t count,
			 PyObject *keywords);
PyObject *px_direct_get(PyObject *self, PyObject *const *args, Py_ssize_t count,
			PyObject *keywords);
PyObject *px_direct_item(PyObject *self, PyObject *key);
int px_direct_set(PyObject *self, PyObject *key, PyObject *value);

#endif
