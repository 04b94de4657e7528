/* SPDX-License-Identifier: BSD-3-Clause */
/* namespace.c - see namespace.h. */
#include "python/ext/namespace.h"

#include "python/ext/module.h"
#include "python/ext/object.h"

static PyObject *main_name; /* "__main__" */

PyObject *px_namespace(void)
{
	PyObject *module = PyDict_GetItemWithError(PyImport_GetModuleDict(), main_name);
	PyObject *dict = NULL;

	if (module && PyModule_Check(module))
		return Py_NewRef(PyModule_GetDict(module));
	/* Code may put any object there. */
	if (module)
		dict = PyObject_GetAttrString(module, "__dict__");
	if (dict && PyDict_Check(dict))
		return dict;
	Py_XDECREF(dict);
	if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_AttributeError))
		PyErr_SetString(PyExc_ImportError, "there is no module __main__ any more");
	return NULL;
}

/* A function of engine/calls.py, found once. Borrowed. */
static PyObject *of_calls(PyObject **known, const char *name)
{
	PyObject *calls = *known ? NULL : PyImport_ImportModule("pxrun.engine.calls");

	if (calls)
		*known = PyObject_GetAttrString(calls, name);
	Py_XDECREF(calls);
	return *known;
}

static int assign(PyObject *namespace, PyObject *name, PyObject *value)
{
	static PyObject *assign_target;
	PyObject *done = NULL;

	if (!PyUnicode_Check(name)) {
		PyErr_Format(PyExc_TypeError, "a name is a str, not %R", name);
		return -1;
	}
	if (PyUnicode_IsIdentifier(name) > 0)
		return PyDict_SetItem(namespace, name, value);
	if (of_calls(&assign_target, "assign"))
		done = PyObject_CallFunctionObjArgs(assign_target, name, value, NULL);
	Py_XDECREF(done);
	return done ? 0 : -1;
}

/* All are held: what is replaced may have a finalizer, and an assignment target is any code. */
static int assign_all(PyObject *namespace, PyObject *names)
{
	PyObject *name, *value;
	Py_ssize_t at = 0;
	int rc = 0;

	while (rc == 0 && PyDict_Next(names, &at, &name, &value)) {
		Py_INCREF(name);
		Py_INCREF(value);
		rc = assign(namespace, name, value);
		Py_DECREF(value);
		Py_DECREF(name);
	}
	return rc;
}

static PyObject *push(PyObject *self, PyObject *names)
{
	PyObject *namespace;
	int rc;

	(void)self;
	if (!PyDict_Check(names))
		return PyErr_Format(PyExc_TypeError, "push takes a dict, not %R", names);
	namespace = px_namespace();
	if (!namespace)
		return NULL;
	rc = assign_all(namespace, names);
	Py_DECREF(namespace);
	if (rc < 0)
		return NULL;
	PX_RETURN_NONE;
}

static PyObject *pull(PyObject *self, PyObject *names)
{
	static PyObject *evaluate;
	PyObject *namespace = px_namespace(), *value;

	(void)self;
	if (!namespace)
		return NULL;
	value = PyUnicode_Check(names) ? PyDict_GetItemWithError(namespace, names) : NULL;
	Py_XINCREF(value);
	Py_DECREF(namespace);
	if (value || PyErr_Occurred())
		return value;
	return of_calls(&evaluate, "evaluate") ?
		       PyObject_CallFunctionObjArgs(evaluate, names, NULL) :
		       NULL;
}

static PyMethodDef functions[] = {
	{ "push", push, METH_O,
	  "push(namespace)\n\nAssigns each value on the engine; a key may be any assignment target, ``a.b`` or "
	  "``d['k']``." },
	{ "pull", pull, METH_O,
	  "pull(names)\n\nThe engine's value of a name or expression, or of a list of them." },
	{ NULL, NULL, 0, NULL },
};

int px_add_namespace(PyObject *module)
{
	main_name = PyUnicode_InternFromString("__main__");
	return main_name ? PyModule_AddFunctions(module, functions) : -1;
}
