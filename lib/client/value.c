/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * value.c - makes values, and reads them: as a number or a text, and by a dict's key.
 */
#include <string.h>

#include "client/array.h"
#include "client/pxrun.h"
#include "shm/error.h"

/* --- making --- */

struct px_value px_string(const char *text)
{
	return px_string_n(text, px_need(text, "text") == 0 ? strlen(text) : 0);
}

struct px_value px_string_n(const char *text, uint64_t bytes)
{
	struct px_value v = { .type = PX_STRING };

	v.as.text.data = text;
	v.as.text.bytes = bytes;
	return v;
}

struct px_value px_bytes(const void *data, uint64_t bytes)
{
	struct px_value v = { .type = PX_BYTES };

	v.as.text.data = data;
	v.as.text.bytes = bytes;
	return v;
}

struct px_value px_list(const struct px_value *items, uint64_t count)
{
	struct px_value v = { .type = PX_LIST };

	v.as.list.items = items;
	v.as.list.count = count;
	return v;
}

struct px_value px_dict(const struct px_value *keys, const struct px_value *values, uint64_t count)
{
	struct px_value v = { .type = PX_DICT };

	v.as.dict.keys = keys;
	v.as.dict.values = values;
	v.as.dict.count = count;
	return v;
}

struct px_value px_of_array(struct px_array *array)
{
	struct px_value v = { .type = PX_ARRAY };

	v.as.array = array;
	return v;
}

/* --- reading --- */

#define TWO_TO_THE_63 9223372036854775808.0

static const char *const words[] = {
	[PX_NONE] = "None",
	[PX_BOOL] = "a bool",
	[PX_INT] = "an integer",
	[PX_DOUBLE] = "a float",
	[PX_STRING] = "a string",
	[PX_BYTES] = "bytes",
	[PX_LIST] = "a list",
	[PX_ARRAY] = "an array",
	[PX_OBJECT] = "an object",
	[PX_UINT] = "an integer",
	[PX_COMPLEX] = "a complex number",
	[PX_DICT] = "a dict",
};

static const char *word_of(const struct px_value *value)
{
	size_t type = (size_t)value->type;

	return type < sizeof(words) / sizeof(words[0]) ? words[type] : "no value";
}

static int is_no(const struct px_value *value, const char *wanted)
{
	return px_fail(PX_EINVAL, "the value is %s, not %s", word_of(value), wanted);
}

int px_value_get(const struct px_value *dict, const char *key, struct px_value *out)
{
	int rc = px_need(dict, "dict");

	if (rc == 0)
		rc = px_need(key, "key");
	if (rc == 0)
		rc = px_need(out, "out");
	if (rc < 0)
		return rc;
	if (dict->type != PX_DICT)
		return is_no(dict, "a dict");
	if (dict->as.dict.count && (!dict->as.dict.keys || !dict->as.dict.values))
		return px_fail(PX_EINVAL, "the keys or values of the dict are NULL");
	for (uint64_t i = 0; i < dict->as.dict.count; i++) {
		const struct px_value *at = &dict->as.dict.keys[i];

		if (at->type == PX_STRING && at->as.text.data && at->as.text.bytes == strlen(key) &&
		    !memcmp(at->as.text.data, key, at->as.text.bytes)) {
			*out = dict->as.dict.values[i];
			return 0;
		}
	}
	return px_fail(PX_EINVAL, "the dict has no key '%s'", key);
}

#define ELEMENT(c_type, maker)                                                                     \
	do {                                                                                       \
		c_type element;                                                                    \
		memcpy(&element, array->data, sizeof(element));                                    \
		*out = maker(element);                                                             \
	} while (0)

/* The element of an array that has one. */
static int element_of(const struct px_array *array, struct px_value *out)
{
	int rc = px_array_check(array);

	if (rc < 0)
		return rc;
	if (array->bytes != px_dtype_bytes(array->dtype))
		return px_fail(PX_EINVAL, "the value is an array that has not one element");
	switch (array->dtype) {
	case PX_DTYPE_INT8:
		ELEMENT(int8_t, px_int);
		return 0;
	case PX_DTYPE_INT16:
		ELEMENT(int16_t, px_int);
		return 0;
	case PX_DTYPE_INT32:
		ELEMENT(int32_t, px_int);
		return 0;
	case PX_DTYPE_INT64:
		ELEMENT(int64_t, px_int);
		return 0;
	case PX_DTYPE_BOOL:
	case PX_DTYPE_UINT8:
		ELEMENT(uint8_t, px_int);
		return 0;
	case PX_DTYPE_UINT16:
		ELEMENT(uint16_t, px_int);
		return 0;
	case PX_DTYPE_UINT32:
		ELEMENT(uint32_t, px_int);
		return 0;
	case PX_DTYPE_UINT64:
		ELEMENT(uint64_t, px_uint);
		return 0;
	case PX_DTYPE_FLOAT32:
		ELEMENT(float, px_double);
		return 0;
	case PX_DTYPE_FLOAT64:
		ELEMENT(double, px_double);
		return 0;
	default:
		return px_fail(PX_EINVAL, "the value is an array of dtype 0x%04x, not a number",
			       (unsigned)array->dtype);
	}
}

/* What has one element stands for that. */
static int plain(const struct px_value *value, struct px_value *out)
{
	int rc = px_need(value, "value");

	*out = px_none();
	if (rc < 0)
		return rc;
	if (value->type == PX_ARRAY)
		return element_of(value->as.array, out);
	*out = *value;
	return 0;
}

int px_value_as_int64(const struct px_value *value, int64_t *out)
{
	struct px_value v;
	int rc = plain(value, &v);

	if (rc == 0)
		rc = px_need(out, "out");
	if (rc < 0)
		return rc;
	switch (v.type) {
	case PX_BOOL:
		*out = v.as.truth != 0;
		return 0;
	case PX_INT:
		*out = v.as.integer;
		return 0;
	case PX_UINT:
		if (v.as.natural > INT64_MAX)
			return is_no(&v, "one that an int64_t can hold");
		*out = (int64_t)v.as.natural;
		return 0;
	case PX_DOUBLE:
		/* The first that does not fit; NaN fits nothing. */
		if (!(v.as.real >= -TWO_TO_THE_63 && v.as.real < TWO_TO_THE_63) ||
		    v.as.real != (double)(int64_t)v.as.real)
			return is_no(&v, "a whole number that an int64_t can hold");
		*out = (int64_t)v.as.real;
		return 0;
	default:
		return is_no(&v, "an integer");
	}
}

int px_value_as_double(const struct px_value *value, double *out)
{
	struct px_value v;
	int rc = plain(value, &v);

	if (rc == 0)
		rc = px_need(out, "out");
	if (rc < 0)
		return rc;
	switch (v.type) {
	case PX_BOOL:
		*out = v.as.truth != 0;
		return 0;
	case PX_INT:
		*out = (double)v.as.integer;
		return 0;
	case PX_UINT:
		*out = (double)v.as.natural;
		return 0;
	case PX_DOUBLE:
		*out = v.as.real;
		return 0;
	default:
		return is_no(&v, "a number");
	}
}

int px_value_as_text(const struct px_value *value, const char **out)
{
	int rc = px_need(value, "value");

	if (rc == 0)
		rc = px_need(out, "out");
	if (rc < 0)
		return rc;
	if (value->type != PX_STRING && value->type != PX_BYTES && value->type != PX_OBJECT)
		return is_no(value, "a string");
	*out = value->as.text.data;
	return 0;
}
