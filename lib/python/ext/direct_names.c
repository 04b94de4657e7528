/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * direct_names.c - push, pull and view[name] of a DirectView: calls of push() and pull() of engine/calls.py.
 */
#include "python/ext/direct.h"

#include "python/ext/object.h"

/*
 * Functions of engine/calls.py; names of methods, of which those with an underscore do it in Python; and
 * {"block": True}.
 */
static struct {
	PyObject *push, *pull;
	PyObject *push_name, *pull_name, *get_name, *push_in_python, *pull_in_python;
	PyObject *waiting;
} known;

static bool is_set_up(void)
{
	PyObject *calls;

	if (known.waiting)
		return true;
	calls = PyImport_ImportModule("pxrun.engine.calls");
	if (!calls)
		return false;
	known.push = PyObject_GetAttrString(calls, "push");
	known.pull = PyObject_GetAttrString(calls, "pull");
	known.push_name = PyUnicode_InternFromString("push");
	known.pull_name = PyUnicode_InternFromString("pull");
	known.get_name = PyUnicode_InternFromString("get");
	known.push_in_python = PyUnicode_InternFromString("_push");
	known.pull_in_python = PyUnicode_InternFromString("_pull");
	Py_DECREF(calls);
	if (known.push && known.pull && known.push_name && known.pull_name && known.get_name &&
	    known.push_in_python && known.pull_in_python)
		known.waiting = Py_BuildValue("{sO}", "block", Py_True);
	return known.waiting;
}

/* How a call goes: px_direct_run(), px_direct_start(), or NULL: neither. */
typedef bool way(struct px_direct *view, PyObject *function, const struct px_flat *flat,
		 PyObject **value);

/* Of one with one argument, and perhaps block. */
static way *way_of(const struct px_direct *view, PyObject *const *args, Py_ssize_t count,
		   PyObject *keywords)
{
	Py_ssize_t named = keywords ? PyTuple_Size(keywords) : 0;
	PyObject *block = view->block;

	if (count != 1 || named > 1 ||
	    (named && PyUnicode_CompareWithASCIIString(PyTuple_GetItem(keywords, 0), "block") != 0))
		return NULL;
	if (named && args[1] != Py_None)
		block = args[1];
	return block == Py_True ? px_direct_run : block == Py_False ? px_direct_start : NULL;
}

/* function(argument). false: in the other way; or there is an exception. */
static bool call(struct px_direct *view, PyObject *function, PyObject *argument, way *go,
		 PyObject **value)
{
	struct px_flat flat;
	bool done;

	px_flat_begin(&flat);
	done = go && px_direct_is_plain(view) && px_direct_begin(view, &flat, function) &&
	       px_flat_count(&flat, 't', 1) && px_flat_write(&flat, argument) &&
	       go(view, function, &flat, value);
	px_flat_end(&flat);
	return done;
}

/* All arguments, to a method that takes them as the one that was called does. */
static PyObject *pass_on(PyObject *self, PyObject *method, PyObject *const *args, Py_ssize_t count,
			 PyObject *keywords)
{
	PyObject *tuple = px_tuple_of(args, count);
	PyObject *dict = tuple ? px_dict_of(keywords, args + count) : NULL;
	PyObject *bound = dict ? PyObject_GetAttr(self, method) : NULL;
	PyObject *value = bound ? PyObject_Call(bound, tuple, dict) : NULL;

	Py_XDECREF(bound);
	Py_XDECREF(dict);
	Py_XDECREF(tuple);
	return value;
}

/* Whether it is a dict all of whose keys are names. */
static bool is_namespace(PyObject *ns)
{
	PyObject *key, *value;
	Py_ssize_t at = 0;

	if (!PyDict_CheckExact(ns))
		return false;
	while (PyDict_Next(ns, &at, &key, &value))
		if (!PyUnicode_CheckExact(key))
			return false;
	return true;
}

PyObject *px_direct_push(PyObject *self, PyObject *const *args, Py_ssize_t count,
			 PyObject *keywords)
{
	struct px_direct *view = (struct px_direct *)self;
	PyObject *value = NULL;

	if (!is_set_up())
		return NULL;
	if (count == 1 && is_namespace(args[0]) &&
	    call(view, known.push, args[0], way_of(view, args, count, keywords), &value))
		return value;
	if (PyErr_Occurred())
		return NULL;
	return pass_on(self, known.push_in_python, args, count, keywords);
}

PyObject *px_direct_pull(PyObject *self, PyObject *const *args, Py_ssize_t count,
			 PyObject *keywords)
{
	struct px_direct *view = (struct px_direct *)self;
	PyObject *value = NULL;

	if (!is_set_up())
		return NULL;
	if (count == 1 && PyUnicode_CheckExact(args[0]) &&
	    call(view, known.pull, args[0], way_of(view, args, count, keywords), &value))
		return value;
	if (PyErr_Occurred())
		return NULL;
	return pass_on(self, known.pull_in_python, args, count, keywords);
}

/* By the view's own methods, which a subclass may have replaced. */
static PyObject *pull_waiting(PyObject *self, PyObject *key)
{
	PyObject *method = PyObject_GetAttr(self, known.pull_name);
	PyObject *tuple = method ? PyTuple_Pack(1, key) : NULL, *value = NULL;

	if (tuple)
		value = PyObject_Call(method, tuple, known.waiting);
	Py_XDECREF(tuple);
	Py_XDECREF(method);
	return value;
}

PyObject *px_direct_get(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
	Py_ssize_t named = keywords ? PyTuple_Size(keywords) : 0;

	if (count + named != 1 ||
	    (named && PyUnicode_CompareWithASCIIString(PyTuple_GetItem(keywords, 0), "key") != 0)) {
		PyErr_SetString(PyExc_TypeError, "get() takes one argument, key");
		return NULL;
	}
	return is_set_up() ? pull_waiting(self, args[0]) : NULL;
}

PyObject *px_direct_item(PyObject *self, PyObject *key)
{
	return is_set_up() ? PyObject_CallMethodObjArgs(self, known.get_name, key, NULL) : NULL;
}

int px_direct_set(PyObject *self, PyObject *key, PyObject *value)
{
	PyObject *ns, *done = NULL;

	if (!value) {
		PyErr_SetString(PyExc_TypeError, "a name is deleted by view.execute(\"del NAME\")");
		return -1;
	}
	ns = is_set_up() ? PyDict_New() : NULL;
	if (ns && PyDict_SetItem(ns, key, value) == 0)
		done = PyObject_CallMethodObjArgs(self, known.push_name, ns, NULL);
	Py_XDECREF(ns);
	Py_XDECREF(done);
	return done ? 0 : -1;
}
