/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * numpy_api.h - numpy's C interface, without its headers.
 *
 * One build serves all versions from 1.22 on, which number their functions alike and have the same
 * structs. A module that is compiled with the headers of numpy 1 is refused by numpy 2.
 *
 * Who:     any thread with the interpreter's lock.
 * Death:   nothing here is shared.
 */
#ifndef PX_EXT_NUMPY_API_H
#define PX_EXT_NUMPY_API_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

/* What numpy's table of functions has at these places (numpy/__multiarray_api.h). */
enum px_numpy_place {
	PX_NUMPY_ABI_VERSION = 0,
	PX_NUMPY_ARRAY_TYPE = 2,
	PX_NUMPY_DTYPE_OF_NUMBER = 45,
	PX_NUMPY_TYPE_OF_NUMBER = 46,
	PX_NUMPY_NEW_SCALAR = 60,
	PX_NUMPY_SCALAR_AS_C = 62,
	PX_NUMPY_NEW_ARRAY = 93,
	PX_NUMPY_API_VERSION = 211,
	PX_NUMPY_SET_BASE = 282,
	PX_NUMPY_SET_HANDLER = 304,
	PX_NUMPY_GET_HANDLER = 305,
};

/* The beginning of PyArrayObject_fields of numpy/ndarraytypes.h, which macros there read. */
struct px_numpy_array {
	PyObject_HEAD
	char *data;
	int dimensions;
	intptr_t *shape, *strides;
	PyObject *base; /* or NULL */
	PyObject *dtype;
	int flags;
};
#define PX_NUMPY_C_CONTIGUOUS 0x0001
#define PX_NUMPY_ALIGNED 0x0100
#define PX_NUMPY_WRITEABLE 0x0400

/* The beginning of PyArray_Descr, likewise. */
struct px_numpy_dtype {
	PyObject_HEAD
	PyTypeObject *type;
	char kind, code, byteorder, flags;
	int number;
};

/* Finds the table; imports numpy if need be. NULL with an ImportError that says why there is none. */
void **px_numpy_find(void);
/* The table, if this process has imported a numpy that can be used; else NULL, without an exception. */
void **px_numpy_if_imported(void);

#endif
