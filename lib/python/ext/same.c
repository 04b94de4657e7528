/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * same.c - whether names still have the values that they had.
 *
 * Checked before each call whose function brings names along (pxrun/wire/names.py): in Python it
 * would take a good part of the time of such a call.
 */
#include "python/ext/module.h"

/* A name's value, borrowed or owned by *own; NULL without an exception: there is no such name. */
static PyObject *look_up(PyObject *mapping, PyObject *name, PyObject **own)
{
	PyObject *found;

	*own = NULL;
	if (PyDict_CheckExact(mapping))
		return PyDict_GetItemWithError(mapping, name);
	found = PyObject_GetItem(mapping, name);
	if (!found && PyErr_ExceptionMatches(PyExc_KeyError))
		PyErr_Clear();
	*own = found;
	return found;
}

/* 1, 0, or -1 with an exception. */
static int place_same(PyObject *place, PyObject *absent)
{
	PyObject *mapping, *names, *values;
	Py_ssize_t length;

	if (!PyArg_ParseTuple(place, "OO!O!n", &mapping, &PyTuple_Type, &names, &PyTuple_Type,
			      &values, &length))
		return -1;
	if (length >= 0 && PyObject_Size(mapping) != length)
		return PyErr_Occurred() ? -1 : 0;
	for (Py_ssize_t i = 0; i < PyTuple_Size(names); i++) {
		PyObject *own, *wanted = PyTuple_GetItem(values, i);
		PyObject *found = look_up(mapping, PyTuple_GetItem(names, i), &own);
		int same = (found ? found : absent) == wanted;

		Py_XDECREF(own);
		if (PyErr_Occurred())
			return -1;
		if (!same)
			return 0;
	}
	return 1;
}

static PyObject *same(PyObject *self, PyObject *args)
{
	PyObject *places, *absent;
	int rc = 1;

	(void)self;
	if (!PyArg_ParseTuple(args, "O!O", &PyList_Type, &places, &absent))
		return NULL;
	for (Py_ssize_t i = 0; rc > 0 && i < PyList_Size(places); i++)
		rc = place_same(PyList_GetItem(places, i), absent);
	return rc < 0 ? NULL : PyBool_FromLong(rc);
}

static PyMethodDef functions[] = {
	{ "same", same, METH_VARARGS,
	  "same(places, absent) -> bool\n\nplaces is a list of (mapping, names, values, length): whether each "
	  "name stands for that very object, for absent if there is none, and, where length is not "
	  "negative, whether the mapping has so many names." },
	{ NULL, NULL, 0, NULL },
};

int px_add_same(PyObject *module)
{
	return PyModule_AddFunctions(module, functions);
}
