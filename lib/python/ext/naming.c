/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * naming.c - see naming.h.
 *
 * by_name() of wire/pickling.py finds out how a function is sent; what it found is kept for the next call,
 * in a table by address. That the module still has this function under this name is looked up each time, and so
 * is whether cloudpickle was told to send some modules by value.
 */
#include "python/ext/naming.h"

#include <stdbool.h>
#include <stdint.h>

#define PLACES 256

static struct named {
	const void *function, *module; /* addresses, not held: what they name is looked up again */
	PyObject *home, *name;         /* str */
	PyObject *head;                /* bytes; NULL: the place is free */
} places[PLACES];

static struct {
	PyObject *by_name, *named, *value_head; /* of wire/pickling.py and wire/frames.py */
	PyObject *cloudpickle;                  /* its name, as a str */
} known;

static PyObject *attribute_of_module(const char *module, const char *name)
{
	PyObject *imported = PyImport_ImportModule(module), *found = NULL;

	if (imported)
		found = PyObject_GetAttrString(imported, name);
	Py_XDECREF(imported);
	return found;
}

static bool is_set_up(void)
{
	if (known.cloudpickle)
		return true;
	known.by_name = attribute_of_module("pxrun.wire.pickling", "by_name");
	known.named = attribute_of_module("pxrun.wire.frames", "named");
	known.value_head = attribute_of_module("pxrun.wire.pickling", "value_head");
	if (known.by_name && known.named && known.value_head)
		known.cloudpickle = PyUnicode_InternFromString("cloudpickle");
	return known.cloudpickle;
}

/* sys.modules[name], borrowed; NULL: there is none. PyImport_GetModule() takes four times as long. */
static PyObject *module_named(PyObject *name)
{
	return PyDict_GetItemWithError(PyImport_GetModuleDict(), name);
}

/* Whether cloudpickle may have been told to send modules by value (register_pickle_by_value), or an exception. */
static bool may_go_by_value(void)
{
	PyObject *module = module_named(known.cloudpickle), *registry, *names;
	bool empty;

	if (!module)
		return PyErr_Occurred();
	registry = PyObject_GetAttrString(module, "list_registry_pickle_by_value");
	if (!registry && PyErr_ExceptionMatches(PyExc_AttributeError)) {
		PyErr_Clear(); /* another thread is just importing it */
		return false;
	}
	names = registry ? PyObject_CallNoArgs(registry) : NULL;
	empty = names && PyObject_Size(names) == 0;
	Py_XDECREF(names);
	Py_XDECREF(registry);
	return !empty;
}

/* Whether a module of that name has the function under that name; and it is the module of that address, unless NULL. */
static bool still_has(PyObject *home, PyObject *name, const void *function, const void **module)
{
	PyObject *imported = module_named(home), *found = NULL;

	if (imported && PyModule_Check(imported) && (!*module || imported == *module)) {
		found = PyDict_GetItemWithError(PyModule_GetDict(imported), name);
		*module = imported;
	}
	return found && found == function;
}

static struct named *place_of(const void *function)
{
	uintptr_t address = (uintptr_t)function;

	return &places[(address >> 4 ^ address >> 12) % PLACES];
}

static void empty(struct named *place)
{
	Py_CLEAR(place->home);
	Py_CLEAR(place->name);
	Py_CLEAR(place->head);
}

/* Asks the package, and keeps what it says. Borrowed, or NULL. */
static PyObject *find_out(PyObject *function, struct named *place)
{
	PyObject *pair = PyObject_CallFunctionObjArgs(known.by_name, function, NULL);
	PyObject *home, *name, *head = NULL;
	const void *module = NULL;

	if (pair && pair != Py_None && PyArg_ParseTuple(pair, "UU", &home, &name) &&
	    still_has(home, name, function, &module))
		head = PyObject_CallFunctionObjArgs(known.named, home, name, NULL);
	if (head) {
		empty(place);
		place->home = Py_NewRef(home);
		place->name = Py_NewRef(name);
		place->head = head;
		place->function = function;
		place->module = module;
	}
	Py_XDECREF(pair);
	return head;
}

PyObject *px_name_head(PyObject *function)
{
	struct named *place = place_of(function);
	PyObject *head = NULL;

	if (PyCallable_Check(function) && is_set_up() && !may_go_by_value()) {
		if (place->head && place->function == function &&
		    still_has(place->home, place->name, function, &place->module))
			head = place->head;
		else if (!PyErr_Occurred())
			head = find_out(function, place);
	}
	return head;
}

PyObject *px_value_head(PyObject *function, PyObject *bring)
{
	PyObject *head = NULL;

	if (PyCallable_Check(function) && is_set_up())
		head = PyObject_CallFunctionObjArgs(known.value_head, function, bring, NULL);
	if (head == Py_None)
		Py_CLEAR(head);
	return head;
}
