/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plain.c - reads many plain replies at once.
 */
#include "python/ext/result.h"

#include "python/ext/flat.h"
#include "python/ext/object.h"

/* Steals the value. */
static PyObject *in_a_list(PyObject *value)
{
	PyObject *list = value ? PyList_New(1) : NULL;

	if (list)
		PyList_SetItem(list, 0, value);
	else
		Py_XDECREF(value);
	return list;
}

/* The value of a reply without buffers; NULL with an exception. */
static PyObject *value_of(const struct px_incoming *reply, PyObject *loads)
{
	const uint8_t *at = reply->body;
	PyObject *body, *value;

	if (reply->body_bytes && *at != PX_PICKLE_BEGINS)
		return px_flat_value(at, reply->body_bytes);
	body = PyBytes_FromStringAndSize(reply->body, (Py_ssize_t)reply->body_bytes);
	value = body ? PyObject_CallFunctionObjArgs(loads, body, NULL) : NULL;
	Py_XDECREF(body);
	return value;
}

/* The outcome of a reply; NULL with an exception. */
static PyObject *outcome_of(const struct px_incoming *reply, PyObject *loads, bool in_list)
{
	PyObject *value = value_of(reply, loads);

	if (in_list)
		value = in_a_list(value);
	return value ? Py_BuildValue("(NO)", value, Py_None) : NULL;
}

int px_read_plain(struct px_result *result, PyObject *outcomes, PyObject *loads, bool in_lists)
{
	for (Py_ssize_t i = 0; i < result->count && i < PyList_Size(outcomes); i++) {
		struct px_request *request = &result->requests[i];
		int rc = px_client_own(result->client); /* reading may run code that forks */
		PyObject *outcome;

		if (rc < 0) {
			px_raise(rc);
			return -1;
		}

		if (PyList_GetItem(outcomes, i) != Py_None || !px_request_is_done(request) ||
		    request->code || request->reply.buffers_count)
			continue;
		outcome = outcome_of(&request->reply, loads, in_lists);
		if (!outcome)
			return -1;
		/* It may also run code that asks for this very result; what that has got stands. */
		if (PyList_GetItem(outcomes, i) != Py_None)
			Py_DECREF(outcome);
		else if (PyList_SetItem(outcomes, i, outcome) < 0)
			return -1;
	}
	return 0;
}
