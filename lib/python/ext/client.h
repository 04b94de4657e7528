/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client.h - the type pxrun._pxrun.Client: a client's handle, over lib/client/client.h.
 *
 * Who:     any thread with the interpreter's lock; calls that may block release it. detach() may
 *          be called while other threads are in calls: these and later calls get ClosedError.
 *          Results, Regions and Buffers that it made stay valid.
 * Blocks:  submit() while rings or memory are full; call() and the functions named wait_... until
 *          they have what they wait for; those that ask the supervisor until it answers. Python's
 *          signal handlers run meanwhile, except while the supervisor is asked.
 * Death:   of the pool: pxrun.error.PoolError. In a forked child: ClosedError.
 */
#ifndef PX_EXT_CLIENT_H
#define PX_EXT_CLIENT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

struct px_client;
struct px_flat;
struct px_result;

struct px_client_object {
	PyObject_HEAD
	/* Held as long as the object: another thread may be in a call while it is closed. */
	struct px_client *client;
	bool tells; /* tell() was called */
};

/* A handle for an attached client, which it takes, also on failure. NULL with an exception. */
PyObject *px_client_object(struct px_client *client);

/* The client of such an object. NULL with an exception: it is closed, or another process's. */
struct px_client *px_ext_client(PyObject *self);

/* The same of what may be no such object. */
struct px_client *px_ext_client_of(PyObject *object);

/* An engine's id; of a number that is too large for one, that of no engine. With an exception if it is none. */
uint32_t px_ext_engine_id(PyObject *number);
/* Those in a list, to room for PX_ENGINES_MAX. How many; -1 with an exception. */
int px_ext_engine_ids(PyObject *list, uint32_t *ids);

/* A call's body, sent to the engines; nobody is told when it has finished. NULL with an exception. */
struct px_result *px_ext_send_call(struct px_client *client, const uint32_t *engines,
				   uint32_t count, const struct px_flat *flat);

/* Methods, described where client.c lists them. sending.c: */
PyObject *px_ext_submit(PyObject *self, PyObject *args);
PyObject *px_ext_call(PyObject *self, PyObject *args);
/* posting.c: */
PyObject *px_ext_post(PyObject *self, PyObject *args);
/* finished.c: */
PyObject *px_ext_poll(PyObject *self, PyObject *unused);
PyObject *px_ext_take(PyObject *self, PyObject *timeout);
PyObject *px_ext_next(PyObject *self, PyObject *timeout);
PyObject *px_ext_wait_idle(PyObject *self, PyObject *timeout);
PyObject *px_ext_queued(PyObject *self, PyObject *unused);
PyObject *px_ext_outstanding(PyObject *self, PyObject *unused);
PyObject *px_ext_find(PyObject *self, PyObject *id);
PyObject *px_ext_journal(PyObject *self, PyObject *unused);
PyObject *px_ext_new_done(PyObject *self, PyObject *unused);
PyObject *px_ext_tell(PyObject *self, PyObject *unused);
PyObject *px_ext_fileno(PyObject *self, PyObject *unused);

/* A flag of submit() and call() beyond those of messages: the result can be asked for releases. */
#define PX_FLAG_TRACK 0x10000

#endif
