/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sending.c - Client.submit() and Client.call(): from Python objects to a message that is sent.
 */
#include <stdbool.h>

#include "client/client.h"
#include "python/ext/client.h"
#include "python/ext/flat.h"
#include "python/ext/object.h"
#include "python/ext/parcel.h"
#include "python/ext/region.h"
#include "python/ext/result.h"
#include "python/ext/waiting.h"
#include "shm/error.h"

static int send_unlocked(struct px_result *result, struct px_parcel *parcel)
{
	int rc;

	Py_BEGIN_ALLOW_THREADS
	rc = px_result_send(result, &parcel->message, PX_SLICE_NS);
	Py_END_ALLOW_THREADS
	return rc;
}

/*
 * A short message mostly finds room at once: it is tried with the interpreter's lock, which saves 0.1 us.
 * Where there is no room, handlers of signals run while it is waited for. False with an exception.
 */
static bool send_parcel(struct px_result *result, struct px_parcel *parcel)
{
	bool is_short =
		!parcel->message.body_region && parcel->message.body_bytes < PX_FRAME_MAX_BYTES / 2;
	int rc = is_short ? px_result_send(result, &parcel->message, 0) :
			    send_unlocked(result, parcel);

	while (rc == PX_ETIMEDOUT || rc == PX_EINTR) {
		if (PyErr_CheckSignals() < 0)
			return false;
		rc = send_unlocked(result, parcel);
	}
	if (rc < 0)
		px_raise(rc);
	return rc == 0;
}

/* list: where the result is put when it has finished; NULL: nowhere. */
static struct px_result *submit(struct px_client *client, const uint32_t *engines, uint32_t count,
				bool tracked, struct px_completions *list, struct px_parcel *parcel)
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
	struct px_parcel parcel = { 0 };
	PyObject *targets, *body, *buffers;
	int kind, flags, count, rc;

	if (!PyArg_ParseTuple(args, "iiO!OO|O", &kind, &flags, &PyList_Type, &targets, &body,
			      &buffers, shower))
		return NULL;
	count = px_ext_engine_ids(targets, engines);
	if (count < 0)
		return NULL;
	parcel.message.kind = (uint16_t)kind;
	parcel.message.flags = (uint16_t)flags;
	rc = px_parcel_pack(client, &parcel, (uint32_t)count, body, buffers);
	if (rc == 0)
		result = submit(client, engines, (uint32_t)count, flags & PX_FLAG_TRACK, list,
				&parcel);
	else if (rc != PX_RAISED)
		px_raise(rc);
	px_parcel_free(&parcel);
	return result;
}

struct px_result *px_ext_send_call(struct px_client *client, const uint32_t *engines,
				   uint32_t count, const struct px_flat *flat)
{
	struct px_parcel parcel = {
		.message = { .kind = PX_REQUEST_APPLY, .body = flat->at, .body_bytes = flat->used }
	};
	struct px_result *result = NULL;
	PyObject *lent = flat->lent_count ? px_flat_lent(flat) : NULL;
	int rc = PX_RAISED;

	if (lent || !flat->lent_count)
		rc = px_parcel_complete(client, &parcel, count, lent);
	Py_XDECREF(lent);
	if (rc == 0)
		result = submit(client, engines, count, false, NULL, &parcel);
	else if (rc != PX_RAISED)
		px_raise(rc);
	px_parcel_free(&parcel);
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
	return result ? px_sent_result_object(result) : NULL;
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
