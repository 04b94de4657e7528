/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * numpy_memory.h - what pxrun._numpy, a module of its own, uses of pxrun._pxrun.
 *
 * Who:     any thread, with the interpreter's lock or without, and in forked children.
 * Where:   the capsule pxrun._pxrun.memory has these functions.
 * Blocks:  get(), while the supervisor grants an extent.
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
