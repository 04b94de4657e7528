/* SPDX-License-Identifier: BSD-3-Clause */
/* numpy_api.c - see numpy_api.h. */
#include "python/ext/numpy_api.h"

#include <stdbool.h>
#include <string.h>

#define NUMPY_1_ABI 0x01000009u
#define NUMPY_2_ABI 0x02000000u
#define NUMPY_1_22_API 0x0fu

static void **table; /* NULL: no numpy that can be used, so far */

/* A new reference to the capsule of the table. */
static PyObject *api_capsule(void)
{
	PyObject *module = PyImport_ImportModule("numpy._core._multiarray_umath");
	PyObject *capsule;

	if (!module && PyErr_ExceptionMatches(PyExc_ImportError)) {
		PyErr_Clear();
		module = PyImport_ImportModule("numpy.core._multiarray_umath"); /* numpy 1 */
	}
	capsule = module ? PyObject_GetAttrString(module, "_ARRAY_API") : NULL;
	Py_XDECREF(module);
	return capsule;
}

/* ISO C has no way from void * to a function. */
static unsigned number_of(void *const *api, int place)
{
	unsigned (*function)(void);

	memcpy(&function, &api[place], sizeof(function));
	return function();
}

void **px_numpy_find(void)
{
	PyObject *capsule = table ? NULL : api_capsule();
	void **api = capsule ? PyCapsule_GetPointer(capsule, NULL) : NULL;
	unsigned abi;

	Py_XDECREF(capsule); /* the table is static */
	if (table || !api)
		return table;
	abi = number_of(api, PX_NUMPY_ABI_VERSION);
	if (abi != NUMPY_1_ABI && abi != NUMPY_2_ABI)
		PyErr_Format(PyExc_ImportError, "its ABI version 0x%x is not known", abi);
	else if (number_of(api, PX_NUMPY_API_VERSION) < NUMPY_1_22_API)
		PyErr_Format(PyExc_ImportError, "it is older than 1.22");
	else
		table = api;
	return table;
}

void **px_numpy_if_imported(void)
{
	static PyObject *name, *refused;
	PyObject *module;

	if (table)
		return table;
	if (!name)
		name = PyUnicode_InternFromString("numpy");
	module = name ? PyImport_GetModule(name) : NULL;
	/* One that cannot be used is not tried again, as long as it is the one that is imported. */
	if (module && module != refused && !px_numpy_find()) {
		Py_XDECREF(refused);
		refused = Py_NewRef(module);
	}
	PyErr_Clear();
	Py_XDECREF(module);
	return table;
}
