/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * result.h - the type pxrun._pxrun.Result, and the waits that client.c shares with it.
 *
 * Who:     any thread with the interpreter's lock, which waits give up; several at once, but a reply
 *          is taken by one. Nothing ends a Result but its own end: when its client is closed, what
 *          has not come is done with PX_ECLOSED, and the rest can be taken.
 * Blocks:  the functions named px_wait...; every 0.1 s they let Python's signal handlers run.
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
/* (code, body, buffers) of a request that is done; words as str where there is no reply. Once. */
PyObject *px_reply_object(struct px_request *request);

/* How long one waits without a look at signals. */
#define PX_SLICE_NS UINT64_C(100000000)
/* A timeout in seconds; None or a negative number: for ever. -1 with an exception. */
int px_timeout(PyObject *seconds, uint64_t *ns);
#define PX_RAISED (-100) /* of the waits below: a Python signal handler has raised an exception */
/*
 * Waits for a Result without the interpreter's lock: 0, PX_ETIMEDOUT, another error, or PX_RAISED.
 * shower, a callable or NULL or None, is called with the Result while it waits and at the end, where
 * there may be output to show; what it raises is raised.
 */
int px_wait(PyObject *object, PyObject *shower, uint64_t timeout_ns);
/* Waits likewise, until every request of the client is answered. */
int px_wait_idle(struct px_client *client, uint64_t timeout_ns);
/* The same, until px_client_take() gives something. */
int px_wait_taken(struct px_client *client, struct px_completions *list, uint64_t timeout_ns,
		  struct px_result **result);

int px_add_result(PyObject *module);

#endif
