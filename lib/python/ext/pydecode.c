/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pydecode.c - the values that C programs send, as Python objects.
 */
#include "python/ext/pyvalues.h"

#include <stdlib.h>
#include <string.h>

#include "python/ext/buffer.h"
#include "python/ext/object.h"

#define BODY_BYTES 512 /* a body so short is copied to the stack */

/* Over a copy of the body, for its sender may still write there. */
struct cursor {
	const uint8_t *at;
	uint64_t left;
	struct px_incoming *in;
	const struct px_value_hooks *hooks;
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

static int take_to(struct cursor *c, void *to, uint64_t bytes)
{
	const uint8_t *at = take(c, bytes);

	if (!at)
		return -1;
	memcpy(to, at, bytes);
	return 0;
}

/* A length and so many bytes. */
static const uint8_t *take_text(struct cursor *c, uint64_t *bytes)
{
	return take_to(c, bytes, sizeof(*bytes)) < 0 ? NULL : take(c, *bytes);
}

/* How many items a container has, each of so many values at least; -1: it cannot be. */
static int take_count(struct cursor *c, unsigned depth, uint64_t values, uint64_t *count)
{
	if (take_to(c, count, sizeof(*count)) < 0)
		return -1;
	if (*count <= c->left / values && depth < PX_VALUES_DEPTH_MAX)
		return 0;
	PyErr_SetString(PyExc_ValueError, "a request has a list or dict that is nested too deeply, "
					  "or longer than the request");
	return -1;
}

static PyObject *take_value(struct cursor *c, unsigned depth);

static PyObject *take_list(struct cursor *c, unsigned depth)
{
	PyObject *list;
	uint64_t count;

	if (take_count(c, depth, 1, &count) < 0)
		return NULL;
	list = PyList_New((Py_ssize_t)count);
	for (uint64_t i = 0; list && i < count; i++) {
		PyObject *item = take_value(c, depth + 1);

		if (!item || PyList_SetItem(list, (Py_ssize_t)i, item) < 0)
			Py_CLEAR(list);
	}
	return list;
}

static int take_item(struct cursor *c, unsigned depth, PyObject *dict)
{
	PyObject *key = take_value(c, depth), *value = key ? take_value(c, depth) : NULL;
	int rc = value ? PyDict_SetItem(dict, key, value) : -1;

	Py_XDECREF(key);
	Py_XDECREF(value);
	return rc;
}

static PyObject *take_dict(struct cursor *c, unsigned depth)
{
	PyObject *dict;
	uint64_t count;

	if (take_count(c, depth, 2, &count) < 0)
		return NULL;
	dict = PyDict_New();
	for (uint64_t i = 0; dict && i < count; i++)
		if (take_item(c, depth + 1, dict) < 0)
			Py_CLEAR(dict);
	return dict;
}

/* --- arrays --- */

struct array_head {
	uint8_t code, bits, ndim, reserved;
};

static PyObject *take_numbers(struct cursor *c, unsigned count)
{
	PyObject *numbers = PyTuple_New((Py_ssize_t)count);

	for (unsigned i = 0; numbers && i < count; i++) {
		int64_t number;
		PyObject *object = take_to(c, &number, sizeof(number)) < 0 ?
					   NULL :
					   PyLong_FromLongLong(number);

		if (!object || PyTuple_SetItem(numbers, i, object) < 0)
			Py_CLEAR(numbers);
	}
	return numbers;
}

/* The message's buffer of the index that comes next, as an object. */
static PyObject *take_buffer(struct cursor *c)
{
	struct px_loan *loan;
	uint32_t index;

	if (take_to(c, &index, sizeof(index)) < 0)
		return NULL;
	if (index >= c->in->buffers_count) {
		PyErr_SetString(PyExc_ValueError, "a request has an array without its data");
		return NULL;
	}
	loan = c->in->buffers[index];
	c->in->buffers[index] = NULL;
	return px_buffer_from_loan(loan);
}

static PyObject *take_array(struct cursor *c, bool strided)
{
	PyObject *shape = NULL, *strides = NULL, *buffer = NULL, *array = NULL;
	struct array_head head;
	uint64_t first = 0;

	if (take_to(c, &head, sizeof(head)) < 0)
		return NULL;
	if (head.ndim > PX_VALUES_NDIM_MAX) {
		PyErr_Format(PyExc_ValueError, "a request has an array of %d dimensions",
			     (int)head.ndim);
		return NULL;
	}
	shape = take_numbers(c, head.ndim);
	if (shape && strided)
		strides = take_numbers(c, head.ndim);
	if (shape && (!strided || (strides && take_to(c, &first, sizeof(first)) == 0)))
		buffer = take_buffer(c);
	if (buffer && strided)
		array = PyObject_CallFunction(c->hooks->to_array, "OiiOOK", buffer, (int)head.code,
					      (int)head.bits, shape, strides,
					      (unsigned long long)first);
	else if (buffer)
		array = PyObject_CallFunction(c->hooks->to_array, "OiiO", buffer, (int)head.code,
					      (int)head.bits, shape);
	Py_XDECREF(buffer);
	Py_XDECREF(strides);
	Py_XDECREF(shape);
	return array;
}

/* --- values --- */

/* Of a kind that has eight or sixteen bytes. */
static PyObject *take_number(struct cursor *c, uint8_t kind)
{
	union {
		int64_t integer;
		uint64_t natural;
		double real[2];
	} number;

	if (take_to(c, &number, kind == 'c' ? 16 : 8) < 0)
		return NULL;
	switch (kind) {
	case 'i':
		return PyLong_FromLongLong(number.integer);
	case 'u':
		return PyLong_FromUnsignedLongLong(number.natural);
	case 'c':
		return PyComplex_FromDoubles(number.real[0], number.real[1]);
	default:
		return PyFloat_FromDouble(number.real[0]);
	}
}

static PyObject *take_value(struct cursor *c, unsigned depth)
{
	const uint8_t *at;
	uint64_t bytes;
	uint8_t kind;

	if (take_to(c, &kind, sizeof(kind)) < 0)
		return NULL;
	switch (kind) {
	case 'N':
		PX_RETURN_NONE;
	case 'T':
		PX_RETURN_TRUE;
	case 'F':
		PX_RETURN_FALSE;
	case 'i':
	case 'u':
	case 'd':
	case 'c':
		return take_number(c, kind);
	case 's':
		at = take_text(c, &bytes);
		return at ? PyUnicode_DecodeUTF8((const char *)at, (Py_ssize_t)bytes, NULL) : NULL;
	case 'b':
		at = take_text(c, &bytes);
		return at ? PyBytes_FromStringAndSize((const char *)at, (Py_ssize_t)bytes) : NULL;
	case 'l':
		return take_list(c, depth);
	case 'm':
		return take_dict(c, depth);
	case 'a':
	case 'A':
		return take_array(c, kind == 'A');
	default:
		return PyErr_Format(PyExc_ValueError, "a request has a value of kind %d",
				    (int)kind);
	}
}

/* The keyword arguments, which end the body. */
static int take_keywords(struct cursor *c, PyObject **keywords)
{
	c->at++, c->left--;
	*keywords = take_dict(c, 0);
	if (*keywords && c->left) {
		PyErr_SetString(PyExc_ValueError, "a request has values behind its keywords");
		Py_CLEAR(*keywords);
	}
	return *keywords ? 0 : -1;
}

static PyObject *take_all(struct cursor *c, PyObject **keywords)
{
	PyObject *values = PyList_New(0);

	while (values && c->left) {
		PyObject *value = NULL;
		int rc;

		if (*c->at == 'k') {
			rc = take_keywords(c, keywords);
		} else {
			value = take_value(c, 0);
			rc = value ? PyList_Append(values, value) : -1;
		}
		Py_XDECREF(value);
		if (rc < 0)
			Py_CLEAR(values);
	}
	return values;
}

PyObject *px_values_decode(struct px_incoming *in, const struct px_value_hooks *hooks,
			   PyObject **keywords)
{
	uint8_t room[BODY_BYTES];
	uint8_t *body = in->body_bytes <= sizeof(room) ? room : malloc(in->body_bytes);
	struct cursor c = { body, in->body_bytes, in, hooks };
	PyObject *values;

	*keywords = NULL;
	if (!body)
		return PyErr_NoMemory();
	memcpy(body, in->body, in->body_bytes);
	values = take_all(&c, keywords);
	if (body != room)
		free(body);
	return values;
}
