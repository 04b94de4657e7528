/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool.c - functions of the extension that start, attach to and stop pools, over client/start.h.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <unistd.h>

#include "client/start.h"

#include "client/client.h"
#include "python/ext/client.h"
#include "python/ext/module.h"
#include "python/ext/object.h"
#include "python/ext/waiting.h"
#include "shm/error.h"

/* --- settings --- */

/* Sets one. Returns 0; negative, and an exception, if there is none of that name or it must not be that. */
static int take_setting(PyObject *name, PyObject *value, struct px_settings *settings)
{
	const char *keyword = PyUnicode_AsUTF8AndSize(name, NULL);
	const char *text = keyword ? PyUnicode_AsUTF8AndSize(value, NULL) : NULL;
	enum px_setting_id id;
	int rc;

	if (!text)
		return -1;
	id = px_settings_find(keyword, PX_OF_PYTHON);
	if (id == PX_SETTINGS) {
		(void)px_settings_unknown("Cluster has no setting", "setting", keyword,
					  PX_OF_PYTHON);
		PyErr_SetString(PyExc_TypeError, px_last_error());
		return -1;
	}
	rc = px_settings_set(settings, id, PX_FROM_OPTION, keyword, text);
	if (rc < 0)
		px_raise(rc);
	return rc;
}

/* Of a dictionary of texts. Returns 0; or -1 and an exception. */
static int take_settings(PyObject *dictionary, struct px_settings *settings)
{
	PyObject *name, *value;
	Py_ssize_t at = 0;
	int rc = 0;

	px_settings_init(settings);
	while (rc == 0 && PyDict_Next(dictionary, &at, &name, &value))
		rc = take_setting(name, value, settings);
	if (rc < 0)
		px_settings_clear(settings);
	return rc < 0 ? -1 : 0;
}

static PyObject *check_settings(PyObject *module, PyObject *args)
{
	struct px_settings settings;
	PyObject *dictionary;

	(void)module;
	if (!PyArg_ParseTuple(args, "O!", &PyDict_Type, &dictionary) ||
	    take_settings(dictionary, &settings) < 0)
		return NULL;
	px_settings_clear(&settings);
	PX_RETURN_NONE;
}

static PyObject *words_of(const struct px_setting *row)
{
	PyObject *list = PyList_New(0);

	for (unsigned i = 0; list && row->words[i]; i++) {
		PyObject *word = PyUnicode_FromString(row->words[i]);

		if (!word || PyList_Append(list, word) < 0)
			Py_CLEAR(list);
		Py_XDECREF(word);
	}
	return list;
}

static PyObject *describe(const struct px_setting *row)
{
	static const char *const types[] = {
		[PX_TYPE_COUNT] = "count",     [PX_TYPE_SIZE] = "size",
		[PX_TYPE_WORD] = "word",       [PX_TYPE_FLAG] = "flag",
		[PX_TYPE_PROGRAM] = "program", [PX_TYPE_MODULES] = "modules",
		[PX_TYPE_FOLDERS] = "folders", [PX_TYPE_VARIABLES] = "variables",
		[PX_TYPE_FILE] = "file",       [PX_TYPE_COMMAND] = "command",
		[PX_TYPE_WORDS] = "arguments",
	};
	char option[PX_SETTING_NAME_BYTES], letter[3] = { '-', row->letter };
	bool command = row->who & (PX_OF_START | PX_OF_RUN);

	return Py_BuildValue("{s:s,s:N,s:z,s:z,s:O,s:z,s:z,s:z,s:s,s:z,s:z}", "type",
			     types[row->type], "words", words_of(row), "key",
			     row->who & PX_OF_PROFILE ? row->name : NULL, "option",
			     command ? px_setting_option(row, option) : NULL, "run",
			     row->who & PX_OF_RUN ? Py_True : Py_False, "letter",
			     row->letter ? letter : NULL, "variable", row->variable, "keyword",
			     row->who & PX_OF_PYTHON ? px_setting_keyword(row) : NULL, "name",
			     row->name, "default", px_setting_preset(row), "help", row->help);
}

static PyObject *settings(PyObject *module, PyObject *none)
{
	PyObject *list = PyList_New(0);

	(void)module;
	(void)none;
	for (unsigned id = 0; list && id < PX_SETTINGS; id++) {
		PyObject *row = describe(&px_settings_table[id]);

		if (!row || PyList_Append(list, row) < 0)
			Py_CLEAR(list);
		Py_XDECREF(row);
	}
	return list;
}

/* --- pools --- */

/* Without the interpreter's lock: whether a signal's handler has raised. */
static int look_at_signals(void)
{
	PyGILState_STATE state = PyGILState_Ensure();
	int raised = PyErr_CheckSignals();

	PyGILState_Release(state);
	return raised ? PX_EINTR : 0;
}

static int do_not_wait(void)
{
	return PX_EINTR;
}

