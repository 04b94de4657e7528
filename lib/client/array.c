/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * array.c - arrays: their memory, shape and count.
 */
#include "client/array.h"

#include <stdlib.h>
#include <string.h>

#include "client/dlpack.h"
#include "client/internal.h"
#include "shm/copy.h"
#include "shm/error.h"
#include "shm/sizes.h"

int px_array_check(const struct px_array *array)
{
	return px_handle_check(array, PX_HANDLE_ARRAY, "array");
}

int px_dtype_check(enum px_dtype dtype)
{
	switch (dtype) {
	case PX_DTYPE_INT8:
	case PX_DTYPE_INT16:
	case PX_DTYPE_INT32:
	case PX_DTYPE_INT64:
	case PX_DTYPE_UINT8:
	case PX_DTYPE_UINT16:
	case PX_DTYPE_UINT32:
	case PX_DTYPE_UINT64:
	case PX_DTYPE_FLOAT16:
	case PX_DTYPE_FLOAT32:
	case PX_DTYPE_FLOAT64:
	case PX_DTYPE_COMPLEX64:
	case PX_DTYPE_COMPLEX128:
	case PX_DTYPE_BOOL:
		return 0;
	}
	return px_fail(PX_EINVAL, "dtype 0x%04x: it is none of enum px_dtype", (unsigned)dtype);
}

/* --- shapes --- */

/* The bytes of all elements. */
static int count_bytes(enum px_dtype dtype, int ndim, const int64_t *shape, uint64_t *out)
{
	uint64_t bytes = px_dtype_bytes(dtype);
	bool empty = false;

	if (ndim < 0 || ndim > PX_NDIM_MAX)
		return px_fail(PX_EINVAL, "an array of %d dimensions: it may have 0 to %d", ndim,
			       PX_NDIM_MAX);
	for (int i = 0; i < ndim; i++) {
		if (shape[i] < 0)
			return px_fail(PX_EINVAL, "dimension %d of an array is %lld", i,
				       (long long)shape[i]);
		empty = empty || shape[i] == 0;
		if (shape[i] && (__builtin_mul_overflow(bytes, (uint64_t)shape[i], &bytes) ||
				 bytes > INT64_MAX))
			return px_fail(PX_EINVAL, "an array of more than 2^63 bytes");
	}
	*out = empty ? 0 : bytes;
	return 0;
}

/* Strides without gaps. */
static void fill_strides(struct px_array *array, bool fortran)
{
	int64_t stride = (int64_t)px_dtype_bytes(array->dtype);

	for (int i = 0; i < array->ndim; i++) {
		int axis = fortran ? i : array->ndim - 1 - i;

		array->strides[axis] = stride;
		/* An empty array has no elements, and yet strides; an extent of 0 counts as 1. */
		if (array->shape[axis] > 1 &&
		    __builtin_mul_overflow(stride, array->shape[axis], &stride))
			stride = 0;
	}
}

/* Whether its elements lie in C order without gaps; where one has an extent of 1 the stride does not matter. */
static bool is_c_contiguous(const struct px_array *array)
{
	int64_t stride = (int64_t)px_dtype_bytes(array->dtype);

	if (!array->bytes)
		return true;
	for (int axis = array->ndim - 1; axis >= 0; axis--) {
		if (array->shape[axis] == 1)
			continue;
		if (array->strides[axis] != stride)
			return false;
		stride *= array->shape[axis];
	}
	return true;
}

/* How far before and behind element [0, …, 0] its memory reaches. */
static int measure(struct px_array *array)
{
	uint64_t behind = px_dtype_bytes(array->dtype);

	if (!array->bytes)
		return 0;
	for (int i = 0; i < array->ndim; i++) {
		int64_t stride = array->strides[i];
		uint64_t step = stride < 0 ? -(uint64_t)stride : (uint64_t)stride, reach;

		if (__builtin_mul_overflow(step, (uint64_t)array->shape[i] - 1, &reach) ||
		    __builtin_add_overflow(stride < 0 ? array->before : behind, reach,
					   stride < 0 ? &array->before : &behind))
			return px_fail(PX_EINVAL, "stride %d of an array is %lld", i,
				       (long long)stride);
	}
	if (__builtin_add_overflow(array->before, behind, &array->span) || array->span > INT64_MAX)
		return px_fail(PX_EINVAL, "the strides of an array reach beyond any memory");
	return 0;
}

int px_array_new(enum px_dtype dtype, int ndim, const int64_t *shape, const int64_t *strides,
		 bool fortran, struct px_array **out)
{
	struct px_array *array;
	uint64_t bytes = 0;
	int rc = count_bytes(dtype, ndim, shape, &bytes);

	if (rc < 0)
		return rc;
	array = calloc(1, sizeof(*array) + 2 * (size_t)ndim * sizeof(int64_t));
	if (!array)
		return px_fail(PX_ENOMEM, "no private memory for an array");
	px_handle_init(&array->handle, PX_HANDLE_ARRAY);
	atomic_init(&array->holds, 1);
	array->dtype = dtype;
	array->ndim = ndim;
	array->bytes = bytes;
	array->shape = array->extents;
	array->strides = array->extents + ndim;
	for (int i = 0; i < ndim; i++)
		array->shape[i] = shape[i];
	if (strides)
		memcpy(array->strides, strides, (size_t)ndim * sizeof(int64_t));
	else
		fill_strides(array, fortran);
	rc = measure(array);
	if (rc < 0) {
		free(array);
		return rc;
	}
	array->c_contiguous = is_c_contiguous(array);
	*out = array;
	return 0;
}

