/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flat_array.c - numpy arrays in flat values: a header and one copy of their memory, or a buffer of the message.
 *
 * A push of 8 KiB takes 3.5 us longer than a call without arguments. That is what it takes the memory from one
 * processor's caches to the other's: two processes that do nothing but copy 8 KiB into shared memory and out of it
 * in turns need 5 us for a turn where an empty one takes 0.7.
 */
#include "python/ext/flat.h"

#include <string.h>

#include "link/endpoint.h"
#include "python/ext/buffer.h"
#include "python/ext/numpy_api.h"
#include "python/ext/region.h"
#include "shm/sizes.h"

#define DIMENSIONS_MAX 8

/* Sizes by the numbers of numpy's types (NPY_TYPES): bool, integers, floats, complex numbers. 0: not sent so. */
static const uint8_t item_bytes[] = {
	1,
	sizeof(char),
	sizeof(char),
	sizeof(short),
	sizeof(short),
	sizeof(int),
	sizeof(int),
	sizeof(long),
	sizeof(long),
	sizeof(long long),
	sizeof(long long),
	sizeof(float),
	sizeof(double),
	sizeof(long double),
	2 * sizeof(float),
	2 * sizeof(double),
	2 * sizeof(long double),
};
#define HALF 23
#define LONG_LONG 9

uint8_t px_flat_number(int number)
{
	/* Where two C types are the same, pickle makes the shorter one of both. */
	if (sizeof(long) == sizeof(long long) && (number == LONG_LONG || number == LONG_LONG + 1))
		number -= 2;
	return (uint8_t)number;
}

size_t px_flat_item_bytes(int number)
{
	if (number == HALF)
		return 2;
	return number >= 0 && (size_t)number < sizeof(item_bytes) ? item_bytes[number] : 0;
}

static bool is_native(const struct px_numpy_dtype *dtype)
{
	return dtype->byteorder == '=' || dtype->byteorder == '|';
}

/* How an array's memory is sent; NOT: it is pickled. */
enum way { NOT, COPIED, LENT };

/*
 * An array with a base may be a view of another array, and at the end of that chain there is nothing, or what has
 * the memory.
 */
static enum way way_of(const struct px_numpy_array *array, const PyTypeObject *type, size_t bytes)
{
	PyObject *base = array->base;
	bool live = false;

	while (base && Py_TYPE(base) == type)
		base = ((struct px_numpy_array *)base)->base;
	if (base && Py_TYPE(base) != &PyBytes_Type && !px_region_is(base, &live))
		return NOT;
	return (live && bytes) || bytes >= PX_LENT_BYTES ? LENT : COPIED;
}

/* The bytes of an array's elements; false: it is of another kind than those that are sent so. */
static bool is_plain(const struct px_numpy_array *array, size_t *bytes)
{
	const int needed = PX_NUMPY_C_CONTIGUOUS | PX_NUMPY_ALIGNED | PX_NUMPY_WRITEABLE;
	const struct px_numpy_dtype *dtype = (const struct px_numpy_dtype *)array->dtype;

	*bytes = px_flat_item_bytes(dtype->number);
	if (!*bytes || !is_native(dtype) || (array->flags & needed) != needed ||
	    array->dimensions > DIMENSIONS_MAX)
		return false;
	for (int i = 0; i < array->dimensions; i++)
		if (__builtin_mul_overflow(*bytes, (size_t)array->shape[i], bytes))
			return false;
	return true;
}

/* Letter, type and shape, and room for what follows. */
static uint8_t *put_head(struct px_flat *flat, char letter, const struct px_numpy_array *array,
			 size_t more)
{
	size_t shape = (size_t)array->dimensions * sizeof(array->shape[0]);
	uint8_t *at = px_flat_room(flat, 3 + shape + more);

	if (!at)
		return NULL;
	at[0] = (uint8_t)letter;
	at[1] = px_flat_number(((const struct px_numpy_dtype *)array->dtype)->number);
	at[2] = (uint8_t)array->dimensions;
	if (shape) /* else there may be no memory of it */
		memcpy(at + 3, array->shape, shape);
	return at + 3 + shape;
}

static bool lend(struct px_flat *flat, PyObject *value)
{
	uint32_t index = flat->lent_count;
	uint8_t *at;

	if (!flat->lends || index == PX_BUFFERS_MAX)
		return false;
	flat->lent[flat->lent_count++] = Py_NewRef(value); /* one of those that are kept */
	at = put_head(flat, 'A', (const struct px_numpy_array *)value, sizeof(index));
	if (at)
		memcpy(at, &index, sizeof(index));
	return at;
}

