/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * library.c - opens shared objects and finds functions in them.
 */
#include "engine/library.h"

#include <assert.h>
#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/error.h"

struct px_object {
	struct px_object *next;
	struct px_file_identity file;
	void *handle;
	char path[];
};

#define CHANGED                                                                                    \
	"an engine keeps what it has loaded, so load the new one under another name, or restart the engines"

/* --- files --- */

static bool is_same(const struct px_file_identity *a, const struct px_file_identity *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/*
 * Whether what dlopen(3) gave is a file that has been replaced since: it knows libraries by their names
 * first, so somebody else in this process may have loaded the one that was there before.
 */
static bool is_deleted(void *handle)
{
	struct link_map *map = NULL;
	unsigned long from, to, at;
	char line[4200];
	bool deleted = false;
	FILE *maps;

	if (dlinfo(handle, RTLD_DI_LINKMAP, &map) < 0 || !map)
		return false;
	at = (unsigned long)(uintptr_t)map->l_ld;
	maps = fopen("/proc/self/maps", "re");
	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from <= at && at < to)
			deleted = strstr(line, " (deleted)\n") != NULL;
	if (maps)
		fclose(maps);
	return deleted;
}

/* Opens a file that this engine has not opened under this path. */
static int open_library(const struct px_native_call *call, const char *path, void **out)
{
	struct px_file_identity now;
	void *handle;
	int rc = px_file_identify(path, &now);

	if (rc < 0)
		return px_fail(PX_EINVAL, "this engine cannot load %s", px_last_error());
	if (!is_same(&now, &call->file))
		return px_fail(PX_EINVAL,
			       "%s has been changed since px_library_load(): load it again", path);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return px_fail(PX_EINVAL, "this engine cannot load %s", dlerror());
	if (is_deleted(handle))
		return px_fail(
			PX_EINVAL,
			"this engine had loaded an older %s, which has been replaced: " CHANGED,
			path);
	/* It may have been replaced as it was opened. */
	rc = px_file_identify(path, &now);
	if (rc < 0 || !is_same(&now, &call->file))
		return px_fail(PX_EINVAL, "%s was changed while it was loaded: " CHANGED, path);
	*out = handle;
	return 0;
}

static int get_library(struct px_libraries *libraries, const struct px_native_call *call,
		       const char *path, struct px_object **out)
{
	struct px_object *library = libraries->first;
	int rc;

	while (library && strcmp(library->path, path))
		library = library->next;
	if (library && !is_same(&library->file, &call->file))
		return px_fail(PX_EINVAL,
			       "this engine has loaded another %s, before it was changed: " CHANGED,
			       path);
	if (!library) {
		library = malloc(sizeof(*library) + call->path_bytes);
		if (!library)
			return px_fail(PX_ENOMEM, "no private memory for a library");
		rc = open_library(call, path, &library->handle);
		if (rc < 0) {
			free(library);
			return rc;
		}
		library->file = call->file;
		memcpy(library->path, path, call->path_bytes);
		library->next = libraries->first;
		libraries->first = library;
	}
	*out = library;
	return 0;
}

/* --- functions --- */

/* The key is one of 64 bits of the names, so these, which lie farther away, are not read. */
static bool is_it(const struct px_function *function, const struct px_native_call *call,
		  uint64_t names_bytes)
{
	return function->key == call->key && function->names_bytes == names_bytes &&
	       is_same(&function->file, &call->file);
}

static int grow(struct px_libraries *libraries)
{
	uint32_t size = libraries->size ? 2 * libraries->size : 64;
	struct px_function **table = calloc(size, sizeof(struct px_function *));

	if (!table)
		return px_fail(PX_ENOMEM, "no private memory for a table of functions");
	for (uint32_t i = 0; i < libraries->size; i++) {
		struct px_function *function = libraries->table[i];
		uint32_t at = function ? (uint32_t)function->key & (size - 1) : 0;

		while (function && table[at])
			at = (at + 1) & (size - 1);
		if (function)
			table[at] = function;
	}
	free(libraries->table);
	libraries->table = table;
	libraries->size = size;
	return 0;
}

static int add(struct px_libraries *libraries, const struct px_native_call *call, const char *names,
	       uint64_t names_bytes, px_native_fn *run, const struct px_function **out)
{
	struct px_function *function;
	uint32_t at;
	int rc = 2 * (libraries->count + 1) > libraries->size ? grow(libraries) : 0;

	if (rc < 0)
		return rc;
	function = malloc(sizeof(*function) + names_bytes);
	if (!function)
		return px_fail(PX_ENOMEM, "no private memory for a function");
	*function = (struct px_function){ .key = call->key,
					  .run = run,
					  .names = function + 1,
					  .names_bytes = names_bytes,
					  .file = call->file };
	memcpy(function->names, names, names_bytes);
	function->path = function->names;
	function->symbol = function->path + call->path_bytes;
	at = (uint32_t)call->key & (libraries->size - 1);
	while (libraries->table[at])
		at = (at + 1) & (libraries->size - 1);
	libraries->table[at] = function;
	libraries->count++;
	*out = function;
	return 0;
}

static bool are_names(const struct px_native_call *call, const char *names, uint64_t names_bytes)
{
	return call->path_bytes && !names[call->path_bytes - 1] &&
	       (call->symbol_bytes ? !names[names_bytes - 1] : call->what == PX_NATIVE_LOAD);
}

/* Of names that nobody else can write to. */
static int learn(struct px_libraries *libraries, const struct px_native_call *call,
		 const char *names, uint64_t names_bytes, const struct px_function **out)
{
	const char *symbol = names + call->path_bytes;
	struct px_object *library = NULL;
	void *run;
	int rc;

	if (!are_names(call, names, names_bytes))
		return px_fail(PX_ECORRUPT, "a native call has no names");
	rc = get_library(libraries, call, names, &library);
	if (rc < 0 || call->what == PX_NATIVE_LOAD)
		return rc;
	assert(library);
	run = dlsym(library->handle, symbol);
	if (!run)
		return px_fail(PX_EINVAL,
			       "%s has no function %s: is it spelt so, visible, and of C: extern "
			       "\"C\" or bind(c)?",
			       names, symbol);
	/* POSIX: a pointer from dlsym() can be made one to a function. */
	return add(libraries, call, names, names_bytes, (px_native_fn *)(uintptr_t)run, out);
}

int px_libraries_find(struct px_libraries *libraries, const struct px_native_call *call,
		      const char *names, const struct px_function **out)
{
	uint64_t names_bytes = (uint64_t)call->path_bytes + call->symbol_bytes;
	char *copy;
	int rc;

	*out = NULL;
	for (uint32_t at = (uint32_t)call->key & (libraries->size - 1);
	     libraries->size && libraries->table[at]; at = (at + 1) & (libraries->size - 1))
		if (is_it(libraries->table[at], call, names_bytes)) {
			*out = libraries->table[at];
			return 0;
		}
	/* They lie where their sender can write. */
	copy = malloc(names_bytes + 1);
	if (!copy)
		return px_fail(PX_ENOMEM, "no private memory for the names of a native call");
	memcpy(copy, names, names_bytes);
	rc = learn(libraries, call, copy, names_bytes, out);
	free(copy);
	return rc;
}
