/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * library.h - the shared objects that an engine has loaded, and their functions.
 *
 * Who:     the engine's main thread.
 * Where:   private memory.
 * Blocks:  px_libraries_find() while a file is loaded for the first time.
 * Death:   of the engine: the next one begins with none, and requests say what is to be loaded.
 *
 * A function is found by the key that requests have, in a hash table. Libraries are never closed: code of
 * theirs may be anywhere, in threads and in handlers.
 */
#ifndef PX_LIBRARY_H
#define PX_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

#include "client/pxrun_native.h"
#include "link/native_call.h"

struct px_function {
	uint64_t key;
	px_native_fn *run; /* NULL: an empty entry of the table */
	void *names;       /* what follows struct px_native_call: path and name */
	uint64_t names_bytes;
	struct px_file_identity file;
	const char *path, *symbol; /* in names */
};

struct px_libraries {
	struct px_object *first;
	struct px_function **table; /* of a size that is a power of two; NULL: empty */
	uint32_t size, count;
};

/*
 * The function that a request is about, loading its library if need be; of PX_NATIVE_LOAD no function.
 * names: path and name, as they came. PX_ECORRUPT: they are not whole. PX_EINVAL: in words, the file
 * cannot be loaded, is another one by now, or has no such function. PX_ENOMEM.
 */
int px_libraries_find(struct px_libraries *libraries, const struct px_native_call *call,
		      const char *names, const struct px_function **out);

#endif
