/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parcel.c - packs Python objects into a message.
 */
#include "python/ext/parcel.h"

#include <stdlib.h>

#include "python/ext/object.h"
#include "shm/error.h"
#include "shm/sizes.h"

void px_parcel_free(struct px_parcel *parcel)
{
	px_parts_free(parcel->parts, parcel->message.buffers_count);
	if (parcel->shared)
		px_region_release(parcel->shared);
	if (parcel->endpoint)
		px_endpoint_release(parcel->endpoint);
	if (parcel->body.obj)
		PyBuffer_Release(&parcel->body);
}

/* Memory as something to send: as it is, or as a copy. Without the interpreter's lock. */
static int pack_memory(const struct px_parcel *parcel, const Py_buffer *view, struct px_part *place)
{
	struct px_part lent;
	int rc = px_endpoint_pack(parcel->endpoint, view->buf, (uint64_t)view->len, place);

	if (rc < 0 || !parcel->task || !place->region || place->region->live ||
	    !atomic_load_explicit(&place->region->shown, memory_order_relaxed))
		return rc;
	lent = *place;
	rc = px_endpoint_copy(parcel->endpoint, view->buf, (uint64_t)view->len, place);
	px_region_release(lent.region);
	return rc;
}

/* Adds an object's memory: as it is if it lies in a region, else as one copy for all targets. */
static int pack_buffer(struct px_parcel *parcel, PyObject *object)
{
	struct px_part *place = &parcel->parts[parcel->message.buffers_count];
	Py_buffer view;
	int rc;

	if (PyObject_GetBuffer(object, &view, PyBUF_ANY_CONTIGUOUS) < 0)
		return PX_RAISED;
	if (view.len >= PX_UNLOCKED_BYTES) {
		Py_BEGIN_ALLOW_THREADS
		rc = pack_memory(parcel, &view, place);
		Py_END_ALLOW_THREADS
	} else {
		rc = pack_memory(parcel, &view, place);
	}
	PyBuffer_Release(&view);
	if (rc == 0)
		parcel->message.buffers_count++;
	return rc;
}

static int pack_buffers(struct px_parcel *parcel, PyObject *buffers)
{
	Py_ssize_t count = PyList_Size(buffers);
	int rc = 0;

	if (count <= 0)
		return count < 0 ? PX_RAISED : 0;
	parcel->parts = calloc((size_t)count, sizeof(*parcel->parts));
	if (!parcel->parts) {
		PyErr_NoMemory();
		return PX_RAISED;
	}
	parcel->message.buffers = parcel->parts;
	for (Py_ssize_t i = 0; i < count && rc == 0; i++)
		rc = pack_buffer(parcel, PyList_GetItem(buffers, i));
	return rc;
}

int px_parcel_complete(struct px_client *client, struct px_parcel *parcel, uint32_t engines,
		       PyObject *buffers)
{
	bool is_shared = engines > 1 && parcel->message.body_bytes >= PX_SHARED_BODY_BYTES;
	int rc;

	if (!is_shared && !buffers)
		return 0; /* as most calls: there is no memory to hold */
	rc = px_client_endpoint(client, &parcel->endpoint);
	if (rc == 0)
		rc = px_share_body(parcel->endpoint, &parcel->message, engines, &parcel->shared);
	return rc < 0 || !buffers ? rc : pack_buffers(parcel, buffers);
}

int px_parcel_pack(struct px_client *client, struct px_parcel *parcel, uint32_t engines,
		   PyObject *body, PyObject *buffers)
{
	if (PyObject_GetBuffer(body, &parcel->body, PyBUF_SIMPLE) < 0)
		return PX_RAISED;
	parcel->message.body = parcel->body.buf;
	parcel->message.body_bytes = (uint64_t)parcel->body.len;
	return px_parcel_complete(client, parcel, engines, buffers == Py_None ? NULL : buffers);
}
