/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serving.h - the engine that this process is, for what a request's code asks of it.
 */
#ifndef PX_EXT_SERVING_H
#define PX_EXT_SERVING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "engine/loop.h"

/* NULL: none, or it was, and this is a child that a request forked. */
struct px_engine_process *px_serving(void);
/* The same, but in such a child too: of its memory it has a copy. */
struct px_engine_process *px_serving_once(void);

/* engine_memory.c */
int px_add_engine_memory(PyObject *module);

#endif
