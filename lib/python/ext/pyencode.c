/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pyencode.c - Python objects as the values that C programs receive.
 */
#include "python/ext/pyvalues.h"

#include <stdlib.h>
#include <string.h>

#include "python/ext/object.h"
#include "shm/error.h"

struct encoder {
	uint8_t *bytes;
	size_t length, capacity;
	struct px_endpoint *endpoint;
	const struct px_value_hooks *hooks;
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

/* Bytes that stand for an object without another form. */
static int put_said(struct encoder *e, PyObject *said)
{
	char *text;
	Py_ssize_t length;

	return PyBytes_AsStringAndSize(said, &text, &length) < 0 ? -1 :
								   put_text(e, 'o', text, length);
}

static int put_words(struct encoder *e, PyObject *object)
{
	PyObject *said = PyObject_CallFunctionObjArgs(e->hooks->words, object, NULL);
	int rc = said ? put_said(e, said) : -1;

	Py_XDECREF(said);
	return rc;
}

/* --- arrays --- */

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
	Py_BEGIN_ALLOW_THREADS
	rc = px_endpoint_pack(e->endpoint, view.buf, (uint64_t)view.len,
			      &parts[reply->parts_count]);
	Py_END_ALLOW_THREADS
	PyBuffer_Release(&view);
	if (rc < 0) {
		px_raise(rc);
		return -1;
	}
	*index = reply->parts_count++;
	return 0;
}

static int put_numbers(struct encoder *e, PyObject *numbers)
{
	for (Py_ssize_t i = 0; i < PyTuple_Size(numbers); i++) {
		int64_t number = PyLong_AsLongLong(PyTuple_GetItem(numbers, i));

		if (PyErr_Occurred() || put(e, &number, sizeof(number)) < 0)
			return -1;
	}
	return 0;
}

/* ("a", memory, code, bits, shape), and of one that is not in rows: strides, first. */
static int put_array(struct encoder *e, PyObject *form)
{
	PyObject *memory, *shape, *strides = NULL, *tag;
	unsigned long long first = 0;
	uint8_t head[5] = { 'a' };
	uint32_t index;
	int code, bits;

	if (!PyArg_ParseTuple(form, "UOiiO!|O!K", &tag, &memory, &code, &bits, &PyTuple_Type,
			      &shape, &PyTuple_Type, &strides, &first) ||
	    put_part(e, memory, &index) < 0)
		return -1;
	head[0] = strides ? 'A' : 'a';
	head[1] = (uint8_t)code;
	head[2] = (uint8_t)bits;
	head[3] = (uint8_t)PyTuple_Size(shape);
	if (put(e, head, sizeof(head)) < 0 || put_numbers(e, shape) < 0)
		return -1;
	if (strides && (put_numbers(e, strides) < 0 || put(e, &first, sizeof(first)) < 0))
		return -1;
	return put(e, &index, sizeof(index));
}

/* --- numbers and text --- */

static int put_int(struct encoder *e, PyObject *object)
{
	int overflow;
	int64_t integer = PyLong_AsLongLongAndOverflow(object, &overflow);
	uint64_t natural;

	if (!overflow)
		return put_tagged(e, 'i', &integer, sizeof(integer));
	natural = PyLong_AsUnsignedLongLong(object);
	if (!PyErr_Occurred())
		return put_tagged(e, 'u', &natural, sizeof(natural));
	PyErr_Clear();
	return put_words(e, object);
}

static int put_float(struct encoder *e, PyObject *object)
{
	double real = PyFloat_AsDouble(object);

	return put_tagged(e, 'd', &real, sizeof(real));
}

static int put_complex(struct encoder *e, PyObject *object)
{
	double parts[] = { PyComplex_RealAsDouble(object), PyComplex_ImagAsDouble(object) };

	return put_tagged(e, 'c', parts, sizeof(parts));
}

/* Text that has no UTF-8, for it has halves of surrogate pairs, is its repr. */
static int put_string(struct encoder *e, PyObject *object)
{
	Py_ssize_t length;
	const char *text = PyUnicode_AsUTF8AndSize(object, &length);

	if (text)
		return put_text(e, 's', text, length);
	if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
		return -1;
	PyErr_Clear();
	return put_words(e, object);
}

/* --- containers --- */

static int put_object(struct encoder *e, PyObject *object, unsigned depth);

static int put_items(struct encoder *e, PyObject *tuple, unsigned depth)
{
	uint64_t count = (uint64_t)PyTuple_Size(tuple);
	int rc = put_tagged(e, 'l', &count, sizeof(count));

	for (uint64_t i = 0; rc == 0 && i < count; i++)
		rc = put_object(e, PyTuple_GetItem(tuple, (Py_ssize_t)i), depth + 1);
	return rc;
}

