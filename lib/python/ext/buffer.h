/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * buffer.h - memory that was lent to us, as a Python object with the buffer protocol.
 *
 * Writable and the receiver's own: what is written is seen by nobody else. Below
 * PX_BUFFER_COPY_BYTES it is a copy and the loan is over at once; from there on a private
 * view, of which the kernel copies the pages that are written. The loan ends with
 * the last view of the object. Live memory is mapped as it is, for all to write.
 */
#ifndef PX_BUFFER_H
#define PX_BUFFER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "link/endpoint.h"

/* Mapping a view and touching it costs as much as copying so much (measured: 30-100 KiB). */
#define PX_BUFFER_COPY_BYTES (64 * 1024)

/* Steals the loan, also on failure; NULL for an empty buffer. A new object, or NULL with an exception. */
PyObject *px_buffer_from_loan(struct px_loan *loan);
/* A list of Buffers from an incoming message's loans, which it takes. None if there are none. */
PyObject *px_buffers_from_incoming(struct px_incoming *in);
int px_add_buffer(PyObject *module);

#endif
