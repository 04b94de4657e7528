/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * numpy_memory.c - large numpy arrays of an engine lie in shared memory.
 *
 * A data handler for numpy (NEP 49). What a function computes can then be sent without a copy, if
 * the engine does not keep it. Small arrays, and those for which the arena has no room, stay with
 * numpy's own allocator; so does np.zeros, for which fresh pages of the kernel are zero already.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "python/ext/module.h"
#include "python/ext/numpy_api.h"
#include "python/ext/numpy_memory.h"
#include "python/ext/object.h"
#include "shm/sizes.h"

/* PyDataMem_Handler of numpy/ndarraytypes.h. */
struct handler {
	char name[127];
	uint8_t version;
	struct {
		void *ctx;
		void *(*malloc)(void *ctx, size_t size);
		void *(*calloc)(void *ctx, size_t count, size_t size);
		void *(*realloc)(void *ctx, void *at, size_t size);
		void (*free)(void *ctx, void *at, size_t size);
	} allocator;
};

static void **found;                 /* numpy's table; NULL: find_numpy() was not called */
static const struct handler *numpys; /* the handler that was there before */

static void *get(void *ctx, size_t size)
{
	void *at = size >= PX_ALLOCATED_BYTES ? px_numpy_get(size) : NULL;

	(void)ctx;
	return at ? at : numpys->allocator.malloc(numpys->allocator.ctx, size);
}

static void *get_zeros(void *ctx, size_t count, size_t size)
{
	(void)ctx;
	return numpys->allocator.calloc(numpys->allocator.ctx, count, size);
}

static void put(void *ctx, void *at, size_t size)
{
	(void)ctx;
	if (size >= PX_ALLOCATED_BYTES && px_numpy_size_of(at))
		px_numpy_put(at);
	else
		numpys->allocator.free(numpys->allocator.ctx, at, size);
}

static void *resize(void *ctx, void *at, size_t size)
{
	size_t before = at ? px_numpy_size_of(at) : 0;
	void *moved;

	(void)ctx;
	if (!before)
		return numpys->allocator.realloc(numpys->allocator.ctx, at, size);
	moved = numpys->allocator.malloc(numpys->allocator.ctx, size);
	if (moved) {
		memcpy(moved, at, size < before ? size : before);
		px_numpy_put(at);
	}
	return moved;
}

static struct handler ours = { "pxrun", 1, { NULL, get, get_zeros, resize, put } };

static PyObject *find_numpy(PyObject *self, PyObject *unused)
{
	(void)self, (void)unused;
	found = px_numpy_find();
	if (!found)
		return NULL;
	PX_RETURN_NONE;
}

static PyObject *share_arrays(PyObject *self, PyObject *unused)
{
	PyObject *(*get_handler)(void);
	PyObject *(*set_handler)(PyObject *);
	PyObject *before, *mine;

	(void)self, (void)unused;
	if (!found || numpys)
		PX_RETURN_NONE;
	memcpy(&get_handler, &found[PX_NUMPY_GET_HANDLER], sizeof(get_handler));
	memcpy(&set_handler, &found[PX_NUMPY_SET_HANDLER], sizeof(set_handler));
	mine = PyCapsule_New(&ours, "mem_handler", NULL);
	before = get_handler();
	numpys = before ? PyCapsule_GetPointer(before, "mem_handler") : NULL;
	Py_XDECREF(before); /* numpy's default handler is static */
	if (!mine || !numpys) {
		Py_XDECREF(mine);
		return NULL;
	}
	before = set_handler(mine);
	Py_DECREF(mine);
	if (!before)
		return NULL;
	Py_DECREF(before);
	PX_RETURN_NONE;
}

static PyMethodDef functions[] = {
	{ "find_numpy", find_numpy, METH_NOARGS,
	  "find_numpy()\n\nMakes share_arrays() possible; ImportError says why it is not." },
	{ "share_arrays", share_arrays, METH_NOARGS,
	  "share_arrays()\n\nFrom now on large arrays that this thread's code makes lie in shared memory, if "
	  "find_numpy() has found numpy." },
	{ NULL, NULL, 0, NULL },
};

int px_add_numpy_memory(PyObject *module)
{
	return PyModule_AddFunctions(module, functions);
}
