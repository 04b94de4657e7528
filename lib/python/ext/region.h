/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * region.h - the type pxrun._pxrun.Region: memory that can be sent without a copy.
 *
 * Who:     any thread with the interpreter's lock. A Region is valid until it is freed: it holds
 *          the endpoint, so the memory stays when the client is closed or the pool has ended.
 * Where:   a region of this process's own arena (shm/region.h).
 * Blocks:  px_region_object(), while the supervisor grants an extent.
 * Death:   of the pool: the memory stays valid as long as the object. A forked child has a copy of
 *          it, or if it is live the same.
 *
 * The type has the buffer protocol, writable. Arrays in such memory, and contiguous parts of them,
 * are recognised by their address when they are sent.
 */
#ifndef PX_EXT_REGION_H
#define PX_EXT_REGION_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

#include "link/endpoint.h"

/*
 * A new Region of so many bytes (an int above 0). The caller holds the endpoint. NULL with an
 * exception.
 */
PyObject *px_region_object(struct px_endpoint *endpoint, PyObject *bytes);
/* Whether an object with the buffer protocol lies in one that can be lent. Likewise. */
PyObject *px_region_has(struct px_endpoint *endpoint, PyObject *object);
/* Whether an object is a Region, and then whether receivers work in its very memory. */
bool px_region_is(PyObject *object, bool *live);
int px_add_region(PyObject *module);

#endif
