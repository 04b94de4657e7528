/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * finished.c - the methods of Client that say which requests have finished, and which have not.
 */
#include <stdlib.h>

#include "client/client.h"
#include "client/tasks.h"
#include "python/ext/client.h"
#include "python/ext/object.h"
#include "python/ext/result.h"
#include "python/ext/waiting.h"
#include "shm/error.h"

PyObject *px_ext_poll(PyObject *self, PyObject *unused)
{
	struct px_client *client = px_ext_client(self);
	int rc;

	(void)unused;
	if (!client)
		return NULL;
	ASK(px_client_poll(client));
	PX_RETURN_NONE;
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

PyObject *px_ext_take(PyObject *self, PyObject *timeout)
{
	struct px_client *client = px_ext_client(self);
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

PyObject *px_ext_next(PyObject *self, PyObject *timeout)
{
	struct px_client *client = px_ext_client(self);
	struct px_result *result;
	uint64_t ns;
	int rc;

	if (!client || px_timeout(timeout, &ns) < 0)
		return NULL;
	rc = px_wait_taken(client, &client->finished, ns, &result);
	if (rc == PX_ETIMEDOUT)
		PX_RETURN_NONE;
	if (rc < 0)
		return rc == PX_RAISED ? NULL : px_raise(rc);
	return id_of(result);
}

PyObject *px_ext_wait_idle(PyObject *self, PyObject *timeout)
{
	struct px_client *client = px_ext_client(self);
	uint64_t ns;
	int rc;

	if (!client || px_timeout(timeout, &ns) < 0)
		return NULL;
	rc = px_wait_idle(client, ns);
	if (rc == PX_RAISED)
		return NULL;
	return rc < 0 && rc != PX_ETIMEDOUT ? px_raise(rc) : PyBool_FromLong(rc == 0);
}

/* {engine: count}, of those that are not 0. */
static PyObject *counted(const uint32_t *counts, long count)
{
	PyObject *found = PyDict_New();

	for (long i = 0; found && i < count; i++) {
		PyObject *key, *value;

		if (!counts[i])
			continue;
		key = PyLong_FromLong(i);
		value = PyLong_FromUnsignedLong(counts[i]);
		if (!key || !value || PyDict_SetItem(found, key, value) < 0)
			Py_CLEAR(found);
		Py_XDECREF(value);
		Py_XDECREF(key);
	}
	return found;
}

PyObject *px_ext_queued(PyObject *self, PyObject *unused)
{
	struct px_client *client = px_ext_client(self);
	uint32_t requests[PX_ENGINES_MAX], tasks[PX_ENGINES_MAX + 1];
	PyObject *of_engines, *taken;
	int rc;

	(void)unused;
	if (!client)
		return NULL;
	ASK(px_client_queued(client, requests, tasks));
	of_engines = counted(requests, PX_ENGINES_MAX);
	taken = of_engines ? counted(tasks, PX_ENGINES_MAX) : NULL;
	if (!taken) {
		Py_XDECREF(of_engines);
		return NULL;
	}
	return Py_BuildValue("NNI", of_engines, taken, (unsigned)tasks[PX_ENGINES_MAX]);
}

PyObject *px_ext_new_done(PyObject *self, PyObject *unused)
{
	struct px_client *client = px_ext_client(self);
	struct px_result *result;
	int rc;

	(void)unused;
	if (!client)
		return NULL;
	ASK(px_result_new_done(client, &result));
	return px_result_object(result);
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

PyObject *px_ext_outstanding(PyObject *self, PyObject *unused)
{
	struct px_client *client = px_ext_client(self);
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

/* (result, i, engine, submitted, started, completed, received, code) of each entry of the journal. */
static PyObject *journal_list(const struct px_journal_entry *entries, uint32_t count)
{
	PyObject *list = PyList_New(count);

	for (uint32_t i = 0; list && i < count; i++) {
		const struct px_journal_entry *e = &entries[i];
		PyObject *entry = Py_BuildValue("(KIlKKKKi)", (unsigned long long)e->result,
						(unsigned)e->index,
						e->engine == PX_NO_ENGINE ? -1L : (long)e->engine,
						(unsigned long long)e->submitted_ns,
						(unsigned long long)e->started_ns,
						(unsigned long long)e->completed_ns,
						(unsigned long long)e->received_ns, (int)e->code);

		if (!entry || PyList_SetItem(list, i, entry) < 0)
			Py_CLEAR(list);
	}
	return list;
}

PyObject *px_ext_journal(PyObject *self, PyObject *unused)
{
	struct px_client *client = px_ext_client(self);
	struct px_journal_entry *entries;
	uint32_t count = 0;
	PyObject *list;
	int rc;

	(void)unused;
	entries = client ? malloc(PX_JOURNAL_ENTRIES * sizeof(*entries)) : NULL;
	if (!entries)
		return client ? PyErr_NoMemory() : NULL;
	rc = px_client_journal(client, entries, &count);
	list = rc < 0 ? px_raise(rc) : journal_list(entries, count);
	free(entries);
	return list;
}

PyObject *px_ext_find(PyObject *self, PyObject *id)
{
	struct px_client *client = px_ext_client(self);
	unsigned long long wanted = PyLong_AsUnsignedLongLong(id);
	struct px_result *result;
	int rc;

	if (!client || PyErr_Occurred())
		return NULL;
	ASK(px_client_find(client, wanted, &result));
	if (!result)
		PX_RETURN_NONE;
	return px_result_object(result);
}

/* From now on what is out, and what will be sent, is told of. */
static int tell_of_all(struct px_client_object *self)
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

PyObject *px_ext_tell(PyObject *self, PyObject *unused)
{
	int rc;

	(void)unused;
	if (!px_ext_client(self))
		return NULL;
	ASK(tell_of_all((struct px_client_object *)self));
	PX_RETURN_NONE;
}

PyObject *px_ext_fileno(PyObject *self, PyObject *unused)
{
	struct px_client *client = px_ext_client(self);
	int rc;

	(void)unused;
	if (!client)
		return NULL;
	ASK(px_client_fd(client));
	return PyLong_FromLong(rc);
}
