/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * region.h - memory that this process works with and can send as it is, as a Python object.
 *
 * The type has the buffer protocol, writable. What is made of such memory, whole arrays and
 * contiguous parts of them, is recognised by its address when it is sent, and not copied.
 * The memory stays valid as long as the object, also after the pool has ended.
 */
#ifndef PX_EXT_REGION_H
#define PX_EXT_REGION_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "link/endpoint.h"

/* A new Region of so many bytes (an int above 0). NULL with an exception. */
PyObject *px_region_object(struct px_endpoint *endpoint, PyObject *bytes);
/* Whether an object with the buffer protocol lies in one that can be lent. NULL with an exception. */
PyObject *px_region_has(struct px_endpoint *endpoint, PyObject *object);
int px_add_region(PyObject *module);

#endif
