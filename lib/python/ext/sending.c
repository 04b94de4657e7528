/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sending.c - Client.submit() and Client.call(): from Python objects to a message that is sent.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "client/client.h"
#include "python/ext/client.h"
#include "python/ext/object.h"
#include "python/ext/region.h"
#include "python/ext/result.h"
#include "shm/error.h"

/* A message to send, and the Python objects that its memory is taken from. */
struct parcel {
	struct px_outgoing message;
	Py_buffer body;
	struct px_endpoint *endpoint; /* held, as long as memory of it is packed here; or NULL */
	struct px_part *parts;
	struct px_region *shared; /* the body, for several engines */
};

static void parcel_free(struct parcel *parcel)
{
	px_parts_free(parcel->parts, parcel->message.buffers_count);
	if (parcel->shared)
		px_region_release(parcel->shared);
	if (parcel->endpoint)
		px_endpoint_release(parcel->endpoint);
	if (parcel->body.obj)
		PyBuffer_Release(&parcel->body);
}

/* Adds an object's memory: as it is if it lies in a region, else as one copy for all targets. */
static int pack_buffer(struct parcel *parcel, PyObject *object)
{
	struct px_part *place = &parcel->parts[parcel->message.buffers_count];
	Py_buffer view;
	int rc;

	if (PyObject_GetBuffer(object, &view, PyBUF_ANY_CONTIGUOUS) < 0)
		return -1;
	if (view.len >= PX_UNLOCKED_BYTES) {
		Py_BEGIN_ALLOW_THREADS
		rc = px_endpoint_pack(parcel->endpoint, view.buf, (uint64_t)view.len, place);
		Py_END_ALLOW_THREADS
	} else {
		rc = px_endpoint_pack(parcel->endpoint, view.buf, (uint64_t)view.len, place);
	}
	PyBuffer_Release(&view);
	if (rc < 0) {
		px_raise(rc);
		return -1;
	}
	parcel->message.buffers_count++;
	return 0;
}

static int pack_buffers(struct parcel *parcel, PyObject *buffers)
{
	Py_ssize_t count = buffers == Py_None ? 0 : PyList_Size(buffers);

	if (count <= 0)
		return (int)count;
	parcel->parts = calloc((size_t)count, sizeof(*parcel->parts));
	if (!parcel->parts) {
		PyErr_NoMemory();
		return -1;
	}
	parcel->message.buffers = parcel->parts;
	for (Py_ssize_t i = 0; i < count; i++)
		if (pack_buffer(parcel, PyList_GetItem(buffers, i)) < 0)
			return -1;
	return 0;
}

/* Looking at objects may run code, also code that closes the client: so it is held, not entered. */
static int pack(struct px_client *client, struct parcel *parcel, uint32_t engines, PyObject *body,
		PyObject *buffers)
{
	int rc = 0;

	if (PyObject_GetBuffer(body, &parcel->body, PyBUF_SIMPLE) < 0)
		return -1;
	parcel->message.body = parcel->body.buf;
	parcel->message.body_bytes = (uint64_t)parcel->body.len;
	if (buffers == Py_None && (engines < 2 || parcel->body.len < PX_SHARED_BODY_BYTES))
		return 0; /* as most calls: there is no memory to hold */
	rc = px_client_endpoint(client, &parcel->endpoint);
	if (rc == 0)
		rc = px_share_body(parcel->endpoint, &parcel->message, engines, &parcel->shared);
	if (rc < 0) {
		px_raise(rc);
		return -1;
	}
	return pack_buffers(parcel, buffers);
}

/*
 * Where there is no room, handlers of signals run while it is waited for. False with an exception.
 */
static bool send_parcel(struct px_result *result, struct parcel *parcel)
{
	int rc;

	for (;;) {
		Py_BEGIN_ALLOW_THREADS
		rc = px_result_send(result, &parcel->message, PX_SLICE_NS);
		Py_END_ALLOW_THREADS
		if (rc == 0)
			return true;
		if (rc != PX_ETIMEDOUT && rc != PX_EINTR) {
			px_raise(rc);
			return false;
		}
		if (PyErr_CheckSignals() < 0)
			return false;
	}
}

