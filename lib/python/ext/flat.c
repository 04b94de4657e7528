/* SPDX-License-Identifier: BSD-3-Clause */
/* flat.c - see flat.h. */
#include "python/ext/flat.h"

#include <stdlib.h>
#include <string.h>

#include "python/ext/module.h"
#include "python/ext/object.h"

enum { COUNT_BYTES = 4 };

void px_flat_begin(struct px_flat *flat)
{
	flat->at = flat->small;
	flat->room = sizeof(flat->small);
	flat->lends = false;
	flat->lent_count = 0;
	px_flat_again(flat);
}

void px_flat_again(struct px_flat *flat)
{
	flat->used = 0;
	flat->depth = flat->kept_count = 0;
}

void px_flat_end(struct px_flat *flat)
{
	if (flat->at != flat->small)
		free(flat->at);
	for (unsigned i = 0; i < flat->lent_count; i++)
		Py_DECREF(flat->lent[i]);
}

/* --- writing --- */

static bool grow(struct px_flat *flat, size_t needed)
{
	size_t room = 4 * flat->room > needed ? 4 * flat->room : needed;
	uint8_t *at;

	if (needed > PX_FLAT_MAX_BYTES)
		return false;
	if (room > PX_FLAT_MAX_BYTES)
		room = PX_FLAT_MAX_BYTES;
	at = realloc(flat->at == flat->small ? NULL : flat->at, room);
	if (!at)
		return false;
	if (flat->at == flat->small)
		memcpy(at, flat->small, flat->used);
	flat->at = at;
	flat->room = room;
	return true;
}

uint8_t *px_flat_room(struct px_flat *flat, size_t bytes)
{
	uint8_t *at;

	if (bytes > flat->room - flat->used &&
	    (bytes > PX_FLAT_MAX_BYTES || !grow(flat, flat->used + bytes)))
		return NULL;
	at = flat->at + flat->used;
	flat->used += bytes;
	return at;
}

bool px_flat_keep(struct px_flat *flat, const PyObject *object)
{
	for (unsigned i = 0; i < flat->kept_count; i++)
		if (flat->kept[i] == object)
			return false;
	if (flat->kept_count == PX_FLAT_KEPT_MAX)
		return false;
	flat->kept[flat->kept_count++] = object;
	return true;
}

static bool put(struct px_flat *flat, char letter, const void *data, size_t bytes)
{
	uint8_t *at = px_flat_room(flat, 1 + bytes);

	if (!at)
		return false;
	at[0] = (uint8_t)letter;
	memcpy(at + 1, data, bytes);
	return true;
}

static bool put_letter(struct px_flat *flat, char letter)
{
	uint8_t *at = px_flat_room(flat, 1);

	if (at)
		at[0] = (uint8_t)letter;
	return at;
}

bool px_flat_count(struct px_flat *flat, char letter, Py_ssize_t count)
{
	uint32_t number = (uint32_t)count;

	return count < PX_FLAT_MAX_BYTES && put(flat, letter, &number, sizeof(number));
}

static bool put_bytes(struct px_flat *flat, char letter, const char *bytes, Py_ssize_t length)
{
	uint8_t *at;

	if (!px_flat_count(flat, letter, length))
		return false;
	at = px_flat_room(flat, (size_t)length);
	if (at)
		memcpy(at, bytes, (size_t)length);
	return at;
}

static bool write_int(struct px_flat *flat, PyObject *value)
{
	int overflow;
	int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow);

	return !overflow && put(flat, 'i', &number, sizeof(number));
}

static bool write_float(struct px_flat *flat, PyObject *value)
{
	double number = PyFloat_AsDouble(value);

	return put(flat, 'd', &number, sizeof(number));
}

static bool write_complex(struct px_flat *flat, PyObject *value)
{
	double parts[] = { PyComplex_RealAsDouble(value), PyComplex_ImagAsDouble(value) };

	return put(flat, 'c', parts, sizeof(parts));
}

static bool write_text(struct px_flat *flat, PyObject *value)
{
	Py_ssize_t length;
	const char *text = PyUnicode_AsUTF8AndSize(value, &length);

	if (text)
		return put_bytes(flat, 's', text, length);
	PyErr_Clear(); /* lone surrogates */
	return false;
}

static bool write_bytes(struct px_flat *flat, PyObject *value)
{
	return put_bytes(flat, 'b', PyBytes_AsString(value), PyBytes_Size(value));
}

static bool write_tuple(struct px_flat *flat, PyObject *value)
{
	Py_ssize_t count = PyTuple_Size(value);
	bool written = px_flat_count(flat, 't', count);

	for (Py_ssize_t i = 0; written && i < count; i++)
		written = px_flat_write(flat, PyTuple_GetItem(value, i));
	return written;
}

