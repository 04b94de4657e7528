/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * running.h - runs requests in Python: what the engine's loop calls for each.
 *
 * Who:     the engine's main thread, with the interpreter's lock.
 * Where:   what it needs of the package is fetched once, into a px_interpreter.
 * Blocks:  as long as the request runs.
 * Death:   a child that user code forked, and that returns from the request, ends here.
 */
#ifndef PX_EXT_RUNNING_H
#define PX_EXT_RUNNING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <time.h>

#include "engine/loop.h"
#include "python/ext/flat.h"
#include "python/ext/pyvalues.h"

struct px_interpreter {
	PyObject *loads;             /* pickle.loads */
	PyObject *buffers;           /* "buffers", its keyword */
	PyObject *unreadable;        /* (exception): raises the error that the client gets */
	PyObject *dumps;             /* result -> (body, buffers) */
	PyObject *execute;           /* (code, silent) -> body */
	PyObject *resolve;           /* "module:function" -> callable */
	PyObject *push, *pull, *map; /* (name, value), (name) */
	PyObject *autoreload; /* (): once a second, before a request: what is to be reloaded */
	PyObject *tell;       /* (): once a second, after one: modules that were edited */
	PyObject *failure;    /* (exception, method) -> (body, whether it is an UnmetDependency) */
	PyObject *forked;     /* (exception or None): ends a child that returned from the request */
	PyObject *flush;      /* "flush" */
	PyObject *functions;  /* resolved before: str -> callable */
	PyObject *names;      /* split before: b"module\nname" -> (module, name) */
	PyObject *codes;      /* made before: bytes -> code */
	PyObject *code_of;    /* bytes -> code */
	PyObject *globals_of; /* module's name -> dict */
	PyObject *take_along; /* (bundle): puts names into the namespace */
	PyObject *function;   /* types.FunctionType */
	PyObject *kept;       /* token -> what clients had this engine keep */
	PyObject *keep_pickled; /* (token, pickle): reads and keeps it */
	PyObject *after;        /* (): called at the end of a request; NULL: nothing is */
	struct px_value_hooks hooks;
	struct px_engine_process *engine;
	PyThreadState *thread;
	struct px_flat
		flat;  /* the last reply, until it is sent; then its memory is there for the next */
	time_t looked; /* when these two were called last */
};

/* As `run` of struct px_engine_process; ctx is a px_interpreter. */
void px_run_request(void *ctx, struct px_incoming *request, struct px_reply *reply);

#endif
