/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * array.h - the arrays of pxrun.h: a shape and strides over memory of one of five kinds.
 *
 *   allocated  a region of the client's arena: lent to engines as it is
 *   wrapped    memory of the program's: copied when it is sent
 *   received   memory of an engine's that came with a reply, in a private view: copied when it is sent
 *   imported   another library's DLPack tensor: as wrapped
 *   slice      a part of another array, which it holds
 *
 * Who:     any thread; the count is atomic, and nothing else changes.
 * Where:   private memory; the elements wherever their kind says.
 * Blocks:  px_array_alloc(), while the supervisor grants an extent; px_array_wait().
 * Death:   of engines: the memory stays. Of the client: likewise, until the last reference ends.
 */
#ifndef PX_ARRAY_H
#define PX_ARRAY_H

#include "client/client.h"

struct DLManagedTensorVersioned;

struct px_array {
	struct px_handle handle;
	_Atomic uint32_t holds;
	enum px_dtype dtype;
	int ndim;
	uint8_t *data;  /* element [0, …, 0] */
	uint64_t bytes; /* of all elements */
	/* Its memory begins so many bytes before data, and is so long: where gaps are between, more than bytes. */
	uint64_t before, span;
	bool c_contiguous;
	struct px_client *client;     /* held; of one that was allocated, else NULL */
	struct px_endpoint *endpoint; /* the region's */
	struct px_region
		*region;       /* shown (px_endpoint_show()); a slice has its base's; else NULL */
	struct px_loan *loan;  /* of one that was received; else NULL */
	struct px_array *base; /* of a slice, held; else NULL */
	struct DLManagedTensorVersioned *managed; /* of one that was imported; else NULL */
	int64_t *shape, *strides;                 /* strides in bytes */
	int64_t extents[];                        /* both */
};

/* Bytes of an element. */
static inline uint64_t px_dtype_bytes(enum px_dtype dtype)
{
	return ((unsigned)dtype & 0xff) / 8;
}
/* PX_EINVAL: pxrun.h has no such one. */
int px_dtype_check(enum px_dtype dtype);
/*
 * A new array, held once, over memory that the caller fills in as its kind. strides NULL: in C order,
 * or column-major. PX_EINVAL: a negative extent, too many dimensions or bytes; PX_ENOMEM.
 */
int px_array_new(enum px_dtype dtype, int ndim, const int64_t *shape, const int64_t *strides,
		 bool fortran, struct px_array **out);
/*
 * A new array of what a peer sent; takes the loan, also on failure; NULL: there are no elements. first: where
 * in the loan element [0, …, 0] is. PX_ECORRUPT: it reaches beyond its memory; PX_ENOMEM, PX_ESYSTEM.
 */
int px_array_receive(enum px_dtype dtype, int ndim, const int64_t *shape, const int64_t *strides,
		     struct px_loan *loan, uint64_t first, struct px_array **out);
/*
 * Along the axis, count elements from `start` on, each `step` after the other: a new array, over the
 * same memory, which holds the other. The range is inside; PX_ENOMEM.
 */
int px_array_slice(struct px_array *array, int axis, int64_t start, int64_t step, int64_t count,
		   struct px_array **out);
/* All elements, to where other strides want them, which are of the same shape. */
void px_array_copy_to(const struct px_array *array, uint8_t *to, const int64_t *strides);
/* PX_EINVAL, PX_ECLOSED. */
int px_array_check(const struct px_array *array);

#endif
