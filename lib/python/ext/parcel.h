/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parcel.h - a message to send, made of Python objects.
 *
 * Who:     one thread, with the interpreter's lock.
 * Where:   private memory; buffers in regions of the client's.
 * Blocks:  while the supervisor grants an extent.
 * Death:   of the pool: PX_EPOOL.
 */
#ifndef PX_EXT_PARCEL_H
#define PX_EXT_PARCEL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

#include "client/client.h"
#include "python/ext/waiting.h"

/* The message, and what its memory is taken from. */
struct px_parcel {
	struct px_outgoing message;
	Py_buffer body;
	struct px_endpoint *endpoint; /* held, as long as memory of it is packed here; or NULL */
	struct px_part *parts;
	struct px_region *shared; /* the body, for several engines */
	bool task;                /* nothing is lent: what may still be written to is copied */
};

/*
 * Packs a bytes-like body and a list of buffers, or None, for so many engines. Looking at objects may
 * run code, also code that closes the client: so it is held, not entered. An error; PX_RAISED: there is an
 * exception.
 */
int px_parcel_pack(struct px_client *client, struct px_parcel *parcel, uint32_t engines,
		   PyObject *body, PyObject *buffers);
/* The same of a message that has its body; buffers may be NULL. */
int px_parcel_complete(struct px_client *client, struct px_parcel *parcel, uint32_t engines,
		       PyObject *buffers);
/* Also one whose packing has failed. */
void px_parcel_free(struct px_parcel *parcel);

#endif
