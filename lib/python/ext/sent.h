/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sent.h - what is kept of a request that was sent, for each: the type pxrun._pxrun.Pending, which AsyncResult is
 * made of, and pxrun._pxrun.Sent, a History's (client/history.py).
 *
 * In Python the two took 5 us for each request that nobody waits for at once.
 *
 * Who:     any thread with the interpreter's lock.
 * Death:   nothing here is shared.
 */
#ifndef PX_EXT_SENT_H
#define PX_EXT_SENT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

/* What a request is, for its AsyncResult. */
struct px_described {
	PyObject *client, *result, *fname, *label, *history;
	PyObject *known; /* the globals of a function that went by value, else NULL */
	uint32_t count;
	bool single, shows;
};

/*
 * The AsyncResult of a plain call, as View._new() makes it: without a time limit, and with
 * `history`, that of a view. NULL with an exception: it is not in the histories, or in one of the two.
 */
PyObject *px_sent_async_result(const struct px_described *what);

#endif
