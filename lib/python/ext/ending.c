/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ending.c - how an engine ends: by exit(3), for libraries may have registered something with
 * atexit(3), and yet of the signal that it was sent.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "python/ext/module.h"
#include "python/ext/object.h"

static pid_t ends_by_signal; /* the pid of the process that is to end so; 0: none */

static void end_by_signal(void)
{
	if (ends_by_signal != getpid())
		return;
	(void)fflush(NULL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)kill(getpid(), SIGTERM);
}

static PyObject *prepare_end(PyObject *self, PyObject *unused)
{
	(void)self, (void)unused;
	if (atexit(end_by_signal) != 0)
		return PyErr_NoMemory();
	PX_RETURN_NONE;
}

static PyObject *end(PyObject *self, PyObject *code)
{
	(void)self;
	if (code == Py_None)
		ends_by_signal = getpid();
	exit(code == Py_None ? EXIT_FAILURE : (int)PyLong_AsLong(code));
}

static PyMethodDef functions[] = {
	{ "prepare_end", prepare_end, METH_NOARGS,
	  "prepare_end()\n\nTo be called before other libraries are loaded: end() then does its part after "
	  "theirs." },
	{ "end", end, METH_O, "end(code)\n\nEnds the process; with None as its code by SIGTERM." },
	{ NULL, NULL, 0, NULL },
};

int px_add_ending(PyObject *module)
{
	return PyModule_AddFunctions(module, functions);
}
