/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pyvalues.h - the neutral values of link/message.h, to and from Python objects.
 *
 * Who:     the engine's main thread, for requests of C programs.
 * Blocks:  px_values_encode(), while the supervisor grants an extent.
 * Death:   a request that is malformed is an exception, whoever sent it.
 */
#ifndef PX_PYVALUES_H
#define PX_PYVALUES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "engine/loop.h"

/* Python's side of arrays: (buffer, code, bits, shape) -> array, and array -> the same or None. */
struct px_array_hooks {
	PyObject *to_array, *from_array;
};

/* A request's values as a new list. Takes the message's loans. NULL with an exception. */
PyObject *px_values_decode(struct px_incoming *in, const struct px_array_hooks *hooks);
/* One object as a reply's body and regions. -1 with an exception. */
int px_values_encode(PyObject *object, struct px_endpoint *endpoint,
		     const struct px_array_hooks *hooks, struct px_reply *reply);

#endif
