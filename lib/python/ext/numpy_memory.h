/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * numpy_memory.h - memory of an engine for numpy's arrays.
 *
 * Who:     any thread, with the interpreter's lock or without, and in forked children.
 * Blocks:  px_numpy_get(), while the supervisor grants an extent.
 */
#ifndef PX_NUMPY_MEMORY_H
#define PX_NUMPY_MEMORY_H

#include <stddef.h>

/* Shared memory of the engine that this process is; NULL: it is none, or there is no more. */
void *px_numpy_get(size_t bytes);
/* Its size, 0 if it did not come from px_numpy_get(). */
size_t px_numpy_size_of(const void *at);
/* Gives it back. */
void px_numpy_put(void *at);

#endif
