/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flat_scalar.c - numpy's scalars in flat values: what functions of numpy mostly return. Pickle takes 25 us for one.
 */
#include "python/ext/flat.h"

#include <string.h>

#include "python/ext/numpy_api.h"

enum { NUMBERS = 24, BYTES_MAX = 32 };

/* The types of scalars by the numbers of numpy's types; NULL: not sent so. Not held: they are static. */
static const PyTypeObject *types[NUMBERS];

static void find_types(void **numpy)
{
	PyObject *(*type_of)(int);

	memcpy(&type_of, &numpy[PX_NUMPY_TYPE_OF_NUMBER], sizeof(type_of));
	for (int number = 0; number < NUMBERS; number++)
		if (px_flat_item_bytes(number) && !types[number]) {
			types[number] = (const PyTypeObject *)type_of(number);
			Py_XDECREF((PyObject *)types[number]);
		}
}

static int number_of(const PyTypeObject *type)
{
	for (int number = 0; number < NUMBERS; number++)
		if (types[number] == type)
			return number;
	return -1;
}

bool px_flat_write_scalar(struct px_flat *flat, PyObject *value)
{
	void **numpy = px_numpy_if_imported();
	void (*copy_out)(PyObject *, void *);
	int number;
	uint8_t *at;

	if (!numpy)
		return false;
	if (!types[0])
		find_types(numpy);
	number = number_of(Py_TYPE(value));
	at = number < 0 ? NULL : px_flat_room(flat, 2 + px_flat_item_bytes(number));
	if (!at)
		return false;
	at[0] = 'g';
	at[1] = px_flat_number(number);
	memcpy(&copy_out, &numpy[PX_NUMPY_SCALAR_AS_C], sizeof(copy_out));
	copy_out(value, at + 2);
	return true;
}

PyObject *px_flat_read_scalar(struct px_flat_source *source)
{
	const uint8_t *at = px_flat_take(source, 1);
	int number = at ? *at : 0;
	size_t bytes = px_flat_item_bytes(number);
	_Alignas(long double) uint8_t data[BYTES_MAX];
	PyObject *(*dtype_of)(int), *(*make)(void *, PyObject *, PyObject *);
	PyObject *dtype, *scalar;
	void **numpy;

	if (!at)
		return NULL;
	if (!bytes)
		return px_flat_malformed();
	at = px_flat_take(source, bytes);
	numpy = at ? px_numpy_find() : NULL;
	if (!numpy)
		return NULL;
	memcpy(data, at, bytes);
	memcpy(&dtype_of, &numpy[PX_NUMPY_DTYPE_OF_NUMBER], sizeof(dtype_of));
	memcpy(&make, &numpy[PX_NUMPY_NEW_SCALAR], sizeof(make));
	dtype = dtype_of(number);
	scalar = dtype ? make(data, dtype, NULL) : NULL;
	Py_XDECREF(dtype);
	return scalar;
}
