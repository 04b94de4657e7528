/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * numpy_memory.c - the module pxrun._numpy: large arrays of an engine lie in shared memory.
 *
 * A data handler for numpy (NEP 49). What a function computes can then be sent without a copy, if
 * the engine does not keep it. Small arrays, and those for which the arena has no room, stay with
 * numpy's own allocator; so does np.zeros, for which fresh pages of the kernel are zero already.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_1_22_API_VERSION
#define NPY_TARGET_VERSION NPY_1_22_API_VERSION
#include <numpy/arrayobject.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "python/ext/numpy_memory.h"

/* Copying this much takes 20 us; a lease takes a few. */
#define SHARED_MIN_BYTES ((size_t)1 << 20)

static const struct px_memory_api *memory;
static const PyDataMem_Handler *numpys; /* the handler that was there before */

static void *get(void *ctx, size_t size)
{
	void *at = size >= SHARED_MIN_BYTES ? memory->get(size) : NULL;

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
	if (size >= SHARED_MIN_BYTES && memory->size_of(at))
		memory->put(at);
	else
		numpys->allocator.free(numpys->allocator.ctx, at, size);
}

static void *resize(void *ctx, void *at, size_t size)
{
	size_t before = at ? memory->size_of(at) : 0;
	void *moved;

	(void)ctx;
	if (!before)
		return numpys->allocator.realloc(numpys->allocator.ctx, at, size);
	moved = numpys->allocator.malloc(numpys->allocator.ctx, size);
	if (moved) {
		memcpy(moved, at, size < before ? size : before);
		memory->put(at);
	}
	return moved;
}

static PyDataMem_Handler handler = { "pxrun", 1, { NULL, get, get_zeros, resize, put } };

static PyObject *install(PyObject *self, PyObject *unused)
{
	PyObject *before, *ours;

	(void)self, (void)unused;
	if (numpys)
		Py_RETURN_NONE;
	ours = PyCapsule_New(&handler, "mem_handler", NULL);
	before = PyDataMem_GetHandler();
	numpys = before ? PyCapsule_GetPointer(before, "mem_handler") : NULL;
	Py_XDECREF(before); /* numpy's default handler is static */
	if (!ours || !numpys) {
		Py_XDECREF(ours);
		return NULL;
	}
	before = PyDataMem_SetHandler(ours);
	Py_DECREF(ours);
	if (!before)
		return NULL;
	Py_DECREF(before);
	Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
	{ "install", install, METH_NOARGS,
	  "install()\n\nFrom now on large arrays that this thread's code makes lie in shared memory." },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "pxrun._numpy",
	.m_doc = "Puts large numpy arrays of an engine into shared memory.",
	.m_size = -1,
	.m_methods = functions,
};

/*
 * numpy of another major version would refuse the module, too, but with a page of text on stderr.
 */
static bool is_like_ours(void)
{
	PyObject *numpy = PyImport_ImportModule("numpy");
	PyObject *version = numpy ? PyObject_GetAttrString(numpy, "__version__") : NULL;
	const char *text = version ? PyUnicode_AsUTF8AndSize(version, NULL) : NULL;
	bool alike = text && atoi(text) == NPY_VERSION >> 24;

	Py_XDECREF(version);
	Py_XDECREF(numpy);
	if (!alike && !PyErr_Occurred())
		PyErr_Format(PyExc_ImportError, "built for numpy %d", NPY_VERSION >> 24);
	return alike;
}

PyMODINIT_FUNC PyInit__numpy(void);
PyMODINIT_FUNC PyInit__numpy(void)
{
	if (!is_like_ours())
		return NULL;
	import_array();
	memory = PyCapsule_Import(PX_MEMORY_CAPSULE, 0);
	return memory ? PyModule_Create(&definition) : NULL;
}
