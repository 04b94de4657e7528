/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pyvalues.c - decodes and encodes the values of C programs.
 */
#include "python/ext/pyvalues.h"

#include <stdlib.h>
#include <string.h>

#include "python/ext/buffer.h"
#include "python/ext/object.h"
#include "shm/error.h"

#define DEPTH_MAX 100
#define NDIM_MAX 32

/* --- from bytes to objects --- */

struct cursor {
	const uint8_t *at;
	uint64_t left;
	struct px_incoming *in;
	const struct px_array_hooks *hooks;
};

static const uint8_t *take(struct cursor *c, uint64_t bytes)
{
	const uint8_t *at = c->at;

	if (bytes > c->left) {
		PyErr_SetString(PyExc_ValueError, "a request ends in the middle of a value");
		return NULL;
	}
	c->at += bytes;
	c->left -= bytes;
	return at;
}

/* A length and so many bytes. */
static const uint8_t *take_text(struct cursor *c, uint64_t *bytes)
{
	const uint8_t *at = take(c, sizeof(*bytes));

	if (!at)
		return NULL;
	memcpy(bytes, at, sizeof(*bytes));
	return take(c, *bytes);
}

static PyObject *take_value(struct cursor *c, unsigned depth);

static PyObject *take_list(struct cursor *c, unsigned depth)
{
	const uint8_t *at = take(c, sizeof(uint64_t));
	PyObject *list;
	uint64_t count;

	if (!at)
		return NULL;
	memcpy(&count, at, sizeof(count));
	if (count > c->left || depth >= DEPTH_MAX) {
		PyErr_SetString(PyExc_ValueError, "a request has an invalid list");
		return NULL;
	}
	list = PyList_New((Py_ssize_t)count);
	for (uint64_t i = 0; list && i < count; i++) {
		PyObject *item = take_value(c, depth + 1);

		if (!item || PyList_SetItem(list, (Py_ssize_t)i, item) < 0)
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *take_shape(struct cursor *c, unsigned ndim)
{
	PyObject *shape = PyTuple_New((Py_ssize_t)ndim);

	for (unsigned i = 0; shape && i < ndim; i++) {
		const uint8_t *at = take(c, sizeof(int64_t));
		PyObject *number = NULL;
		int64_t extent;

		if (at) {
			memcpy(&extent, at, sizeof(extent));
			number = PyLong_FromLongLong(extent);
		}
		if (!number || PyTuple_SetItem(shape, i, number) < 0)
			Py_CLEAR(shape);
	}
	return shape;
}

static PyObject *take_array(struct cursor *c)
{
	const uint8_t *head = take(c, 4), *at;
	PyObject *shape = head && head[2] <= NDIM_MAX ? take_shape(c, head[2]) : NULL;
	PyObject *buffer, *array;
	uint32_t index;

	at = shape ? take(c, sizeof(index)) : NULL;
	if (!at) {
		Py_XDECREF(shape);
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_ValueError, "a request has an invalid array");
		return NULL;
	}
	memcpy(&index, at, sizeof(index));
	if (index >= c->in->buffers_count) {
		Py_DECREF(shape);
		PyErr_SetString(PyExc_ValueError, "a request has an array without its data");
		return NULL;
	}
	buffer = px_buffer_from_loan(c->in->buffers[index]);
	c->in->buffers[index] = NULL;
	array = buffer ? PyObject_CallFunction(c->hooks->to_array, "OiiO", buffer, head[0], head[1],
					       shape) :
			 NULL;
	Py_XDECREF(buffer);
	Py_DECREF(shape);
	return array;
}

static PyObject *take_value(struct cursor *c, unsigned depth)
{
	const uint8_t *tag = take(c, 1), *at;
	uint64_t bytes;

	switch (tag ? *tag : 0) {
	case 0:
		return NULL;
	case 'N':
		PX_RETURN_NONE;
	case 'T':
		PX_RETURN_TRUE;
	case 'F':
		PX_RETURN_FALSE;
	case 'i': {
		int64_t integer;

		at = take(c, sizeof(integer));
		return at ? PyLong_FromLongLong((memcpy(&integer, at, sizeof(integer)), integer)) :
			    NULL;
	}
	case 'd': {
		double real;

		at = take(c, sizeof(real));
		return at ? PyFloat_FromDouble((memcpy(&real, at, sizeof(real)), real)) : NULL;
	}
	case 's':
		at = take_text(c, &bytes);
		return at ? PyUnicode_DecodeUTF8((const char *)at, (Py_ssize_t)bytes, NULL) : NULL;
	case 'b':
		at = take_text(c, &bytes);
		return at ? PyBytes_FromStringAndSize((const char *)at, (Py_ssize_t)bytes) : NULL;
	case 'l':
		return take_list(c, depth);
	case 'a':
		return take_array(c);
	default:
		return PyErr_Format(PyExc_ValueError, "a request has a value of kind %d", *tag);
	}
}

PyObject *px_values_decode(struct px_incoming *in, const struct px_array_hooks *hooks)
{
	struct cursor c = { in->body, in->body_bytes, in, hooks };
	PyObject *values = PyList_New(0);

	while (values && c.left) {
		PyObject *value = take_value(&c, 0);

		if (!value || PyList_Append(values, value) < 0)
			Py_CLEAR(values);
		Py_XDECREF(value);
	}
	return values;
}

/* --- from objects to bytes --- */

struct encoder {
	uint8_t *bytes;
	size_t length, capacity;
	struct px_endpoint *endpoint;
	const struct px_array_hooks *hooks;
	struct px_reply *reply;
};

static int put(struct encoder *e, const void *data, size_t bytes)
{
	if (e->length + bytes > e->capacity) {
		size_t capacity = 2 * (e->length + bytes) + 64;
		uint8_t *grown = realloc(e->bytes, capacity);

		if (!grown) {
			PyErr_NoMemory();
			return -1;
		}
		e->bytes = grown;
		e->capacity = capacity;
	}
	if (bytes)
		memcpy(e->bytes + e->length, data, bytes);
	e->length += bytes;
	return 0;
}

static int put_tagged(struct encoder *e, char tag, const void *data, size_t bytes)
{
	return put(e, &tag, 1) < 0 ? -1 : put(e, data, bytes);
}

static int put_text(struct encoder *e, char tag, const char *text, Py_ssize_t length)
{
	uint64_t bytes = (uint64_t)length;

	if (!text || put_tagged(e, tag, &bytes, sizeof(bytes)) < 0)
		return -1;
	return put(e, text, (size_t)length);
}

static int put_repr(struct encoder *e, PyObject *object)
{
	PyObject *repr = PyObject_Repr(object);
	Py_ssize_t length = 0;
	const char *text = repr ? PyUnicode_AsUTF8AndSize(repr, &length) : NULL;
	int rc = put_text(e, 'o', text, length);

	Py_XDECREF(repr);
	return rc;
}

/* An array's memory becomes a part of the reply. */
static int put_part(struct encoder *e, PyObject *memory, uint32_t *index)
{
	struct px_reply *reply = e->reply;
	struct px_part *parts = realloc(reply->parts, (reply->parts_count + 1) * sizeof(*parts));
	Py_buffer view;
	int rc;

	if (!parts) {
		PyErr_NoMemory();
		return -1;
	}
	reply->parts = parts;
	if (PyObject_GetBuffer(memory, &view, PyBUF_C_CONTIGUOUS) < 0)
		return -1;
	rc = px_endpoint_pack(e->endpoint, view.buf, (uint64_t)view.len,
			      &parts[reply->parts_count]);
	PyBuffer_Release(&view);
	if (rc < 0) {
		px_raise(rc);
		return -1;
	}
	*index = reply->parts_count++;
	return 0;
}

static int put_array(struct encoder *e, PyObject *parts)
{
	int code, bits;
	PyObject *shape, *memory;
	uint8_t head[5] = { 'a' };
	uint32_t index;

	if (!PyArg_ParseTuple(parts, "OiiO!", &memory, &code, &bits, &PyTuple_Type, &shape) ||
	    PyTuple_Size(shape) > NDIM_MAX || put_part(e, memory, &index) < 0)
		return -1;
	head[1] = (uint8_t)code;
	head[2] = (uint8_t)bits;
	head[3] = (uint8_t)PyTuple_Size(shape);
	if (put(e, head, sizeof(head)) < 0)
		return -1;
	for (Py_ssize_t i = 0; i < PyTuple_Size(shape); i++) {
		int64_t extent = PyLong_AsLongLong(PyTuple_GetItem(shape, i));

		if (put(e, &extent, sizeof(extent)) < 0)
			return -1;
	}
	return put(e, &index, sizeof(index));
}

static int put_int(struct encoder *e, PyObject *object)
{
	int overflow;
	int64_t integer = PyLong_AsLongLongAndOverflow(object, &overflow);

	return overflow ? put_repr(e, object) : put_tagged(e, 'i', &integer, sizeof(integer));
}

static int put_object(struct encoder *e, PyObject *object, unsigned depth);

static int put_sequence(struct encoder *e, PyObject *object, unsigned depth)
{
	Py_ssize_t length = PySequence_Size(object);
	uint64_t count = (uint64_t)length;

	if (depth >= DEPTH_MAX)
		return put_repr(e, object);
	if (put_tagged(e, 'l', &count, sizeof(count)) < 0)
		return -1;
	for (Py_ssize_t i = 0; i < length; i++) {
		PyObject *item = PySequence_GetItem(object, i);
		int rc = item ? put_object(e, item, depth + 1) : -1;

		Py_XDECREF(item);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int put_other(struct encoder *e, PyObject *object)
{
	PyObject *parts = PyObject_CallFunction(e->hooks->from_array, "O", object);
	int rc;

	if (!parts)
		return -1;
	rc = parts == Py_None ? put_repr(e, object) : put_array(e, parts);
	Py_DECREF(parts);
	return rc;
}

static int put_object(struct encoder *e, PyObject *object, unsigned depth)
{
	Py_ssize_t length = 0;

	if (object == Py_None)
		return put_tagged(e, 'N', NULL, 0);
	if (PyBool_Check(object))
		return put_tagged(e, object == Py_True ? 'T' : 'F', NULL, 0);
	if (PyLong_Check(object))
		return put_int(e, object);
	if (PyFloat_Check(object)) {
		double real = PyFloat_AsDouble(object);

		return put_tagged(e, 'd', &real, sizeof(real));
	}
	if (PyUnicode_Check(object)) {
		const char *text = PyUnicode_AsUTF8AndSize(object, &length);

		return put_text(e, 's', text, length);
	}
	if (PyBytes_Check(object))
		return put_text(e, 'b', PyBytes_AsString(object), PyBytes_Size(object));
	if (PyList_Check(object) || PyTuple_Check(object))
		return put_sequence(e, object, depth);
	return put_other(e, object);
}

static void release_bytes(struct px_reply *reply)
{
	free(reply->owner);
}

int px_values_encode(PyObject *object, struct px_endpoint *endpoint,
		     const struct px_array_hooks *hooks, struct px_reply *reply)
{
	struct encoder e = { .endpoint = endpoint, .hooks = hooks, .reply = reply };
	int rc = 0;

	/* An empty body means None, which most calls return. */
	if (object != Py_None)
		rc = put_object(&e, object, 0);
	if (rc < 0) {
		free(e.bytes);
		return -1;
	}
	reply->body = reply->owner = e.bytes;
	reply->body_bytes = e.length;
	reply->release = release_bytes;
	return 0;
}
