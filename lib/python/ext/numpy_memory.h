/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * numpy_memory.h - what pxrun._numpy, built apart for numpy's own C interface, needs of pxrun._pxrun.
 *
 * A capsule of this name stands in pxrun._pxrun as `memory`. All functions may be called by any
 * thread, with the interpreter's lock or without, and in forked children.
 */
#ifndef PX_NUMPY_MEMORY_H
#define PX_NUMPY_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define PX_MEMORY_CAPSULE "pxrun._pxrun.memory"

struct px_memory_api {
	/* Shared memory of the engine that this process is; NULL: it is none, or there is no more. */
	void *(*get)(size_t bytes);
	/* Its size, 0 if it did not come from get(). */
	size_t (*size_of)(const void *at);
	/* Gives it back. */
	void (*put)(void *at);
};

#endif
