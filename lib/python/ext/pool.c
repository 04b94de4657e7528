/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool.c - functions of the extension that start, attach to and stop pools, over client/start.h.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "client/start.h"

#include "client/client.h"
#include "python/ext/client.h"
#include "python/ext/module.h"
#include "python/ext/object.h"
#include "python/ext/result.h"
#include "shm/error.h"

static PyObject *start(PyObject *module, PyObject *args, PyObject *keywords)
{
	static char *names[] = { "profile", "engines",    "arena",    "restart", "event_loop",
				 "python",  "preload",    "sys_path", "command", "meanwhile",
				 "quota",   "huge_pages", NULL };
	struct px_pool_options options = PX_POOL_OPTIONS;
	struct px_client *client;
	struct px_launch launch;
	unsigned long long arena = 0, quota = 0;
	PyObject *meanwhile = Py_None, *done = NULL;
	int rc;

	(void)module;
	if (!PyArg_ParseTupleAndKeywords(args, keywords, "|zIKzzzzzzOKz", names, &options.profile,
					 &options.engines, &arena, &options.restart,
					 &options.event_loop, &options.python, &options.preload,
					 &options.sys_path, &options.command, &meanwhile, &quota,
					 &options.huge_pages))
		return NULL;
	options.arena_bytes = arena;
	options.quota_bytes = quota;
	ASK(px_pool_launch(&options, &launch));
	if (meanwhile != Py_None) {
		done = PyObject_CallNoArgs(meanwhile);
		Py_XDECREF(done);
	}
	Py_BEGIN_ALLOW_THREADS
	rc = px_pool_launched(&launch, &client);
	if (rc == 0 && meanwhile != Py_None && !done)
		px_client_detach(client);
	Py_END_ALLOW_THREADS
	if (meanwhile != Py_None && !done)
		return NULL;
	return rc < 0 ? px_raise(rc) : px_client_object(client);
}

static PyObject *attach(PyObject *module, PyObject *args)
{
	struct px_client *client;
	const char *profile;
	int rc;

	(void)module;
	if (!PyArg_ParseTuple(args, "z", &profile))
		return NULL;
	ASK(px_client_attach(profile, &client));
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
	Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
	{ "start", (PyCFunction)(void (*)(void))start, METH_VARARGS | METH_KEYWORDS,
	  "start(profile, engines, arena, restart, event_loop, python, preload, sys_path, command, "
	  "meanwhile, quota, huge_pages) -> Client\n\nStarts a pool and attaches to it; see px_pool_start() in pxrun.h. "
	  "meanwhile() is called while the engines start." },
	{ "attach", attach, METH_VARARGS, "attach(profile or connection file) -> Client" },
	{ "stop", stop, METH_VARARGS, "stop(profile, timeout)" },
	{ NULL, NULL, 0, NULL },
};

int px_add_pool(PyObject *module)
{
	return PyModule_AddFunctions(module, functions);
}
