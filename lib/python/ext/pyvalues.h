/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pyvalues.h - the neutral values of link/message.h, to and from Python objects.
 *
 * Who:     the engine's main thread, for requests of C programs.
 * Blocks:  px_values_encode(), while the supervisor grants an extent.
 * Death:   a request that is malformed is an exception, whoever sent it.
 *
 * Every object has a form; what has no other is its repr. Only a repr that fails is an exception.
 */
#ifndef PX_PYVALUES_H
#define PX_PYVALUES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "engine/loop.h"

#define PX_VALUES_DEPTH_MAX 100 /* as PX_LIST_DEPTH_MAX of pxrun.h; what is deeper is its repr */
#define PX_VALUES_NDIM_MAX 32

/* Python's side (pxrun/engine/neutral.py). */
struct px_value_hooks {
	PyObject *to_array; /* (buffer, code, bits, shape[, strides, first]) -> array */
	PyObject *form;     /* object -> ("v", plain) or ("o", words) or ("a", memory, ...) */
	PyObject *words;    /* object -> its repr, UTF-8 */
};

/*
 * A request's values as a new list. *keywords: a new dict of the keyword arguments behind them, NULL if
 * there are none. Takes the message's loans. NULL with an exception.
 */
PyObject *px_values_decode(struct px_incoming *in, const struct px_value_hooks *hooks,
			   PyObject **keywords);
/* One object as a reply's body and regions. -1 with an exception. */
int px_values_encode(PyObject *object, struct px_endpoint *endpoint,
		     const struct px_value_hooks *hooks, struct px_reply *reply);

#endif
