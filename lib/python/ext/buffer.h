/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * buffer.h - memory that was lent to us, as a Python object with the buffer protocol.
 *
 * Who:     any thread with the interpreter's lock. A Buffer is valid until it is freed: it holds
 *          the endpoint, so the memory stays when the client is closed or the pool has ended.
 * Where:   below PX_MAPPED_BYTES a private copy, and the loan is over at once; from there on a
 *          private map of the loan, of which the kernel copies the pages that are written. Live
 *          memory is mapped shared.
 * Blocks:  never.
 * Death:   of the lender: its memory stays until the last loan is released. A forked child has
 *          the memory too, and its end releases nothing.
 *
 * Writable, and unless it is live nobody else sees what is written. The loan ends with the last
 * view of the object.
 */
#ifndef PX_BUFFER_H
#define PX_BUFFER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "link/endpoint.h"

/* Takes the loan, also on failure; NULL for an empty buffer. New, or NULL with an exception. */
PyObject *px_buffer_from_loan(struct px_loan *loan);
/*
 * A list of Buffers from an incoming message's loans, which it takes: once. None if there are none.
 */
PyObject *px_buffers_from_incoming(struct px_incoming *in);
/* The memory of an object that is a Buffer, and its size; NULL: it is none. */
void *px_buffer_memory(PyObject *object, size_t *bytes);
int px_add_buffer(PyObject *module);

#endif