static bool copy(struct px_flat *flat, const struct px_numpy_array *array, size_t bytes)
{
	uint8_t *at = put_head(flat, 'a', array, bytes);

	if (at)
		memcpy(at, array->data, bytes);
	return at;
}

bool px_flat_write_array(struct px_flat *flat, PyObject *value)
{
	void **numpy = px_numpy_if_imported();
	const struct px_numpy_array *array = (const struct px_numpy_array *)value;
	size_t bytes;

	if (!numpy || Py_TYPE(value) != numpy[PX_NUMPY_ARRAY_TYPE] || !is_plain(array, &bytes) ||
	    !px_flat_keep(flat, value))
		return false;
	switch (way_of(array, Py_TYPE(value), bytes)) {
	case COPIED:
		return copy(flat, array, bytes);
	case LENT:
		return lend(flat, value);
	default:
		return false;
	}
}

/* --- reading --- */

/* PyArray_New(); data NULL: of memory of its own. */
static PyObject *new_array(void **numpy, int dimensions, const intptr_t *shape, int number,
			   void *data)
{
	PyObject *(*make)(void *, int, const intptr_t *, int, const intptr_t *, void *, int, int,
			  PyObject *);
	int flags = PX_NUMPY_C_CONTIGUOUS | PX_NUMPY_ALIGNED | PX_NUMPY_WRITEABLE;

	memcpy(&make, &numpy[PX_NUMPY_NEW_ARRAY], sizeof(make));
	return make(numpy[PX_NUMPY_ARRAY_TYPE], dimensions, shape, number, NULL, data, 0,
		    data ? flags : 0, NULL);
}

/* PyArray_SetBaseObject(). Takes the array, also on failure. */
static PyObject *with_base(void **numpy, PyObject *array, PyObject *base)
{
	int (*set_base)(PyObject *, PyObject *);

	if (!array)
		return NULL;
	memcpy(&set_base, &numpy[PX_NUMPY_SET_BASE], sizeof(set_base));
	if (set_base(array, Py_NewRef(base)) == 0)
		return array;
	Py_DECREF(array);
	return NULL;
}

/* Type and shape of an array that is read. */
struct head {
	int number, dimensions;
	intptr_t shape[DIMENSIONS_MAX];
	size_t bytes;
};

static bool read_head(struct px_flat_source *source, struct head *head)
{
	const uint8_t *at = px_flat_take(source, 2);
	size_t shape;

	if (!at)
		return false;
	head->number = at[0];
	head->dimensions = at[1];
	head->bytes = px_flat_item_bytes(head->number);
	if (!head->bytes || head->dimensions > DIMENSIONS_MAX)
		return px_flat_malformed();
	shape = (size_t)head->dimensions * sizeof(head->shape[0]);
	at = px_flat_take(source, shape);
	if (!at)
		return false;
	memcpy(head->shape, at, shape);
	for (int i = 0; i < head->dimensions; i++)
		if (head->shape[i] < 0 ||
		    __builtin_mul_overflow(head->bytes, (size_t)head->shape[i], &head->bytes))
			return px_flat_malformed();
	return true;
}

static PyObject *read_copy(struct px_flat_source *source, const struct head *head)
{
	const uint8_t *at = px_flat_take(source, head->bytes);
	void **numpy = at ? px_numpy_find() : NULL;
	PyObject *array =
		numpy ? new_array(numpy, head->dimensions, head->shape, head->number, NULL) : NULL;

	if (array)
		memcpy(((struct px_numpy_array *)array)->data, at, head->bytes);
	return array;
}

static PyObject *read_lent(struct px_flat_source *source, const struct head *head)
{
	const uint8_t *at = px_flat_take(source, sizeof(uint32_t));
	bool some = source->buffers && PyList_Check(source->buffers);
	PyObject *buffer;
	uint32_t index;
	size_t bytes;
	void **numpy, *data;

	if (!at)
		return NULL;
	memcpy(&index, at, sizeof(index));
	if (!some || index >= (size_t)PyList_Size(source->buffers))
		return px_flat_malformed();
	buffer = PyList_GetItem(source->buffers, index);
	data = px_buffer_memory(buffer, &bytes);
	if (!data || bytes < head->bytes)
		return px_flat_malformed();
	numpy = px_numpy_find();
	return numpy ? with_base(numpy,
				 new_array(numpy, head->dimensions, head->shape, head->number,
					   data),
				 buffer) :
		       NULL;
}

PyObject *px_flat_read_array(struct px_flat_source *source, bool lent)
{
	struct head head;

	if (!read_head(source, &head))
		return NULL;
	return lent ? read_lent(source, &head) : read_copy(source, &head);
}
