/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dlpack.c - arrays from and for other libraries.
 */
#include "client/dlpack.h"

#include <stdlib.h>

#include "client/array.h"
#include "shm/error.h"

void px_dlpack_release(struct DLManagedTensorVersioned *tensor)
{
	if (tensor && tensor->deleter)
		tensor->deleter(tensor);
}

static int check(const struct DLManagedTensorVersioned *t)
{
	if (t->version.major != PX_DLPACK_MAJOR)
		return px_fail(PX_EINVAL, "a DLPack tensor of version %u.%u: version 1 is needed",
			       t->version.major, t->version.minor);
	if (t->tensor.device.type != PX_DLPACK_CPU)
		return px_fail(PX_EINVAL,
			       "a DLPack tensor on a device of type %d: copy it to the "
			       "processor's memory",
			       t->tensor.device.type);
	if (t->tensor.dtype.lanes != 1)
		return px_fail(PX_EINVAL, "a DLPack tensor whose elements have %u lanes",
			       t->tensor.dtype.lanes);
	if (t->tensor.ndim < 0 || t->tensor.ndim > PX_NDIM_MAX)
		return px_fail(PX_EINVAL, "a DLPack tensor of %d dimensions: at most %d",
			       t->tensor.ndim, PX_NDIM_MAX);
	return t->tensor.ndim ? px_need(t->tensor.shape, "tensor.shape") : 0;
}

/* In bytes; NULL: without gaps. */
static const int64_t *byte_strides(const struct DLManagedTensorVersioned *t, int64_t *out)
{
	for (int i = 0; t->tensor.strides && i < t->tensor.ndim; i++)
		if (__builtin_mul_overflow(t->tensor.strides[i], t->tensor.dtype.bits / 8, &out[i]))
			out[i] = INT64_MAX; /* px_array_wrap() refuses it */
	return t->tensor.strides ? out : NULL;
}

int px_array_from_dlpack(struct DLManagedTensorVersioned *tensor, struct px_array **out)
{
	int64_t strides[PX_NDIM_MAX];
	int rc = px_need(tensor, "tensor");

	if (rc == 0)
		rc = px_need(out, "array");
	if (rc == 0)
		rc = check(tensor);
	if (rc < 0)
		return rc;
	rc = px_array_wrap(tensor->tensor.data ?
				   (uint8_t *)tensor->tensor.data + tensor->tensor.byte_offset :
				   NULL,
			   (enum px_dtype)(tensor->tensor.dtype.code << 8 |
					   tensor->tensor.dtype.bits),
			   tensor->tensor.ndim, tensor->tensor.shape, byte_strides(tensor, strides),
			   out);
	if (rc == 0)
		(*out)->managed = tensor;
	return rc;
}

/* A tensor of ours, with room for its strides behind it. */
struct exported {
	struct DLManagedTensorVersioned tensor;
	int64_t strides[PX_NDIM_MAX];
};

static void end_exported(struct DLManagedTensorVersioned *self)
{
	px_array_unref(self->manager_ctx);
	free(self); /* it is the first member */
}

/* DLPack counts in elements. */
static int element_strides(const struct px_array *array, int64_t *out)
{
	int64_t bytes = (int64_t)px_dtype_bytes(array->dtype);

	for (int i = 0; i < array->ndim; i++) {
		if (array->strides[i] % bytes)
			return px_fail(PX_EINVAL,
				       "stride %d of the array is %lld bytes, which is no multiple "
				       "of an element's %lld",
				       i, (long long)array->strides[i], (long long)bytes);
		out[i] = array->strides[i] / bytes;
	}
	return 0;
}

int px_array_to_dlpack(struct px_array *array, struct DLManagedTensorVersioned **out)
{
	struct exported *e;
	int rc = px_array_check(array);

	if (rc == 0)
		rc = px_need(out, "tensor");
	if (rc < 0)
		return rc;
	e = calloc(1, sizeof(*e));
	if (!e)
		return px_fail(PX_ENOMEM, "no private memory for a DLPack tensor");
	rc = element_strides(array, e->strides);
	if (rc < 0) {
		free(e);
		return rc;
	}
	px_array_ref(array);
	e->tensor.version.major = PX_DLPACK_MAJOR;
	e->tensor.version.minor = PX_DLPACK_MINOR;
	e->tensor.manager_ctx = array;
	e->tensor.deleter = end_exported;
	e->tensor.tensor.data = array->data;
	e->tensor.tensor.device.type = PX_DLPACK_CPU;
	e->tensor.tensor.ndim = array->ndim;
	e->tensor.tensor.dtype.code = (uint8_t)((unsigned)array->dtype >> 8);
	e->tensor.tensor.dtype.bits = (uint8_t)array->dtype;
	e->tensor.tensor.dtype.lanes = 1;
	e->tensor.tensor.shape = array->shape;
	e->tensor.tensor.strides = e->strides;
	*out = &e->tensor;
	return 0;
}