/* Waits for the engines, and has `meanwhile` called at the same time. Ends the launch. */
static PyObject *await_launch(struct px_launch *launch, PyObject *meanwhile)
{
	PyObject *done = PyObject_CallNoArgs(meanwhile);
	PyObject *object, *both;
	struct px_client *client;
	int rc, owner;

	launch->give_up = done ? look_at_signals : do_not_wait;
	Py_BEGIN_ALLOW_THREADS
	rc = px_pool_launched(launch, &client);
	Py_END_ALLOW_THREADS
	if (!done)
		return NULL;
	Py_DECREF(done);
	if (rc < 0)
		return PyErr_Occurred() ? NULL : px_raise(rc);
	owner = px_client_give_pool(client);
	object = px_client_object(client);
	both = object ? Py_BuildValue("Nis", object, owner, launch->warnings) : NULL;
	if (!both && owner >= 0)
		close(owner);
	return both;
}

static PyObject *start(PyObject *module, PyObject *args)
{
	PyObject *dictionary, *meanwhile;
	const char *profile, *sys_path, *python;
	struct px_settings settings;
	struct px_launch launch;
	int empty, rc;

	(void)module;
	if (!PyArg_ParseTuple(args, "O!sszpO", &PyDict_Type, &dictionary, &profile, &sys_path,
			      &python, &empty, &meanwhile) ||
	    take_settings(dictionary, &settings) < 0)
		return NULL;
	rc = px_settings_set(&settings, PX_SETTING_SYS_PATH, PX_FROM_OPTION, "sys_path", sys_path);
	Py_BEGIN_ALLOW_THREADS
	if (rc == 0)
		rc = px_pool_launch(&settings, profile, NULL, python, empty, 0, &launch);
	px_settings_clear(&settings);
	Py_END_ALLOW_THREADS
	return rc < 0 ? px_raise(rc) : await_launch(&launch, meanwhile);
}

static PyObject *attach(PyObject *module, PyObject *args)
{
	struct px_client *client;
	const char *profile;
	PyObject *timeout;
	uint64_t ns;
	int rc;

	(void)module;
	if (!PyArg_ParseTuple(args, "zO", &profile, &timeout) || px_timeout(timeout, &ns) < 0)
		return NULL;
	ASK(px_client_attach_within(profile, ns, &client));
	return px_client_object(client);
}

static PyObject *stop(PyObject *module, PyObject *args)
{
	PyObject *timeout;
	const char *profile;
	uint64_t ns;
	int rc;

	(void)module;
	if (!PyArg_ParseTuple(args, "zO", &profile, &timeout) || px_timeout(timeout, &ns) < 0)
		return NULL;
	ASK(px_pool_stop(profile, ns));
	PX_RETURN_NONE;
}

/* Adds the name of a pool that runs to a list. Returns -1 and an exception if it cannot. */
static int add_pool(void *ctx, const struct px_runtime *runtime)
{
	PyObject *name;
	int rc;

	if (!px_runtime_alive(runtime))
		return 0;
	name = PyUnicode_FromString(runtime->profile);
	rc = name ? PyList_Append(ctx, name) : -1;
	Py_XDECREF(name);
	return rc;
}

static PyObject *pools(PyObject *module, PyObject *none)
{
	PyObject *list = PyList_New(0);
	int rc;

	(void)module;
	(void)none;
	rc = list ? px_runtime_list(add_pool, list) : -1;
	if (rc == 0)
		return list;
	Py_XDECREF(list);
	return PyErr_Occurred() ? NULL : px_raise(rc);
}

static PyMethodDef functions[] = {
	{ "settings", settings, METH_NOARGS,
	  "settings() -> list\n\nThe table of settings: lib/pool/settings.h." },
	{ "check_settings", check_settings, METH_VARARGS,
	  "check_settings(dict)\n\nRaises what start() would, for a dictionary of texts by keyword." },
	{ "start", start, METH_VARARGS,
	  "start(settings, profile, sys_path, python, empty, meanwhile) -> (Client, descriptor)\n\nStarts a "
	  "pool, empty or with its engines, and attaches to it; see px_pool_start() in pxrun.h. "
	  "python: of this process, for engines where no setting names one; None. meanwhile() is called while the engines start. A private pool ends when the descriptor "
	  "is closed; else it is -1." },
	{ "pools", pools, METH_NOARGS, "pools() -> list\n\nNames of this user's pools that run." },
	{ "attach", attach, METH_VARARGS,
	  "attach(profile or connection file, timeout) -> Client\n\ntimeout: seconds for the "
	  "supervisor to answer; 0: as many as it should ever need." },
	{ "stop", stop, METH_VARARGS, "stop(profile, timeout)" },
	{ NULL, NULL, 0, NULL },
};

int px_add_pool(PyObject *module)
{
	return PyModule_AddFunctions(module, functions);
}
