/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native_values.c - decodes arguments of native functions, and encodes their results.
 */
#include "engine/native_values.h"

#include <string.h>

#include "shm/error.h"

#define NDIM_MAX 32

struct cursor {
	const uint8_t *at;
	uint64_t left;
	struct px_incoming *in;
	int64_t *extents; /* the next that are free */
	int rc;
};

static int wrong(struct cursor *c)
{
	if (c->rc == 0)
		c->rc = px_fail(PX_ECORRUPT, "a native call's arguments cannot be read");
	return c->rc;
}

static const uint8_t *take(struct cursor *c, uint64_t bytes)
{
	const uint8_t *at = c->at;

	if (c->rc < 0 || bytes > c->left) {
		(void)wrong(c);
		return NULL;
	}
	c->at += bytes;
	c->left -= bytes;
	return at;
}

static void take_copy(struct cursor *c, void *out, uint64_t bytes)
{
	const uint8_t *at = take(c, bytes);

	if (at)
		memcpy(out, at, bytes);
}

static void take_text(struct cursor *c, struct px_native_arg *arg, int type)
{
	uint64_t bytes = 0;

	take_copy(c, &bytes, sizeof(bytes));
	arg->type = type;
	arg->text = (const char *)take(c, bytes);
	arg->bytes = bytes;
}

static void set_integer(struct px_native_arg *arg, int type, int64_t value)
{
	arg->type = type;
	arg->integer = value;
	arg->real = (double)value;
}

/* In C order. */
static void make_strides(const int64_t *shape, int ndim, int64_t item, int64_t *strides)
{
	for (int axis = ndim - 1; axis >= 0; axis--) {
		strides[axis] = item;
		item *= shape[axis] > 1 ? shape[axis] : 1;
	}
}

/* The bytes of all elements, and that they lie inside of the buffer: false if not. */
static bool fits(const int64_t *shape, const int64_t *strides, int ndim, uint64_t item,
		 uint64_t first, uint64_t room, uint64_t *bytes)
{
	uint64_t low = first, high = first, reach;

	*bytes = item;
	for (int axis = 0; axis < ndim; axis++)
		if (shape[axis] < 0 || __builtin_mul_overflow(*bytes, (uint64_t)shape[axis], bytes))
			return false;
	if (!*bytes)
		return true;
	for (int axis = 0; axis < ndim; axis++) {
		uint64_t step =
			strides[axis] < 0 ? 0 - (uint64_t)strides[axis] : (uint64_t)strides[axis];

		if (__builtin_mul_overflow(step, (uint64_t)shape[axis] - 1, &reach))
			return false;
		if (strides[axis] < 0) {
			if (reach > low)
				return false;
			low -= reach;
		} else if (__builtin_add_overflow(high, reach, &high)) {
			return false;
		}
	}
	return !__builtin_add_overflow(high, item, &high) && high <= room;
}

static void take_array(struct cursor *c, struct px_native_arg *arg, bool strided)
{
	uint8_t head[4] = { 0 };
	uint64_t first = 0, item;
	uint32_t index = 0;
	struct px_loan *loan;
	int64_t *shape = c->extents, *strides;
	void *data = NULL;
	int ndim;

	take_copy(c, head, sizeof(head));
	ndim = head[2];
	item = head[1] / 8;
	if (c->rc < 0 || ndim > NDIM_MAX || !item) {
		(void)wrong(c);
		return;
	}
	strides = shape + ndim;
	take_copy(c, shape, (uint64_t)ndim * sizeof(int64_t));
	if (strided) {
		take_copy(c, strides, (uint64_t)ndim * sizeof(int64_t));
		take_copy(c, &first, sizeof(first));
	}
	take_copy(c, &index, sizeof(index));
	if (c->rc < 0 || index >= c->in->buffers_count) {
		(void)wrong(c);
		return;
	}
	if (!strided)
		make_strides(shape, ndim, (int64_t)item, strides);
	loan = c->in->buffers[index];
	if (!fits(shape, strides, ndim, item, first, loan ? loan->bytes : 0, &arg->bytes)) {
		(void)wrong(c);
		return;
	}
	if (arg->bytes)
		c->rc = px_loan_map(loan, &data);
	c->extents = strides + ndim;
	arg->type = PX_NATIVE_ARRAY;
	arg->dtype = head[0] << 8 | head[1];
	arg->ndim = ndim;
	arg->live = loan && loan->live;
	arg->shape = shape;
	arg->strides = strides;
	arg->data = data ? (uint8_t *)data + first : NULL;
}