/* --- the count --- */

void px_array_ref(struct px_array *array)
{
	if (px_array_check(array) == 0)
		atomic_fetch_add_explicit(&array->holds, 1, memory_order_relaxed);
}

static void array_free(struct px_array *array)
{
	px_handle_end(&array->handle);
	if (array->region && !array->base)
		px_endpoint_hide(array->endpoint, array->region);
	px_loan_release(array->loan);
	px_dlpack_release(array->managed);
	if (array->base)
		px_array_unref(array->base);
	if (array->client)
		px_client_release(array->client);
	px_handle_discard(&array->handle);
}

void px_array_unref(struct px_array *array)
{
	if (!array || px_array_check(array) < 0)
		return;
	/* SYNC private: who lets go last sees what the others did before they let go. */
	if (atomic_fetch_sub_explicit(&array->holds, 1, memory_order_acq_rel) == 1)
		array_free(array);
}

/* --- kinds --- */

/* The client was entered. */
static int allocate(struct px_client *client, struct px_array *array, unsigned flags)
{
	uint64_t bytes = array->bytes;
	int rc;

	/* Smaller ones would lie in pages that others use, too, and not be found by their address. */
	if (bytes < PX_REGION_LARGE_BYTES)
		bytes = PX_REGION_LARGE_BYTES;
	rc = px_endpoint_show(client->endpoint, bytes, &array->region);
	if (rc < 0)
		return rc;
	array->endpoint = client->endpoint;
	array->region->live = flags & PX_ARRAY_LIVE;
	array->client = client;
	px_client_hold(client);
	if (flags & PX_ARRAY_ZERO)
		memset(array->region->at, 0, array->bytes);
	array->data = array->region->at;
	return 0;
}

int px_array_alloc(struct px_client *client, enum px_dtype dtype, int ndim, const int64_t *shape,
		   unsigned flags, struct px_array **out)
{
	const unsigned known = PX_ARRAY_LIVE | PX_ARRAY_FORTRAN | PX_ARRAY_ZERO;
	struct px_array *array;
	int rc = px_client_begin(client);

	if (rc < 0)
		return rc;
	rc = px_need(out, "array");
	if (rc == 0 && ndim > 0)
		rc = px_need(shape, "shape");
	if (rc == 0)
		rc = px_dtype_check(dtype);
	if (rc == 0 && flags & ~known)
		rc = px_fail(PX_EINVAL, "flags 0x%x: some are not PX_ARRAY_…", flags);
	if (rc == 0)
		rc = px_array_new(dtype, ndim, shape, NULL, flags & PX_ARRAY_FORTRAN, &array);
	if (rc == 0) {
		rc = allocate(client, array, flags);
		if (rc < 0)
			px_array_unref(array);
		else
			*out = array;
	}
	px_client_leave(client);
	return rc;
}

int px_array_wrap(void *data, enum px_dtype dtype, int ndim, const int64_t *shape,
		  const int64_t *strides, struct px_array **out)
{
	struct px_array *array = NULL;
	int rc = px_need(out, "array");

	if (rc == 0 && ndim > 0)
		rc = px_need(shape, "shape");
	if (rc == 0)
		rc = px_dtype_check(dtype);
	if (rc == 0)
		rc = px_array_new(dtype, ndim, shape, strides, false, &array);
	if (rc < 0 || !array)
		return rc;
	if (array->bytes && !data) {
		px_array_unref(array);
		return px_need(data, "data");
	}
	array->data = data;
	*out = array;
	return 0;
}

static bool lies_in(const struct px_array *array, const struct px_loan *loan, uint64_t first)
{
	if (!array->bytes)
		return true;
	return loan && first >= array->before && first - array->before <= loan->bytes &&
	       array->span <= loan->bytes - (first - array->before);
}

int px_array_receive(enum px_dtype dtype, int ndim, const int64_t *shape, const int64_t *strides,
		     struct px_loan *loan, uint64_t first, struct px_array **out)
{
	struct px_array *array = NULL;
	void *data = NULL;
	int rc = px_dtype_bytes(dtype) && dtype % 8 == 0 ? 0 : PX_EINVAL;

	if (rc == 0)
		rc = px_array_new(dtype, ndim, shape, strides, false, &array);
	if (rc == PX_EINVAL || (rc == 0 && !lies_in(array, loan, first)))
		rc = px_fail(PX_ECORRUPT, "an engine's reply has an array that is not there");
	if (rc == 0 && array->bytes)
		rc = px_loan_map(loan, &data);
	if (rc < 0) {
		px_loan_release(loan);
		px_array_unref(array);
		return rc;
	}
	array->loan = loan;
	array->data = data ? (uint8_t *)data + first : NULL;
	*out = array;
	return 0;
}