/* A list's items are those of one moment: the repr of one may change the list. */
static int put_list(struct encoder *e, PyObject *list, unsigned depth)
{
	PyObject *tuple = PyList_AsTuple(list);
	int rc = tuple ? put_items(e, tuple, depth) : -1;

	Py_XDECREF(tuple);
	return rc;
}

static bool has_items(PyObject *object)
{
	return PyList_Check(object) || PyTuple_Check(object) || PyDict_Check(object);
}

/* Whether C can have keys like these. */
static bool are_keys(PyObject *items)
{
	for (Py_ssize_t i = 0; i < PyList_Size(items); i++)
		if (has_items(PyTuple_GetItem(PyList_GetItem(items, i), 0)))
			return false;
	return true;
}

/* A key is never an array. */
static int put_key(struct encoder *e, PyObject *key, unsigned depth)
{
	if (PyObject_CheckBuffer(key) && !PyBytes_Check(key) && !PyUnicode_Check(key) &&
	    !PyNumber_Check(key))
		return put_words(e, key);
	return put_object(e, key, depth);
}

static int put_pairs(struct encoder *e, PyObject *items, unsigned depth)
{
	uint64_t count = (uint64_t)PyList_Size(items);
	int rc = put_tagged(e, 'm', &count, sizeof(count));

	for (uint64_t i = 0; rc == 0 && i < count; i++) {
		PyObject *item = PyList_GetItem(items, (Py_ssize_t)i);

		rc = put_key(e, PyTuple_GetItem(item, 0), depth + 1);
		if (rc == 0)
			rc = put_object(e, PyTuple_GetItem(item, 1), depth + 1);
	}
	return rc;
}

/* items: of a dict, its pairs; NULL. One that contains itself is there its repr: "[...]" or the like. */
static int put_once(struct encoder *e, PyObject *object, PyObject *items, unsigned depth)
{
	int within = Py_ReprEnter(object);
	int rc;

	if (within)
		return within < 0 ? -1 : put_words(e, object);
	if (items)
		rc = put_pairs(e, items, depth);
	else if (PyTuple_Check(object))
		rc = put_items(e, object, depth);
	else
		rc = put_list(e, object, depth);
	Py_ReprLeave(object);
	return rc;
}

static int put_container(struct encoder *e, PyObject *object, unsigned depth)
{
	PyObject *items = NULL;
	int rc;

	if (PyErr_CheckSignals() < 0)
		return -1;
	if (depth >= PX_VALUES_DEPTH_MAX)
		return put_words(e, object);
	if (!PyDict_Check(object))
		return put_once(e, object, NULL, depth);
	items = PyDict_Items(object);
	if (!items)
		return -1;
	rc = are_keys(items) ? put_once(e, object, items, depth) : put_words(e, object);
	Py_DECREF(items);
	return rc;
}

/* --- objects --- */

/* What Python knows to make of it. */
static int put_other(struct encoder *e, PyObject *object)
{
	PyObject *form = PyObject_CallFunctionObjArgs(e->hooks->form, object, NULL);
	PyObject *tag = form ? PyTuple_GetItem(form, 0) : NULL;
	int rc = -1;

	switch (tag ? PyUnicode_ReadChar(tag, 0) : 0) {
	case 'v':
		rc = put_object(e, PyTuple_GetItem(form, 1), 0);
		break;
	case 'o':
		rc = put_said(e, PyTuple_GetItem(form, 1));
		break;
	case 'a':
		rc = put_array(e, form);
		break;
	}
	Py_XDECREF(form);
	return rc;
}

static int put_object(struct encoder *e, PyObject *object, unsigned depth)
{
	if (object == Py_None)
		return put_tagged(e, 'N', NULL, 0);
	if (PyBool_Check(object))
		return put_tagged(e, object == Py_True ? 'T' : 'F', NULL, 0);
	if (PyLong_Check(object))
		return put_int(e, object);
	if (PyFloat_Check(object))
		return put_float(e, object);
	if (PyComplex_Check(object))
		return put_complex(e, object);
	if (PyUnicode_Check(object))
		return put_string(e, object);
	if (PyBytes_Check(object))
		return put_text(e, 'b', PyBytes_AsString(object), PyBytes_Size(object));
	if (has_items(object))
		return put_container(e, object, depth);
	return put_other(e, object);
}

static void release_bytes(struct px_reply *reply)
{
	free(reply->owner);
}

int px_values_encode(PyObject *object, struct px_endpoint *endpoint,
		     const struct px_value_hooks *hooks, struct px_reply *reply)
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
