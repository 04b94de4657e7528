/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * waiting.h - waits of the extension, for requests and for clients.
 *
 * Who:     any thread with the interpreter's lock, which waits give up; several at once.
 * Blocks:  all but px_timeout(); every 0.1 s they let Python's signal handlers run.
 * Death:   of an engine or the pool: what is waited for is done, with a code and words.
 */
#ifndef PX_EXT_WAITING_H
#define PX_EXT_WAITING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "client/client.h"

/* How long one waits without a look at signals. */
#define PX_SLICE_NS UINT64_C(100000000)
/* What to wait for, in slices of time between which signals are looked at. */
struct px_slices {
	/* One slice, without the interpreter's lock: 0, PX_ETIMEDOUT, PX_EINTR, or another error. */
	int (*wait)(const struct px_slices *what, uint64_t slice_ns);
	/* What it needs of these. */
	struct px_client *client;
	struct px_result *result;
	struct px_request *request;
	uint32_t known;
	struct px_completions *list;
	struct px_result **taken;
	/* Of a result: is called with `object` when it may have output to show, while that lasts and at
	 * the end; what it raises is raised. NULL or Py_None: is not. */
	PyObject *shower, *object;
};

/* A timeout in seconds; None or -1: for ever; what else is negative is over. -1 with an exception. */
int px_timeout(PyObject *seconds, uint64_t *ns);
#define PX_RAISED (-100) /* of waits: a Python signal handler, or shower, has raised an exception */
/* Waits slice by slice: 0, PX_ETIMEDOUT, another error, or PX_RAISED. */
int px_wait_in_slices(const struct px_slices *what, uint64_t timeout_ns);
/* The same: True, or False when the time is over, or NULL with an exception. */
PyObject *px_wait_bool(const struct px_slices *what, PyObject *timeout);
/* Waits likewise, until every request of the client is answered. */
int px_wait_idle(struct px_client *client, uint64_t timeout_ns);
/* The same, until tasks that are out leave half of the arena to their results. */
int px_wait_for_room(struct px_client *client);
/* The same, until a task has ended whose memory may be what another one needs; PX_ENOMEM: there is none. */
int px_wait_for_memory(struct px_client *client);
/* The same, until px_client_take() gives something. */
int px_wait_taken(struct px_client *client, struct px_completions *list, uint64_t timeout_ns,
		  struct px_result **result);

#endif
