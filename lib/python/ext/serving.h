/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serving.h - the engine that this process is, if it is one: for calls from the code of requests.
 *
 * Who:     any thread of the engine.
 * Where:   a pointer in the extension, set while px_engine_serve() runs.
 */
#ifndef PX_EXT_SERVING_H
#define PX_EXT_SERVING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "engine/loop.h"

/* NULL: this process is no engine, or a child that a request forked. */
struct px_engine_process *px_serving(void);
/* The same, but not NULL in such a child, which still has the engine's memory. */
struct px_engine_process *px_serving_once(void);

/* engine_memory.c */
int px_add_engine_memory(PyObject *module);

#endif