static bool write_list(struct px_flat *flat, PyObject *value)
{
	Py_ssize_t count = PyList_Size(value);
	bool written = px_flat_keep(flat, value) && px_flat_count(flat, 'l', count);

	for (Py_ssize_t i = 0; written && i < count; i++)
		written = px_flat_write(flat, PyList_GetItem(value, i));
	return written;
}

static bool write_dict(struct px_flat *flat, PyObject *value)
{
	bool written = px_flat_keep(flat, value) && px_flat_count(flat, 'm', PyDict_Size(value));
	PyObject *key, *item;
	Py_ssize_t at = 0;

	while (written && PyDict_Next(value, &at, &key, &item))
		written = px_flat_write(flat, key) && px_flat_write(flat, item);
	return written;
}

/* What holds other values. */
static bool write_deep(struct px_flat *flat, PyObject *value)
{
	const PyTypeObject *type = Py_TYPE(value);
	bool written = false;

	if (flat->depth++ < PX_FLAT_DEPTH_MAX) {
		if (type == &PyTuple_Type)
			written = write_tuple(flat, value);
		else if (type == &PyList_Type)
			written = write_list(flat, value);
		else if (type == &PyDict_Type)
			written = write_dict(flat, value);
		else
			written = px_flat_write_array(flat, value) ||
				  px_flat_write_scalar(flat, value);
	}
	flat->depth--;
	return written;
}

bool px_flat_write(struct px_flat *flat, PyObject *value)
{
	const PyTypeObject *type = Py_TYPE(value);

	if (type == &PyLong_Type)
		return write_int(flat, value);
	if (type == &PyFloat_Type)
		return write_float(flat, value);
	if (type == &PyUnicode_Type)
		return write_text(flat, value);
	if (value == Py_None)
		return put_letter(flat, 'N');
	if (type == &PyBool_Type)
		return put_letter(flat, value == Py_True ? 'T' : 'F');
	if (type == &PyBytes_Type)
		return write_bytes(flat, value);
	if (type == &PyComplex_Type)
		return write_complex(flat, value);
	return write_deep(flat, value);
}

PyObject *px_flat_lent(const struct px_flat *flat)
{
	PyObject *list = PyList_New((Py_ssize_t)flat->lent_count);

	for (unsigned i = 0; list && i < flat->lent_count; i++)
		PyList_SetItem(list, i, Py_NewRef(flat->lent[i]));
	return list;
}

/* --- reading --- */

PyObject *px_flat_malformed(void)
{
	PyErr_SetString(PyExc_ValueError, "what was sent is no value");
	return NULL;
}

const uint8_t *px_flat_take(struct px_flat_source *source, size_t bytes)
{
	const uint8_t *at = source->at;

	if (bytes > (size_t)(source->end - at)) {
		px_flat_malformed();
		return NULL;
	}
	source->at += bytes;
	return at;
}

/* How many bytes or values follow, each of which takes at least a byte; -1 with an exception. */
static Py_ssize_t read_count(struct px_flat_source *source)
{
	const uint8_t *at = px_flat_take(source, COUNT_BYTES);
	uint32_t count;

	if (!at)
		return -1;
	memcpy(&count, at, sizeof(count));
	if (count <= (size_t)(source->end - source->at))
		return (Py_ssize_t)count;
	px_flat_malformed();
	return -1;
}

static PyObject *read_int(struct px_flat_source *source)
{
	const uint8_t *at = px_flat_take(source, sizeof(int64_t));
	int64_t number;

	if (!at)
		return NULL;
	memcpy(&number, at, sizeof(number));
	return PyLong_FromLongLong(number);
}

static PyObject *read_float(struct px_flat_source *source)
{
	const uint8_t *at = px_flat_take(source, sizeof(double));
	double number;

	if (!at)
		return NULL;
	memcpy(&number, at, sizeof(number));
	return PyFloat_FromDouble(number);
}

static PyObject *read_complex(struct px_flat_source *source)
{
	double parts[2];
	const uint8_t *at = px_flat_take(source, sizeof(parts));

	if (!at)
		return NULL;
	memcpy(parts, at, sizeof(parts));
	return PyComplex_FromDoubles(parts[0], parts[1]);
}

/* Its sender may still write there, and what decodes looks twice: so it decodes a copy. */
PyObject *px_flat_text(const uint8_t *at, size_t length, const char *errors)
{
	char small[256], *copy = length <= sizeof(small) ? small : malloc(length);
	PyObject *text;

	if (!copy)
		return PyErr_NoMemory();
	memcpy(copy, at, length);
	text = PyUnicode_DecodeUTF8(copy, (Py_ssize_t)length, errors);
	if (copy != small)
		free(copy);
	return text;
}

static PyObject *read_text(struct px_flat_source *source)
{
	Py_ssize_t length = read_count(source);
	const uint8_t *at = length < 0 ? NULL : px_flat_take(source, (size_t)length);

	return at ? px_flat_text(at, (size_t)length, NULL) : NULL;
}

