/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client.h - the type pxrun._pxrun.Core: a client's handle.
 */
#ifndef PX_EXT_CLIENT_H
#define PX_EXT_CLIENT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

struct px_client;

/* A handle for an attached client, which it takes, also on failure. NULL with an exception. */
PyObject *px_client_object(struct px_client *client);

/* Of submit(), above the message's flags. */
#define PX_FLAG_TRACK 0x10000

#endif