static void refuse(struct cursor *c, uint32_t index, uint8_t tag)
{
	static const char *const words[] = {
		['l'] = "a list", ['m'] = "a dict", ['k'] = "keywords"
	};

	if (c->rc < 0)
		return;
	if (tag < sizeof(words) / sizeof(words[0]) && words[tag])
		c->rc = px_fail(
			PX_EINVAL,
			"argument %u is %s: native functions take numbers, texts and arrays", index,
			words[tag]);
	else
		(void)wrong(c);
}

static void take_value(struct cursor *c, struct px_native_arg *arg, uint32_t index)
{
	const uint8_t *tag = take(c, 1);
	double parts[2] = { 0 };
	int64_t integer = 0;

	memset(arg, 0, sizeof(*arg));
	switch (tag ? *tag : 0) {
	case 'N':
		break;
	case 'T':
	case 'F':
		set_integer(arg, PX_NATIVE_BOOL, *tag == 'T');
		break;
	case 'i':
		take_copy(c, &integer, sizeof(integer));
		set_integer(arg, PX_NATIVE_INT, integer);
		break;
	case 'u':
		arg->type = PX_NATIVE_UINT;
		take_copy(c, &arg->natural, sizeof(arg->natural));
		arg->real = (double)arg->natural;
		break;
	case 'd':
		arg->type = PX_NATIVE_DOUBLE;
		take_copy(c, &arg->real, sizeof(arg->real));
		break;
	case 'c':
		arg->type = PX_NATIVE_COMPLEX;
		take_copy(c, parts, sizeof(parts));
		arg->real = parts[0];
		arg->imaginary = parts[1];
		break;
	case 's':
		take_text(c, arg, PX_NATIVE_TEXT);
		break;
	case 'b':
		take_text(c, arg, PX_NATIVE_BYTES);
		break;
	case 'a':
	case 'A':
		take_array(c, arg, *tag == 'A');
		break;
	default:
		refuse(c, index, tag ? *tag : 0);
	}
}

int px_native_decode(struct px_native_values *values, struct px_incoming *in, const uint8_t *at,
		     uint32_t argc)
{
	struct cursor c = {
		.at = at,
		.left = in->body_bytes - (uint64_t)(at - (const uint8_t *)in->body),
		.in = in,
		.extents = values->extents,
	};

	for (uint32_t i = 0; i < argc && c.rc == 0; i++)
		take_value(&c, &values->args[i], i);
	return c.rc;
}

/* --- results --- */

static uint8_t *put(uint8_t *out, const void *data, uint64_t bytes)
{
	memcpy(out, data, bytes);
	return out + bytes;
}

static uint8_t *put_text(uint8_t *out, char tag, const char *text, uint64_t bytes)
{
	*out++ = (uint8_t)tag;
	out = put(out, &bytes, sizeof(bytes));
	return put(out, text, bytes);
}

int px_native_encode(const struct px_native_result *result, uint8_t *out)
{
	uint8_t *at = out;
	uint64_t bytes = result->bytes < PX_NATIVE_TEXT_MAX ? result->bytes : PX_NATIVE_TEXT_MAX;

	switch (result->type) {
	case PX_NATIVE_NONE:
		*at++ = 'N';
		break;
	case PX_NATIVE_BOOL:
		*at++ = result->integer ? 'T' : 'F';
		break;
	case PX_NATIVE_INT:
		*at++ = 'i';
		at = put(at, &result->integer, sizeof(int64_t));
		break;
	case PX_NATIVE_DOUBLE:
		*at++ = 'd';
		at = put(at, &result->real, sizeof(double));
		break;
	case PX_NATIVE_COMPLEX:
		*at++ = 'c';
		at = put(at, &result->real, sizeof(double));
		at = put(at, &result->imaginary, sizeof(double));
		break;
	case PX_NATIVE_TEXT:
	case PX_NATIVE_BYTES:
		at = put_text(at, result->type == PX_NATIVE_TEXT ? 's' : 'b', result->text, bytes);
		break;
	default:
		return px_fail(PX_EINVAL,
			       "a native function's result has the type %d: it returns a number, a "
			       "text or nothing",
			       result->type);
	}
	return (int)(at - out);
}

int px_native_encode_failure(const char *words, uint64_t bytes, uint8_t *out)
{
	uint8_t *at = put_text(out, 's', "NativeError", strlen("NativeError"));

	at = put_text(at, 's', words, bytes < PX_NATIVE_TEXT_MAX ? bytes : PX_NATIVE_TEXT_MAX);
	at = put_text(at, 's', "", 0);
	at = put_text(at, 'b', "", 0);
	at = put_text(at, 's', "native", strlen("native"));
	return (int)(at - out);
}
