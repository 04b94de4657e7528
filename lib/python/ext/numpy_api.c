/* SPDX-License-Identifier: BSD-3-Clause */
/* numpy_api.c - see numpy_api.h. */
#include "python/ext/numpy_api.h"

#include <stdbool.h>
#include <string.h>

#define NUMPY_1_ABI 0x01000009u
#define NUMPY_2_ABI 0x02000000u
#define NUMPY_1_22_API 0x0fu

static void **table; /* NULL: no numpy that can be used, so far */

/* ISO C has no way from void * to a function. */
static unsigned number_of(void *const *api, int place)
{
	unsigned (*function)(void);

	memcpy(&function, &api[place], sizeof(function));
	return function();
}

/* The table of numpy's own extension module, whose reference it takes, and which may be NULL. */
static void **table_of(PyObject *module)
{
	PyObject *capsule = module ? PyObject_GetAttrString(module, "_ARRAY_API") : NULL;
	void **api = capsule ? PyCapsule_GetPointer(capsule, NULL) : NULL;
	unsigned abi;

	Py_XDECREF(capsule); /* the table is static */
	Py_XDECREF(module);
	if (!api)
		return NULL;
	abi = number_of(api, PX_NUMPY_ABI_VERSION);
	if (abi != NUMPY_1_ABI && abi != NUMPY_2_ABI)
		PyErr_Format(PyExc_ImportError, "its ABI version 0x%x is not known", abi);
	else if (number_of(api, PX_NUMPY_API_VERSION) < NUMPY_1_22_API)
		PyErr_Format(PyExc_ImportError, "it is older than 1.22");
	else
		return api;
	return NULL;
}

/* Where it is in numpy 2 and in numpy 1. */
static const char *const homes[] = { "numpy._core._multiarray_umath",
				     "numpy.core._multiarray_umath" };

void **px_numpy_find(void)
{
	PyObject *module;

	if (table)
		return table;
	module = PyImport_ImportModule(homes[0]);
	if (!module && PyErr_ExceptionMatches(PyExc_ImportError)) {
		PyErr_Clear();
		module = PyImport_ImportModule(homes[1]);
	}
	return table = table_of(module);
}

/*
 * Neither runs code of Python's nor waits for an import by another thread, as PyImport_GetModule() does: who
 * writes a value relies on that. And so what is cleared is no exception of a signal handler's.
 */
void **px_numpy_if_imported(void)
{
	for (int i = 0; !table && i < 2; i++) {
		PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), homes[i]);

		if (module && PyModule_CheckExact(module))
			table = table_of(Py_NewRef(module));
		PyErr_Clear();
	}
	return table;
}