int px_array_slice(struct px_array *array, int axis, int64_t start, int64_t step, int64_t count,
		   struct px_array **out)
{
	int64_t shape[PX_NDIM_MAX], strides[PX_NDIM_MAX];
	struct px_array *slice;
	int rc;

	memcpy(shape, array->shape, (size_t)array->ndim * sizeof(int64_t));
	memcpy(strides, array->strides, (size_t)array->ndim * sizeof(int64_t));
	shape[axis] = count;
	if (count > 1) /* else it is not used, and may be anything */
		strides[axis] *= step;
	rc = px_array_new(array->dtype, array->ndim, shape, strides, false, &slice);
	if (rc < 0)
		return rc;
	px_array_ref(array);
	slice->base = array;
	slice->endpoint = array->endpoint;
	slice->region = array->region;
	slice->data = slice->bytes ? array->data + start * array->strides[axis] : array->data;
	*out = slice;
	return 0;
}

/* --- what it says of itself --- */

void *px_array_data(const struct px_array *array)
{
	return px_array_check(array) < 0 ? NULL : array->data;
}

int px_array_ndim(const struct px_array *array)
{
	int rc = px_array_check(array);

	return rc < 0 ? rc : array->ndim;
}

const int64_t *px_array_shape(const struct px_array *array)
{
	return px_array_check(array) < 0 ? NULL : array->shape;
}

const int64_t *px_array_strides(const struct px_array *array)
{
	return px_array_check(array) < 0 ? NULL : array->strides;
}

int px_array_dtype(const struct px_array *array)
{
	int rc = px_array_check(array);

	return rc < 0 ? rc : (int)array->dtype;
}

uint64_t px_array_bytes(const struct px_array *array)
{
	return px_array_check(array) < 0 ? 0 : array->bytes;
}

/* --- who has it --- */

/* With the client's lock. The array's own hold is left when nobody has it that it was sent to. */
static int is_let_go(void *ctx)
{
	struct px_array *array = ctx;

	if (array->client->lost)
		return 1; /* a pool that is gone holds nothing */
	px_endpoint_collect_all(array->client->endpoint);
	/* Relaxed: what engines let go of was collected by this thread, with the endpoint's lock. */
	return atomic_load_explicit(&array->region->holds, memory_order_relaxed) == 1;
}

static struct px_array *owner_of(struct px_array *array)
{
	while (array->base)
		array = array->base;
	return array;
}

int px_array_wait(struct px_array *array, uint64_t timeout_ns)
{
	struct px_client *client;
	int rc = px_array_check(array);

	if (rc < 0 || !array->region)
		return rc; /* what is sent of others is a copy */
	array = owner_of(array);
	client = array->client;
	rc = px_client_enter(client);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	rc = px_client_wait_locked(client, is_let_go, array, timeout_ns,
				   PX_BELL_FRAME | PX_BELL_RELEASE);
	if (rc == 0 && !is_let_go(array))
		rc = px_client_usable(client);
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return rc == PX_ETIMEDOUT ? px_fail(rc, "engines still hold the array after %.3f s",
					    (double)timeout_ns / 1e9) :
				    rc;
}

int px_array_holders(struct px_array *array, uint32_t *engines, size_t cap)
{
	struct px_client *client;
	size_t count = 0;
	int rc = px_array_check(array);

	if (rc == 0 && cap)
		rc = px_need(engines, "engines");
	if (rc < 0 || !array->region)
		return rc;
	array = owner_of(array);
	client = array->client;
	rc = px_client_enter(client);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	for (uint32_t id = 0; id < PX_ENGINES_MAX; id++) {
		struct px_link *link = client->engine_links[id];

		if (!link || !px_link_lends(link, array->region))
			continue;
		if (count < cap)
			engines[count] = id;
		count++;
	}
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return (int)count;
}

/* --- copying --- */

/*
 * Walks over all axes but the last as an odometer does; the last in a loop of its own.
 */
void px_array_copy_to(const struct px_array *array, uint8_t *to, const int64_t *strides)
{
	int64_t at[PX_NDIM_MAX] = { 0 };
	uint64_t item = px_dtype_bytes(array->dtype);
	int last = array->ndim - 1, axis;
	int64_t inner = last < 0 ? 1 : array->shape[last];
	int64_t from_step = last < 0 ? 0 : array->strides[last];
	int64_t to_step = last < 0 ? 0 : strides[last];
	const uint8_t *from = array->data;

	if (!array->bytes)
		return;
	do {
		if (from_step == (int64_t)item && to_step == (int64_t)item)
			px_copy(to, from, (size_t)inner * item);
		else
			for (int64_t i = 0; i < inner; i++)
				memcpy(to + i * to_step, from + i * from_step, item);
		for (axis = last - 1; axis >= 0; axis--) {
			from += array->strides[axis];
			to += strides[axis];
			if (++at[axis] < array->shape[axis])
				break;
			from -= at[axis] * array->strides[axis];
			to -= at[axis] * strides[axis];
			at[axis] = 0;
		}
	} while (axis >= 0);
}
