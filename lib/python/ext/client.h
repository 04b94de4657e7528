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

struct px_client;

/* A handle for an attached client, which it takes, also on failure. NULL with an exception. */
PyObject *px_client_object(struct px_client *client);

/* A flag of submit() and call() beyond those of messages: the result can be asked for releases. */
#define PX_FLAG_TRACK 0x10000

#endif