/* list: where the result is put when it has finished; NULL: nowhere. */
static struct px_result *submit(struct px_client *client, const uint32_t *engines, uint32_t count,
				bool tracked, struct px_completions *list, struct parcel *parcel)
{
	struct px_result *result;
	int rc = px_result_new(client, engines, count, tracked, &result);

	if (rc < 0) {
		px_raise(rc);
		return NULL;
	}
	result->completion.list = list;
	if (send_parcel(result, parcel))
		return result;
	px_result_release(result);
	return NULL;
}

/* (kind, flags, targets, body, buffers), sent. NULL with an exception. */
static struct px_result *send_arguments(struct px_client *client, PyObject *args,
					struct px_completions *list, PyObject **shower)
{
	struct px_result *result = NULL;
	uint32_t engines[PX_ENGINES_MAX];
	struct parcel parcel = { 0 };
	PyObject *targets, *body, *buffers;
	Py_ssize_t count;
	int kind, flags;

	if (!PyArg_ParseTuple(args, "iiO!OO|O", &kind, &flags, &PyList_Type, &targets, &body,
			      &buffers, shower))
		return NULL;
	count = PyList_Size(targets);
	if (count > PX_ENGINES_MAX) {
		PyErr_SetString(PyExc_ValueError, "more targets than a pool has engines");
		return NULL;
	}
	for (Py_ssize_t i = 0; i < count; i++)
		engines[i] = (uint32_t)PyLong_AsUnsignedLong(PyList_GetItem(targets, i));
	if (PyErr_Occurred())
		return NULL;
	parcel.message.kind = (uint16_t)kind;
	parcel.message.flags = (uint16_t)flags;
	if (pack(client, &parcel, (uint32_t)count, body, buffers) == 0)
		result = submit(client, engines, (uint32_t)count, flags & PX_FLAG_TRACK, list,
				&parcel);
	parcel_free(&parcel);
	return result;
}

PyObject *px_ext_submit(PyObject *self, PyObject *args)
{
	struct px_client *client = px_ext_client(self);
	struct px_completions *list =
		client && ((struct px_client_object *)self)->tells ? &client->finished : NULL;
	PyObject *nobody;
	struct px_result *result = client ? send_arguments(client, args, list, &nobody) : NULL;

	/* If tell() was called meanwhile, it may have come too early to see this one. */
	if (result && !list && ((struct px_client_object *)self)->tells)
		(void)px_result_tell(result);
	return result ? px_result_object(result) : NULL;
}

static PyObject *all_replies(struct px_result *result)
{
	PyObject *replies = PyList_New(result->count);

	for (uint32_t i = 0; replies && i < result->count; i++) {
		PyObject *reply = px_reply_object(&result->requests[i]);

		if (!reply || PyList_SetItem(replies, i, reply) < 0)
			Py_CLEAR(replies);
	}
	return replies;
}

/* submit() and wait() in one call, for blocking calls. */
PyObject *px_ext_call(PyObject *self, PyObject *args)
{
	struct px_client *client = px_ext_client(self);
	PyObject *object, *shower = NULL, *replies = NULL;
	/* Nobody else is told of it. */
	struct px_result *result = client ? send_arguments(client, args, NULL, &shower) : NULL;
	int rc;

	if (!result)
		return NULL;
	object = px_result_object(result);
	if (!object)
		return NULL;
	rc = px_wait(object, shower, PX_FOREVER);
	if (rc == 0) {
		replies = all_replies(result);
	} else if (rc != PX_RAISED) {
		px_raise(rc);
	} else if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
		/* The wait has ended, the request goes on. */
		PyErr_Clear();
		replies = Py_None;
		Py_INCREF(replies);
	}
	if (replies)
		return Py_BuildValue("(NN)", replies, object);
	Py_DECREF(object);
	return NULL;
}