static PyObject *read_bytes(struct px_flat_source *source)
{
	Py_ssize_t length = read_count(source);
	const uint8_t *at = length < 0 ? NULL : px_flat_take(source, (size_t)length);

	return at ? PyBytes_FromStringAndSize((const char *)at, length) : NULL;
}

static PyObject *read_items(struct px_flat_source *source, PyObject *(*make)(Py_ssize_t),
			    int (*set)(PyObject *, Py_ssize_t, PyObject *))
{
	Py_ssize_t count = read_count(source);
	PyObject *items = count < 0 ? NULL : make(count);

	for (Py_ssize_t i = 0; items && i < count; i++) {
		PyObject *item = px_flat_read(source);

		if (!item || set(items, i, item) < 0)
			Py_CLEAR(items);
	}
	return items;
}

static PyObject *read_dict(struct px_flat_source *source)
{
	Py_ssize_t count = read_count(source);
	PyObject *dict = count < 0 ? NULL : PyDict_New();

	for (Py_ssize_t i = 0; dict && i < count; i++) {
		PyObject *key = px_flat_read(source);
		PyObject *item = key ? px_flat_read(source) : NULL;

		if (!item || PyDict_SetItem(dict, key, item) < 0)
			Py_CLEAR(dict);
		Py_XDECREF(item);
		Py_XDECREF(key);
	}
	return dict;
}

static PyObject *read_letter(struct px_flat_source *source, char letter)
{
	switch (letter) {
	case 'N':
		return Py_NewRef(Py_None);
	case 'T':
		return Py_NewRef(Py_True);
	case 'F':
		return Py_NewRef(Py_False);
	case 'i':
		return read_int(source);
	case 'd':
		return read_float(source);
	case 'c':
		return read_complex(source);
	case 's':
		return read_text(source);
	case 'b':
		return read_bytes(source);
	case 't':
		return read_items(source, PyTuple_New, PyTuple_SetItem);
	case 'l':
		return read_items(source, PyList_New, PyList_SetItem);
	case 'm':
		return read_dict(source);
	case 'a':
	case 'A':
		return px_flat_read_array(source, letter == 'A');
	case 'g':
		return px_flat_read_scalar(source);
	default:
		return px_flat_malformed();
	}
}

PyObject *px_flat_read(struct px_flat_source *source)
{
	const uint8_t *at = px_flat_take(source, 1);
	PyObject *value;

	if (!at)
		return NULL;
	if (source->depth > PX_FLAT_DEPTH_MAX + 1)
		return px_flat_malformed();
	source->depth++;
	value = read_letter(source, (char)*at);
	source->depth--;
	return value;
}

/* --- for Python --- */

/* (head, args, kwargs) -> head, args, and kwargs if there are some; or None */
static PyObject *flat_call(PyObject *self, PyObject *arguments)
{
	PyObject *head, *args, *kwargs, *body = NULL;
	struct px_flat flat;
	uint8_t *at;

	(void)self;
	if (!PyArg_ParseTuple(arguments, "SO!O!", &head, &PyTuple_Type, &args, &PyDict_Type,
			      &kwargs))
		return NULL;
	px_flat_begin(&flat);
	at = px_flat_room(&flat, (size_t)PyBytes_Size(head));
	if (at) {
		memcpy(at, PyBytes_AsString(head), (size_t)PyBytes_Size(head));
		if (px_flat_write(&flat, args) &&
		    (!PyDict_Size(kwargs) || px_flat_write(&flat, kwargs)))
			body = PyBytes_FromStringAndSize((const char *)flat.at,
							 (Py_ssize_t)flat.used);
		else
			body = Py_NewRef(Py_None);
	}
	px_flat_end(&flat);
	return at ? body : PyErr_NoMemory();
}

PyObject *px_flat_value(const void *body, size_t bytes)
{
	struct px_flat_source source = { body, (const uint8_t *)body + bytes, 0, NULL };
	PyObject *value = px_flat_read(&source);

	if (value && source.at != source.end) {
		Py_DECREF(value);
		return px_flat_malformed();
	}
	return value;
}

static PyObject *unflat(PyObject *self, PyObject *body)
{
	char *at;
	Py_ssize_t bytes;

	(void)self;
	return PyBytes_AsStringAndSize(body, &at, &bytes) < 0 ? NULL :
								px_flat_value(at, (size_t)bytes);
}

static PyMethodDef functions[] = {
	{ "flat_call", flat_call, METH_VARARGS,
	  "flat_call(head, args, kwargs) -> bytes | None\n\nA call with flat arguments (flat.h) behind its head; None: "
	  "they have to be pickled." },
	{ "unflat", unflat, METH_O, "unflat(body)\n\nThe value of a body that is no pickle." },
	{ NULL, NULL, 0, NULL },
};

int px_add_flat(PyObject *module)
{
	return PyModule_AddFunctions(module, functions);
}
