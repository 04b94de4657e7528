/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * result.h - the type pxrun._pxrun.Result.
 *
 * Who:     any thread with the interpreter's lock, which waits give up; several at once, but a reply
 *          is taken by one. Nothing ends a Result but its own end: when its client is closed, what
 *          has not come is done with PX_ECLOSED, and the rest can be taken.
 * Blocks:  px_wait(), and the methods that wait; see waiting.h.
 * Death:   of an engine or the pool: the entries are done, with a code and words. In a forked child:
 *          ClosedError, but for looks at private memory.
 */
#ifndef PX_EXT_RESULT_H
#define PX_EXT_RESULT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "client/client.h"

/* A new object, which takes the result. NULL with an exception. */
PyObject *px_result_object(struct px_result *result);
/* The result of such an object. */
struct px_result *px_ext_result(PyObject *object);
/*
 * The same of one that was just sent. If a signal came meanwhile whose handler raises, as that of Ctrl-C
 * does, nobody would have the result: its requests are stopped.
 */
PyObject *px_sent_result_object(struct px_result *result);
/* Stops what was sent, since there is an exception, which stays, and nobody will have the Result. */
void px_result_take_back(PyObject *object);
/* (code, body, buffers) of a request that is done; words as str where there is no reply. Once. */
PyObject *px_reply_object(struct px_request *request);
/*
 * For each reply that is a value without buffers, and for which the list has None, puts (value, None)
 * there, or with in_lists ([value], None); all else is left. -1 with an exception, which may be what
 * `loads` has raised for one: it and those behind it are left, too.
 */
int px_read_plain(struct px_result *result, PyObject *outcomes, PyObject *loads, bool in_lists);

/*
 * Waits for a Result without the interpreter's lock: 0, PX_ETIMEDOUT, another error, or PX_RAISED.
 * shower, a callable or NULL or None, is called with the Result while it waits and at the end, where
 * there may be output to show; what it raises is raised.
 */
int px_wait(PyObject *object, PyObject *shower, uint64_t timeout_ns);

/* Entry i of a Result. NULL with an exception: there is none. */
struct px_request *px_ext_request(PyObject *self, PyObject *index);
/* Result.refused(i), in posting.c. */
PyObject *px_ext_refused(PyObject *self, PyObject *index);

int px_add_result(PyObject *module);

#endif
