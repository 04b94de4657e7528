/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client.c - the type pxrun._pxrun.Client, over lib/client/client.h.
 *
 * Thin: bytes and buffers go in, bytes and Buffers come out. What they mean is up to the package.
 */
#include "client/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "python/ext/buffer.h"
#include "python/ext/client.h"
#include "python/ext/module.h"
#include "python/ext/object.h"
#include "python/ext/region.h"
#include "python/ext/result.h"
#include "shm/error.h"

struct client {
	PyObject_HEAD
	/* Held as long as the object: another thread may be in a call while it is closed. */
	struct px_client *client;
	bool tells; /* client_tell() was called */
};

static PyObject *client_type;

/* --- sending --- */

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

static struct px_client *client_of(PyObject *self)
{
	struct px_client *client = ((struct client *)self)->client;

	/* Before anything is looked at, for words that say what is the matter. */
	int rc = px_client_check(client);

	if (rc < 0)
		px_raise(rc);
	return rc < 0 ? NULL : client;
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

static PyObject *client_submit(PyObject *self, PyObject *args)
{
	struct px_client *client = client_of(self);
	struct px_completions *list =
		client && ((struct client *)self)->tells ? &client->finished : NULL;
	PyObject *nobody;
	struct px_result *result = client ? send_arguments(client, args, list, &nobody) : NULL;

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
static PyObject *client_call(PyObject *self, PyObject *args)
{
	struct px_client *client = client_of(self);
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

/* --- the pool --- */

static void client_dealloc(PyObject *self)
{
	struct px_client *client = ((struct client *)self)->client;

	if (client) {
		Py_BEGIN_ALLOW_THREADS
		px_client_detach(client);
		px_client_release(client);
		Py_END_ALLOW_THREADS
	}
	px_unmake(self);
}

static PyObject *client_detach(PyObject *self, PyObject *unused)
{
	struct px_client *client = ((struct client *)self)->client;

	(void)unused;
	Py_BEGIN_ALLOW_THREADS
	px_client_detach(client);
	Py_END_ALLOW_THREADS
	Py_RETURN_NONE;
}

static PyObject *client_engines(PyObject *self, PyObject *unused)
{
	struct px_client *client = client_of(self);
	uint32_t ids[PX_ENGINES_MAX];
	PyObject *list;
	int count;

	(void)unused;
	if (!client)
		return NULL;
	count = px_client_engines(client, ids, PX_ENGINES_MAX);
	if (count < 0)
		return px_raise(count);
	list = PyList_New(count);
	for (int i = 0; list && i < count; i++)
		if (PyList_SetItem(list, i, PyLong_FromUnsignedLong(ids[i])) < 0)
			Py_CLEAR(list);
	return list;
}

static PyObject *client_signal(PyObject *self, PyObject *args)
{
	struct px_client *client = client_of(self);
	unsigned engine;
	int number, rc;

	if (!client || !PyArg_ParseTuple(args, "Ii", &engine, &number))
		return NULL;
	ASK(px_client_signal(client, engine, number));
	Py_RETURN_NONE;
}

static PyObject *client_restart(PyObject *self, PyObject *args)
{
	struct px_client *client = client_of(self);
	unsigned engine;
	int rc;

	if (!client || !PyArg_ParseTuple(args, "I", &engine))
		return NULL;
	ASK(px_client_restart_engine(client, engine));
	Py_RETURN_NONE;
}

static PyObject *client_remove(PyObject *self, PyObject *args)
{
	struct px_client *client = client_of(self);
	unsigned engine;
	int rc;

	if (!client || !PyArg_ParseTuple(args, "I", &engine))
		return NULL;
	ASK(px_client_remove_engine(client, engine));
	Py_RETURN_NONE;
}

static PyObject *client_add(PyObject *self, PyObject *args)
{
	struct px_client *client = client_of(self);
	unsigned count;
	uint32_t first;
	int rc;

	if (!client || !PyArg_ParseTuple(args, "I", &count))
		return NULL;
	ASK(px_client_add_engines(client, count, &first));
	return PyLong_FromUnsignedLong(first);
}

static PyObject *client_status(PyObject *self, PyObject *unused)
{
	struct px_client *client = client_of(self);
	PyObject *text;
	char *json;
	int rc;

	(void)unused;
	if (!client)
		return NULL;
	ASK(px_client_status(client, &json));
	text = PyUnicode_DecodeUTF8(json, (Py_ssize_t)strlen(json), "replace");
	free(json);
	return text;
}

static PyObject *client_stop_pool(PyObject *self, PyObject *timeout)
{
	struct px_client *client = client_of(self);
	uint64_t ns;
	int rc;

	if (!client || px_timeout(timeout, &ns) < 0)
		return NULL;
	ASK(px_client_stop_pool(client, ns));
	Py_RETURN_NONE;
}

static PyObject *client_poll(PyObject *self, PyObject *unused)
{
	struct px_client *client = client_of(self);
	int rc;

	(void)unused;
	if (!client)
		return NULL;
	ASK(px_client_poll(client));
	Py_RETURN_NONE;
}

/* The id of a result that was taken; gives up the hold. */
static PyObject *id_of(struct px_result *result)
{
	PyObject *id = PyLong_FromUnsignedLongLong(px_result_id(result));

	px_result_release(result);
	return id;
}

/* What else is there. */
static int take_rest(struct px_client *client, PyObject *list)
{
	struct px_result *result;

	while (px_client_take(client, &client->watched, 0, &result) == 0) {
		PyObject *id = id_of(result);
		int rc = id ? PyList_Append(list, id) : -1;

		Py_XDECREF(id);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static PyObject *client_take(PyObject *self, PyObject *timeout)
{
	struct px_client *client = client_of(self);
	struct px_result *result;
	PyObject *list;
	uint64_t ns;
	int rc;

	if (!client || px_timeout(timeout, &ns) < 0)
		return NULL;
	rc = px_wait_taken(client, &client->watched, ns, &result);
	if (rc < 0 && rc != PX_ETIMEDOUT)
		return rc == PX_RAISED ? NULL : px_raise(rc);
	list = rc < 0 ? PyList_New(0) : Py_BuildValue("[N]", id_of(result));
	if (list && rc == 0 && take_rest(client, list) < 0)
		Py_CLEAR(list);
	return list;
}

static PyObject *client_next(PyObject *self, PyObject *timeout)
{
	struct px_client *client = client_of(self);
	struct px_result *result;
	uint64_t ns;
	int rc;

	if (!client || px_timeout(timeout, &ns) < 0)
		return NULL;
	rc = px_wait_taken(client, &client->finished, ns, &result);
	if (rc == PX_ETIMEDOUT)
		Py_RETURN_NONE;
	if (rc < 0)
		return rc == PX_RAISED ? NULL : px_raise(rc);
	return id_of(result);
}

static PyObject *client_wait_idle(PyObject *self, PyObject *timeout)
{
	struct px_client *client = client_of(self);
	uint64_t ns;
	int rc;

	if (!client || px_timeout(timeout, &ns) < 0)
		return NULL;
	rc = px_wait_idle(client, ns);
	if (rc == PX_RAISED)
		return NULL;
	return rc < 0 && rc != PX_ETIMEDOUT ? px_raise(rc) : PyBool_FromLong(rc == 0);
}

static PyObject *client_queued(PyObject *self, PyObject *unused)
{
	struct px_client *client = client_of(self);
	uint32_t counts[PX_ENGINES_MAX];
	PyObject *found;
	int rc;

	(void)unused;
	if (!client)
		return NULL;
	ASK(px_client_queued(client, counts));
	found = PyDict_New();
	for (long id = 0; found && id < PX_ENGINES_MAX; id++) {
		PyObject *key, *count;

		if (!counts[id])
			continue;
		key = PyLong_FromLong(id);
		count = PyLong_FromUnsignedLong(counts[id]);
		if (!key || !count || PyDict_SetItem(found, key, count) < 0)
			Py_CLEAR(found);
		Py_XDECREF(count);
		Py_XDECREF(key);
	}
	return found;
}

static int set_result(PyObject *found, struct px_result *result)
{
	PyObject *id = PyLong_FromUnsignedLongLong(px_result_id(result));
	PyObject *object = px_result_object(result);
	int rc = id && object ? PyDict_SetItem(found, id, object) : -1;

	Py_XDECREF(object);
	Py_XDECREF(id);
	return rc;
}

static PyObject *client_outstanding(PyObject *self, PyObject *unused)
{
	struct px_client *client = client_of(self);
	struct px_result **results;
	PyObject *found;
	size_t count;
	int rc;

	(void)unused;
	if (!client)
		return NULL;
	ASK(px_client_outstanding(client, &results, &count));
	found = PyDict_New();
	for (size_t i = 0; i < count; i++) {
		if (!found)
			px_result_release(results[i]);
		else if (set_result(found, results[i]) < 0)
			Py_CLEAR(found);
	}
	free(results);
	return found;
}

static PyObject *client_find(PyObject *self, PyObject *id)
{
	struct px_client *client = client_of(self);
	unsigned long long wanted = PyLong_AsUnsignedLongLong(id);
	struct px_result *result;
	int rc;

	if (!client || PyErr_Occurred())
		return NULL;
	ASK(px_client_find(client, wanted, &result));
	if (!result)
		Py_RETURN_NONE;
	return px_result_object(result);
}

/* From now on what is out, and what will be sent, is told of. */
static int tell_of_all(struct client *self)
{
	struct px_result **results;
	size_t count;
	int rc;

	self->tells = true;
	rc = px_client_outstanding(self->client, &results, &count);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++) {
		(void)px_result_tell(results[i]);
		px_result_release(results[i]);
	}
	free(results);
	return 0;
}

static PyObject *client_tell(PyObject *self, PyObject *unused)
{
	int rc;

	(void)unused;
	if (!client_of(self))
		return NULL;
	ASK(tell_of_all((struct client *)self));
	Py_RETURN_NONE;
}

static PyObject *client_fileno(PyObject *self, PyObject *unused)
{
	struct px_client *client = client_of(self);
	int rc;

	(void)unused;
	if (!client)
		return NULL;
	ASK(px_client_fd(client));
	return PyLong_FromLong(rc);
}

/* Held. NULL with an exception. */
static struct px_endpoint *endpoint_of(PyObject *self)
{
	struct px_endpoint *endpoint;
	int rc = px_client_endpoint(((struct client *)self)->client, &endpoint);

	if (rc < 0)
		px_raise(rc);
	return rc < 0 ? NULL : endpoint;
}

static PyObject *client_region(PyObject *self, PyObject *bytes)
{
	struct px_endpoint *endpoint = endpoint_of(self);
	PyObject *region = endpoint ? px_region_object(endpoint, bytes) : NULL;

	if (endpoint)
		px_endpoint_release(endpoint);
	return region;
}

static PyObject *client_has(PyObject *self, PyObject *object)
{
	struct px_endpoint *endpoint = endpoint_of(self);
	PyObject *found = endpoint ? px_region_has(endpoint, object) : NULL;

	if (endpoint)
		px_endpoint_release(endpoint);
	return found;
}

static PyObject *client_usage(PyObject *self, PyObject *unused)
{
	struct px_client *client = client_of(self);
	struct px_arena_usage usage;
	int rc;

	(void)unused;
	if (!client)
		return NULL;
	ASK(px_client_usage(client, &usage));
	return Py_BuildValue("(KKK)", (unsigned long long)usage.extent_bytes,
			     (unsigned long long)usage.used_bytes,
			     (unsigned long long)usage.given_back_bytes);
}

static PyObject *client_trim(PyObject *self, PyObject *unused)
{
	struct px_client *client = client_of(self);

	(void)unused;
	uint64_t bytes;

	if (!client)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	bytes = px_client_trim(client);
	Py_END_ALLOW_THREADS
	return PyLong_FromUnsignedLongLong(bytes);
}

static PyObject *client_supervisor(PyObject *self, void *unused)
{
	struct px_client *client = client_of(self);

	(void)unused;
	return client ? PyLong_FromLong(client->supervisor_pid) : NULL;
}

static PyObject *client_closed(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(px_client_check(((struct client *)self)->client) < 0);
}

static PyObject *client_folder(PyObject *self, void *unused)
{
	struct px_client *client = client_of(self);

	(void)unused;
	return client ? PyUnicode_DecodeFSDefault(client->runtime.folder) : NULL;
}

static PyObject *client_profile(PyObject *self, void *unused)
{
	struct px_client *client = client_of(self);

	(void)unused;
	return client ? PyUnicode_DecodeFSDefault(client->runtime.profile) : NULL;
}

static PyMethodDef client_methods[] = {
	{ "submit", client_submit, METH_VARARGS,
	  "submit(kind, flags, targets, body, buffers) -> Result\n\nSends one message to each target; "
	  "buffers (a list, or None) are copied once." },
	{ "call", client_call, METH_VARARGS,
	  "call(kind, flags, targets, body, buffers, shower=None) -> (replies, Result)\n\nSends and waits, as "
	  "Result.wait() does. replies as Result.reply(i) for each target; None if Ctrl-C ended the wait." },
	{ "engines", client_engines, METH_NOARGS, "engines() -> list of ids, ascending" },
	{ "signal", client_signal, METH_VARARGS, "signal(engine, number)" },
	{ "restart", client_restart, METH_VARARGS, "restart(engine)" },
	{ "remove", client_remove, METH_VARARGS, "remove(engine)" },
	{ "add", client_add, METH_VARARGS, "add(count) -> first new id" },
	{ "status", client_status, METH_NOARGS, "status() -> JSON" },
	{ "stop_pool", client_stop_pool, METH_O, "stop_pool(timeout)" },
	{ "poll", client_poll, METH_NOARGS, "poll()\n\nReads what has arrived." },
	{ "take", client_take, METH_O,
	  "take(timeout) -> [id, ...]\n\nResults that are watched and have finished, each once; waits until "
	  "there is one. Empty: timeout." },
	{ "next", client_next, METH_O,
	  "next(timeout) -> id or None\n\nLikewise one of those of tell(). None: timeout." },
	{ "wait_idle", client_wait_idle, METH_O,
	  "wait_idle(timeout) -> bool\n\nWaits until every request is answered." },
	{ "queued", client_queued, METH_NOARGS,
	  "queued() -> {engine: number}\n\nUnanswered requests, by engine; engines without are left out." },
	{ "outstanding", client_outstanding, METH_NOARGS,
	  "outstanding() -> {id: Result}\n\nThose that are not answered, also if nobody held them." },
	{ "find", client_find, METH_O,
	  "find(id) -> Result or None\n\nOne of them; None: it is answered." },
	{ "fileno", client_fileno, METH_NOARGS,
	  "fileno() -> int\n\nA descriptor that is readable as long as next() has something." },
	{ "tell", client_tell, METH_NOARGS,
	  "tell()\n\nFrom now on next() gives results that are submitted, or are outstanding, and are not "
	  "watched." },
	{ "region", client_region, METH_O, "region(bytes) -> Region" },
	{ "has", client_has, METH_O,
	  "has(buffer) -> bool\n\nWhether an object's memory lies in a Region: it is sent as it is." },
	{ "usage", client_usage, METH_NOARGS,
	  "usage() -> (size, used, given_back)\n\nBytes of this client's extents." },
	{ "trim", client_trim, METH_NOARGS, "trim() -> bytes given back" },
	{ "detach", client_detach, METH_NOARGS, "detach()" },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef client_getset[] = {
	{ "supervisor_pid", client_supervisor, NULL, "Process id of the supervisor.", NULL },
	{ "closed", client_closed, NULL, "Whether it was detached, or belongs to another process.",
	  NULL },
	{ "folder", client_folder, NULL, "The pool's runtime folder.", NULL },
	{ "profile", client_profile, NULL, "The pool's name.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot client_slots[] = {
	{ Py_tp_dealloc, client_dealloc },
	{ Py_tp_methods, client_methods },
	{ Py_tp_getset, client_getset },
	{ Py_tp_doc, "A connection to a pool." },
	{ 0, NULL },
};

static PyType_Spec client_spec = {
	.name = "pxrun._pxrun.Client",
	.basicsize = sizeof(struct client),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = client_slots,
};

PyObject *px_client_object(struct px_client *client)
{
	struct client *self = (struct client *)px_make(client_type);

	if (!self) {
		px_client_detach(client);
		return NULL;
	}
	px_client_hold(client);
	self->client = client;
	return (PyObject *)self;
}

int px_add_client(PyObject *module)
{
	client_type = PyType_FromModuleAndSpec(module, &client_spec, NULL);
	return client_type ? PyModule_AddObjectRef(module, "Client", client_type) : -1;
}
