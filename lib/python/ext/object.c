/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * object.c - raising and making objects.
 */
#include "python/ext/object.h"

#include <string.h>

#include "shm/error.h"

static PyObject *error_type, *classes;

/*
 * The class for a code: the one that pxrun.error has registered by set_errors(), else Error.
 * Borrowed. Imports pxrun.error if need be: it is not imported before the first error.
 */
static PyObject *class_of(int code)
{
	PyObject *number;

	if (!classes)
		Py_XDECREF(PyImport_ImportModule("pxrun.error"));
	number = classes ? PyLong_FromLong(code) : NULL;
	PyObject *found = number ? PyDict_GetItemWithError(classes, number) : NULL;

	Py_XDECREF(number);
	return found ? found : error_type;
}

PyObject *px_raise(int code)
{
	const char *text = px_last_error();
	PyObject *words = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");

	if (words)
		PyErr_SetObject(class_of(code), words);
	Py_XDECREF(words);
	return NULL;
}

PyObject *px_make(PyObject *type)
{
	allocfunc alloc = (allocfunc)PyType_GetSlot((PyTypeObject *)type, Py_tp_alloc);

	return alloc((PyTypeObject *)type, 0);
}

void px_unmake(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
	Py_DECREF(type);
}

PyObject *px_set_errors(PyObject *self, PyObject *mapping)
{
	(void)self;
	Py_INCREF(mapping);
	Py_XDECREF(classes);
	classes = mapping;
	PX_RETURN_NONE;
}

int px_add_errors(PyObject *module)
{
	error_type = PyErr_NewExceptionWithDoc("pxrun._pxrun.Error",
					       "A failure of libpxrun, in its words.", NULL, NULL);
	return error_type ? PyModule_AddObjectRef(module, "Error", error_type) : -1;
}
