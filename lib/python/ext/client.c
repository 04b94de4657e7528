/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client.c - the type pxrun._pxrun.Client, over lib/client/client.h.
 *
 * Thin: bytes and buffers go in, bytes and Buffers come out. What they mean is up to the package.
 */
#include "client/client.h"
#include "client/tasks.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "python/ext/client.h"
#include "python/ext/module.h"
#include "python/ext/object.h"
#include "python/ext/region.h"
#include "python/ext/waiting.h"
#include "shm/error.h"

static PyObject *client_type;

struct px_client *px_ext_client(PyObject *self)
{
	struct px_client *client = ((struct px_client_object *)self)->client;

	/* Before anything is looked at, for words that say what is the matter. */
	int rc = px_client_check(client);

	if (rc < 0)
		px_raise(rc);
	return rc < 0 ? NULL : client;
}

struct px_client *px_ext_client_of(PyObject *object)
{
	if ((PyObject *)Py_TYPE(object) == client_type)
		return px_ext_client(object);
	PyErr_Format(PyExc_TypeError, "a connection to a pool is wanted, not %R", object);
	return NULL;
}

uint32_t px_ext_engine_id(PyObject *number)
{
	unsigned long id = PyLong_AsUnsignedLong(number);

	return id < PX_NO_ENGINE ? (uint32_t)id : PX_NO_ENGINE;
}

int px_ext_engine_ids(PyObject *list, uint32_t *ids)
{
	Py_ssize_t count = PyList_Size(list);

	if (count > PX_ENGINES_MAX) {
		PyErr_SetString(PyExc_ValueError, "more targets than a pool has engines");
		return -1;
	}
	for (Py_ssize_t i = 0; i < count; i++)
		ids[i] = px_ext_engine_id(PyList_GetItem(list, i));
	return PyErr_Occurred() ? -1 : (int)count;
}

/* --- the pool --- */

static void client_dealloc(PyObject *self)
{
	struct px_client *client = ((struct px_client_object *)self)->client;

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
	struct px_client *client = ((struct px_client_object *)self)->client;

	(void)unused;
	Py_BEGIN_ALLOW_THREADS
	px_client_detach(client);
	Py_END_ALLOW_THREADS
	PX_RETURN_NONE;
}

static PyObject *client_engines(PyObject *self, PyObject *unused)
{
	struct px_client *client = px_ext_client(self);
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
	struct px_client *client = px_ext_client(self);
	unsigned engine;
	int number, rc;

	if (!client || !PyArg_ParseTuple(args, "Ii", &engine, &number))
		return NULL;
	ASK(px_client_signal(client, engine, number, 0));
	PX_RETURN_NONE;
}

static PyObject *client_check_gone(PyObject *self, PyObject *args)
{
	struct px_client *client = px_ext_client(self);
	long long engine;
	int rc;

	if (!client || !PyArg_ParseTuple(args, "L", &engine))
		return NULL;
	if (engine < 0 || engine > PX_ENGINES_MAX)
		engine = PX_ENGINES_MAX;
	ASK(px_client_check_gone(client, (uint32_t)engine));
	PX_RETURN_NONE;
}

static PyObject *client_restart(PyObject *self, PyObject *args)
{
	struct px_client *client = px_ext_client(self);
	unsigned engine;
	int rc;

	if (!client || !PyArg_ParseTuple(args, "I", &engine))
		return NULL;
	ASK(px_client_restart_engine(client, engine, 0));
	PX_RETURN_NONE;
}

static PyObject *client_remove(PyObject *self, PyObject *args)
{
	struct px_client *client = px_ext_client(self);
	unsigned engine;
	int rc;

	if (!client || !PyArg_ParseTuple(args, "I", &engine))
		return NULL;
	ASK(px_client_remove_engine(client, engine, 0));
	PX_RETURN_NONE;
}

static PyObject *client_add(PyObject *self, PyObject *args)
{
	struct px_client *client = px_ext_client(self);
	unsigned count;
	uint32_t first;
	int rc;

	if (!client || !PyArg_ParseTuple(args, "I", &count))
		return NULL;
	ASK(px_client_add_engines(client, count, 0, &first));
	return PyLong_FromUnsignedLong(first);
}

static PyObject *client_status(PyObject *self, PyObject *unused)
{
	struct px_client *client = px_ext_client(self);
	PyObject *text;
	char *json;
	int rc;

	(void)unused;
	if (!client)
		return NULL;
	ASK(px_client_status_json(client, &json));
	text = PyUnicode_DecodeUTF8(json, (Py_ssize_t)strlen(json), "replace");
	free(json);
	return text;
}

static PyObject *client_stop_pool(PyObject *self, PyObject *timeout)
{
	struct px_client *client = px_ext_client(self);
	uint64_t ns;
	int rc;

	if (!client || px_timeout(timeout, &ns) < 0)
		return NULL;
	ASK(px_client_stop_pool(client, ns));
	PX_RETURN_NONE;
}

