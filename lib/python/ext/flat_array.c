/* SPDX-License-Identifier: BSD-3-Clause */
/* flat_array.c - small numpy arrays in flat values: a header and one copy of their memory. */
#include "python/ext/flat.h"

#include <string.h>

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

static size_t bytes_of(int number)
{
	if (number == HALF)
		return 2;
	return number >= 0 && (size_t)number < sizeof(item_bytes) ? item_bytes[number] : 0;
}

/*
 * Whether what an array's memory is taken from may be live: such arrays are sent as they are. An array with
 * a base may be a view of another array, and at the end of that chain there is nothing, or what has the memory.
 */
static bool may_be_live(PyObject *base, const PyTypeObject *array)
{
	while (base && Py_TYPE(base) == array)
		base = ((struct px_numpy_array *)base)->base;
	return base && Py_TYPE(base) != &PyBytes_Type;
}

static bool can_be_copied(const struct px_numpy_array *array, const PyTypeObject *type)
{
	const int needed = PX_NUMPY_C_CONTIGUOUS | PX_NUMPY_WRITEABLE;

	return (array->flags & needed) == needed && array->dimensions <= DIMENSIONS_MAX &&
	       !may_be_live(array->base, type);
}

static bool is_native(const struct px_numpy_dtype *dtype)
{
	return dtype->byteorder == '=' || dtype->byteorder == '|';
}

bool px_flat_write_array(struct px_flat *flat, PyObject *value)
{
	void **numpy = px_numpy_if_imported();
	const struct px_numpy_array *array = (const struct px_numpy_array *)value;
	const struct px_numpy_dtype *dtype;
	size_t bytes, head;
	uint8_t *at;

	if (!numpy || Py_TYPE(value) != numpy[PX_NUMPY_ARRAY_TYPE] ||
	    !can_be_copied(array, Py_TYPE(value)))
		return false;
	dtype = (const struct px_numpy_dtype *)array->dtype;
	bytes = bytes_of(dtype->number);
	if (!bytes || !is_native(dtype) || !px_flat_keep(flat, value))
		return false;
	for (int i = 0; i < array->dimensions; i++)
		if (__builtin_mul_overflow(bytes, (size_t)array->shape[i], &bytes))
			return false;
	if (bytes >= PX_LENT_BYTES)
		return false;
	head = 3 + (size_t)array->dimensions * sizeof(array->shape[0]);
	at = px_flat_room(flat, head + bytes);
	if (!at)
		return false;
	at[0] = 'a';
	at[1] = (uint8_t)dtype->number;
	at[2] = (uint8_t)array->dimensions;
	memcpy(at + 3, array->shape, head - 3);
	memcpy(at + head, array->data, bytes);
	return true;
}

/* PyArray_New(), of memory of its own. */
static PyObject *new_array(void **numpy, int dimensions, const intptr_t *shape, int number)
{
	PyObject *(*make)(void *, int, const intptr_t *, int, const intptr_t *, void *, int, int,
			  PyObject *);

	memcpy(&make, &numpy[PX_NUMPY_NEW_ARRAY], sizeof(make));
	return make(numpy[PX_NUMPY_ARRAY_TYPE], dimensions, shape, number, NULL, NULL, 0, 0, NULL);
}

PyObject *px_flat_read_array(struct px_flat_source *source)
{
	const uint8_t *head = px_flat_take(source, 2), *at;
	intptr_t shape[DIMENSIONS_MAX];
	size_t bytes = head ? bytes_of(head[0]) : 0;
	PyObject *array;
	void **numpy;

	if (!head)
		return NULL;
	if (!bytes || head[1] > DIMENSIONS_MAX)
		return px_flat_malformed();
	at = px_flat_take(source, head[1] * sizeof(shape[0]));
	if (!at)
		return NULL;
	memcpy(shape, at, head[1] * sizeof(shape[0]));
	for (int i = 0; i < head[1]; i++)
		if (shape[i] < 0 || __builtin_mul_overflow(bytes, (size_t)shape[i], &bytes))
			return px_flat_malformed();
	at = px_flat_take(source, bytes);
	numpy = at ? px_numpy_find() : NULL;
	array = numpy ? new_array(numpy, head[1], shape, head[0]) : NULL;
	if (array)
		memcpy(((struct px_numpy_array *)array)->data, at, bytes);
	return array;
}
