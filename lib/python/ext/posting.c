/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * posting.c - Client.post(): tasks for the next idle engines.
 */
#include "client/tasks.h"
#include "python/ext/client.h"
#include "python/ext/object.h"
#include "python/ext/parcel.h"
#include "python/ext/result.h"
#include "shm/error.h"

/* A list of ids, or None. -1 with an exception. */
static int read_set(PyObject *targets, struct px_engine_set *set)
{
	Py_ssize_t count = targets == Py_None ? 0 : PyList_Size(targets);
	uint32_t ids[PX_ENGINES_MAX];
	int rc;

	if (targets == Py_None)
		return 0;
	if (count < 1 || count > PX_ENGINES_MAX) {
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_ValueError, "no targets, or more than engines");
		return -1;
	}
	if (px_ext_engine_ids(targets, ids) < 0)
		return -1;
	rc = px_engine_set(ids, (size_t)count, set);
	if (rc < 0)
		px_raise(rc);
	return rc < 0 ? -1 : 0;
}

struct batch {
	struct px_client *client;
	PyObject *bodies, *buffers, *targets, *refused;
	struct px_engine_set set, without;
	Py_ssize_t retries;
	int waits; /* where the arena is full */
};

/* Posts the ith. An error, or PX_RAISED. */
static int post_one(const struct batch *batch, struct px_result *result, Py_ssize_t i)
{
	struct px_parcel parcel = { .message.kind = PX_REQUEST_APPLY, .task = true };
	PyObject *body = PyList_GetItem(batch->bodies, i);
	PyObject *buffers = batch->buffers == Py_None ? Py_None : PyList_GetItem(batch->buffers, i);
	int rc = PX_RAISED;

	if (body && buffers)
		rc = px_parcel_pack(batch->client, &parcel, 1, body, buffers);
	if (rc == 0)
		rc = px_tasks_post(result, &parcel.message,
				   batch->targets == Py_None ? NULL : &batch->set, &batch->without,
				   (uint32_t)batch->retries);
	px_parcel_free(&parcel);
	return rc;
}

/*
 * The same; if it may wait, after tasks have ended whose arguments fill the arena. -1 with an exception.
 */
static int post_when_room(const struct batch *batch, struct px_result *result, Py_ssize_t i)
{
	bool large = batch->buffers != Py_None && PyList_GetItem(batch->buffers, i) != Py_None;
	int rc = large && batch->waits ? px_wait_for_room(batch->client) : 0;

	if (rc == 0)
		rc = post_one(batch, result, i);
	while (rc == PX_ENOMEM && batch->waits) {
		rc = px_wait_for_memory(batch->client);
		/* Without any the last attempt says in words what was refused. */
		if (rc == PX_ENOMEM) {
			rc = post_one(batch, result, i);
			break;
		}
		if (rc == 0)
			rc = post_one(batch, result, i);
	}
	if (rc < 0 && rc != PX_RAISED)
		px_raise(rc);
	return rc < 0 ? -1 : 0;
}

static struct px_result *post_all(const struct batch *batch, struct px_completions *list)
{
	Py_ssize_t count = PyList_Size(batch->bodies);
	struct px_result *result;
	int rc;

	if (batch->buffers != Py_None &&
	    (!PyList_Check(batch->buffers) || PyList_Size(batch->buffers) != count)) {
		PyErr_SetString(PyExc_ValueError, "a list of buffers for each body is needed");
		return NULL;
	}
	rc = count > UINT32_MAX ? px_fail(PX_EINVAL, "too many tasks") :
				  px_result_new_tasks(batch->client, (uint32_t)count, &result);
	if (rc < 0) {
		px_raise(rc);
		return NULL;
	}
	result->completion.list = list;
	for (Py_ssize_t i = 0; i < count; i++)
		if (post_when_room(batch, result, i) < 0) {
			px_tasks_give_up(result);
			px_result_release(result);
			return NULL;
		}
	return result;
}

PyObject *px_ext_post(PyObject *self, PyObject *args)
{
	struct px_client_object *object = (struct px_client_object *)self;
	struct batch batch = { .client = px_ext_client(self), .refused = Py_None };
	struct px_completions *list = object->tells ? &batch.client->finished : NULL;
	struct px_result *result;
	int told = true;

	if (!batch.client ||
	    !PyArg_ParseTuple(args, "O!OOn|pOp", &PyList_Type, &batch.bodies, &batch.buffers,
			      &batch.targets, &batch.retries, &told, &batch.refused,
			      &batch.waits) ||
	    read_set(batch.targets, &batch.set) < 0 || read_set(batch.refused, &batch.without) < 0)
		return NULL;
	if (batch.retries < 0 || batch.retries > UINT32_MAX) {
		PyErr_SetString(PyExc_ValueError, "retries must be a number from 0 on");
		return NULL;
	}
	result = post_all(&batch, told ? list : NULL);
	/* If tell() was called meanwhile, it may have come too early to see this one. */
	if (result && told && !list && object->tells)
		(void)px_result_tell(result);
	return result ? px_sent_result_object(result) : NULL;
}

PyObject *px_ext_refused(PyObject *self, PyObject *index)
{
	struct px_request *request = px_ext_request(self, index);
	PyObject *list = request ? PyList_New(0) : NULL;

	if (!list || !px_request_is_done(request) || !request->refused)
		return list;
	for (uint32_t engine = 0; engine < PX_ENGINES_MAX; engine++) {
		PyObject *id = NULL;
		int rc = 0;

		if (px_engine_set_has(request->refused, engine)) {
			id = PyLong_FromUnsignedLong(engine);
			rc = id ? PyList_Append(list, id) : -1;
		}
		Py_XDECREF(id);
		if (rc < 0) {
			Py_DECREF(list);
			return NULL;
		}
	}
	return list;
}