/* --- memory --- */

/* Held. NULL with an exception. */
static struct px_endpoint *endpoint_of(PyObject *self)
{
	struct px_endpoint *endpoint;
	int rc = px_client_endpoint(((struct px_client_object *)self)->client, &endpoint);

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
	struct px_client *client = px_ext_client(self);
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
	struct px_client *client = px_ext_client(self);

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
	struct px_client *client = px_ext_client(self);

	(void)unused;
	return client ? PyLong_FromLong(client->supervisor_pid) : NULL;
}

static PyObject *client_closed(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(px_client_check(((struct px_client_object *)self)->client) < 0);
}

static PyObject *client_folder(PyObject *self, void *unused)
{
	struct px_client *client = px_ext_client(self);

	(void)unused;
	return client ? PyUnicode_DecodeFSDefault(client->runtime.folder) : NULL;
}

static PyObject *client_profile(PyObject *self, void *unused)
{
	struct px_client *client = px_ext_client(self);

	(void)unused;
	return client ? PyUnicode_DecodeFSDefault(client->runtime.profile) : NULL;
}

static PyMethodDef client_methods[] = {
	{ "submit", px_ext_submit, METH_VARARGS,
	  "submit(kind, flags, targets, body, buffers) -> Result\n\nSends one message to each target; "
	  "buffers (a list, or None) are copied once." },
	{ "call", px_ext_call, METH_VARARGS,
	  "call(kind, flags, targets, body, buffers, shower=None) -> (replies, Result)\n\nSends and waits, as "
	  "Result.wait() does. replies as Result.reply(i) for each target; None if Ctrl-C ended the wait." },
	{ "post", px_ext_post, METH_VARARGS,
	  "post(bodies, buffers, targets, retries, told=True, refused=None, waits=False) -> Result\n\n"
	  "Calls for the next idle engines, one entry each; bodies and buffers as APPLY's. targets: ids of "
	  "the engines that may run them, or None. told: whether next() may give it. refused: ids of "
	  "engines that have refused them. waits: where the arena is full, until others leave room." },
	{ "engines", client_engines, METH_NOARGS, "engines() -> list of ids, ascending" },
	{ "signal", client_signal, METH_VARARGS, "signal(engine, number)" },
	{ "check_gone", client_check_gone, METH_VARARGS,
	  "check_gone(engine)\n\nRaises how the engine, if it is gone for good, or the pool has ended." },
	{ "restart", client_restart, METH_VARARGS, "restart(engine)" },
	{ "remove", client_remove, METH_VARARGS, "remove(engine)" },
	{ "add", client_add, METH_VARARGS, "add(count) -> first new id" },
	{ "status", client_status, METH_NOARGS, "status() -> JSON" },
	{ "stop_pool", client_stop_pool, METH_O, "stop_pool(timeout)" },
	{ "poll", px_ext_poll, METH_NOARGS, "poll()\n\nReads what has arrived." },
	{ "take", px_ext_take, METH_O,
	  "take(timeout) -> [id, ...]\n\nResults that are watched and have finished, each once; waits until "
	  "there is one. Empty: timeout." },
	{ "next", px_ext_next, METH_O,
	  "next(timeout) -> id or None\n\nLikewise one of those of tell(). None: timeout." },
	{ "wait_idle", px_ext_wait_idle, METH_O,
	  "wait_idle(timeout) -> bool\n\nWaits until every request is answered." },
	{ "queued", px_ext_queued, METH_NOARGS,
	  "queued() -> ({engine: number}, {engine: number}, number)\n\nUnanswered requests, and tasks that it has taken, "
	  "by engine; engines without are left out. Then the tasks that no engine has taken." },
	{ "outstanding", px_ext_outstanding, METH_NOARGS,
	  "outstanding() -> {id: Result}\n\nThose that are not answered, also if nobody held them." },
	{ "journal", px_ext_journal, METH_NOARGS,
	  "journal() -> [(result, i, engine, submitted, started, completed, received, code), ...]\n\nOf the last entries "
	  "that were answered: as Result.id, engine(i), times(i) and code(i)." },
	{ "find", px_ext_find, METH_O,
	  "find(id) -> Result or None\n\nOne of them; None: it is answered." },
	{ "new_done", px_ext_new_done, METH_NOARGS,
	  "new_done() -> Result\n\nOne whose entry is done, for its tell()." },
	{ "fileno", px_ext_fileno, METH_NOARGS,
	  "fileno() -> int\n\nA descriptor that is readable as long as next() has something." },
	{ "tell", px_ext_tell, METH_NOARGS,
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
	.basicsize = sizeof(struct px_client_object),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = client_slots,
};

PyObject *px_client_object(struct px_client *client)
{
	struct px_client_object *self = (struct px_client_object *)px_make(client_type);

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
