/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * values.c - makes, encodes and decodes values.
 */
#include "client/values.h"

#include <stdlib.h>
#include <string.h>

#include "client/array.h"
#include "shm/error.h"

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

/* --- encoding --- */

static int put(struct px_encoder *e, const void *data, size_t bytes)
{
	if (!e->bytes) {
		e->bytes = e->room;
		e->capacity = sizeof(e->room);
	}
	if (e->length + bytes > e->capacity) {
		size_t capacity = 2 * (e->length + bytes);
		uint8_t *grown = realloc(e->bytes == e->room ? NULL : e->bytes, capacity);

		if (!grown)
			return px_fail(PX_ENOMEM, "no private memory to send %zu bytes", bytes);
		if (e->bytes == e->room)
			memcpy(grown, e->room, e->length);
		e->bytes = grown;
		e->capacity = capacity;
	}
	if (bytes)
		memcpy(e->bytes + e->length, data, bytes);
	e->length += bytes;
	return 0;
}

static int put_tagged(struct px_encoder *e, char tag, const void *data, size_t bytes)
{
	int rc = put(e, &tag, 1);

	return rc < 0 ? rc : put(e, data, bytes);
}

static int put_text(struct px_encoder *e, char tag, const char *data, uint64_t bytes)
{
	int rc = put_tagged(e, tag, &bytes, sizeof(bytes));

	/* Of bytes, none may be nowhere. */
	if (rc == 0 && !data && (bytes || tag == 's'))
		rc = px_fail(PX_EINVAL, "a value of text is NULL");

	return rc < 0 ? rc : put(e, data, bytes);
}

/* Whether it is sent as it lies there: in a region of the sender's. One of another client's is copied. */
static bool is_lent(const struct px_encoder *e, const struct px_array *array)
{
	return array->region && array->bytes && e->endpoint &&
	       array->region->arena == e->endpoint->arena && px_region_lendable(array->region);
}

/* The array's memory as a part of the message, and where in it the first element is. */
static int pack(struct px_encoder *e, const struct px_array *array, struct px_part *part,
		uint64_t *first)
{
	*first = array->before;
	if (is_lent(e, array)) {
		px_region_hold(array->region);
		part->region = array->region;
		part->skip = (uint64_t)(array->data - array->before - (uint8_t *)array->region->at);
		part->bytes = array->span;
		return 0;
	}
	/* Also if it wraps memory of a region: of what is wrapped, a copy was promised. */
	return px_endpoint_copy(e->endpoint, array->bytes ? array->data - array->before : NULL,
				array->span, part);
}

/* A part of its own for elements that lie scattered: in C order, without the gaps. */
static int pack_scattered(struct px_encoder *e, const struct px_array *array, struct px_part *part)
{
	struct px_array *compact;
	int rc = px_array_new(array->dtype, array->ndim, array->shape, NULL, false, &compact);

	if (rc < 0)
		return rc;
	*part = (struct px_part){ .bytes = array->bytes };
	rc = px_region_new(e->endpoint->arena, array->bytes, &part->region);
	if (rc == 0)
		px_array_copy_to(array, part->region->at, compact->strides);
	px_array_unref(compact);
	return rc;
}

static int put_array_head(struct px_encoder *e, const struct px_array *array, bool strided,
			  uint64_t first)
{
	uint8_t head[5] = { strided ? 'A' : 'a', (uint8_t)((unsigned)array->dtype >> 8),
			    (uint8_t)array->dtype, (uint8_t)array->ndim };
	size_t bytes = (size_t)array->ndim * sizeof(int64_t);
	uint32_t index = e->parts_count++;
	int rc = put(e, head, sizeof(head));

	if (rc == 0)
		rc = put(e, array->shape, bytes);
	if (rc == 0 && strided)
		rc = put(e, array->strides, bytes);
	if (rc == 0 && strided)
		rc = put(e, &first, sizeof(first));
	return rc < 0 ? rc : put(e, &index, sizeof(index));
}

/*
 * What is lent goes as it is, strides and all; so does the copy of other memory whose elements fill it
 * (column-major arrays). Of the rest only the elements are copied.
 */
static int put_array(struct px_encoder *e, const struct px_array *array)
{
	struct px_part *parts;
	uint64_t first = 0;
	bool strided;
	int rc = px_array_check(array);

	if (rc < 0)
		return rc;
	parts = realloc(e->parts, (e->parts_count + 1) * sizeof(*parts));
	if (!parts)
		return px_fail(PX_ENOMEM, "no private memory for an array");
	e->parts = parts;
	parts += e->parts_count;
	strided = !array->c_contiguous && (is_lent(e, array) || array->span == array->bytes);
	rc = array->c_contiguous || strided ? pack(e, array, parts, &first) :
					      pack_scattered(e, array, parts);
	return rc < 0 ? rc : put_array_head(e, array, strided, first);
}

static int put_value(struct px_encoder *e, const struct px_value *value, unsigned depth);

static int check_container(const void *items, uint64_t count, unsigned depth)
{
	if (count && !items)
		return px_fail(PX_EINVAL, "a list or dict of %llu items is NULL",
			       (unsigned long long)count);
	if (depth >= PX_LIST_DEPTH_MAX)
		return px_fail(PX_EINVAL, "lists and dicts nest more than %d deep",
			       PX_LIST_DEPTH_MAX);
	return 0;
}

static int put_list(struct px_encoder *e, const struct px_value *value, unsigned depth)
{
	int rc = check_container(value->as.list.items, value->as.list.count, depth);

	if (rc == 0)
		rc = put_tagged(e, 'l', &value->as.list.count, sizeof(uint64_t));
	for (uint64_t i = 0; rc == 0 && i < value->as.list.count; i++)
		rc = put_value(e, &value->as.list.items[i], depth + 1);
	return rc;
}

static int check_key(const struct px_value *key)
{
	if (key->type == PX_LIST || key->type == PX_DICT || key->type == PX_ARRAY)
		return px_fail(PX_EINVAL, "a key of a dict is a list, a dict or an array");
	return 0;
}

static int put_dict(struct px_encoder *e, char tag, const struct px_value *value, unsigned depth)
{
	const struct px_value *keys = value->as.dict.keys, *values = value->as.dict.values;
	uint64_t count = value->as.dict.count;
	int rc = check_container(keys && values ? keys : NULL, count, depth);

	if (rc == 0)
		rc = put_tagged(e, tag, &count, sizeof(count));
	for (uint64_t i = 0; rc == 0 && i < count; i++) {
		rc = check_key(&keys[i]);
		if (rc == 0)
			rc = put_value(e, &keys[i], depth + 1);
		if (rc == 0)
			rc = put_value(e, &values[i], depth + 1);
	}
	return rc;
}

static int put_value(struct px_encoder *e, const struct px_value *value, unsigned depth)
{
	switch (value->type) {
	case PX_NONE:
		return put_tagged(e, 'N', NULL, 0);
	case PX_BOOL:
		return put_tagged(e, value->as.truth ? 'T' : 'F', NULL, 0);
	case PX_INT:
		return put_tagged(e, 'i', &value->as.integer, sizeof(int64_t));
	case PX_UINT:
		return put_tagged(e, 'u', &value->as.natural, sizeof(uint64_t));
	case PX_DOUBLE:
		return put_tagged(e, 'd', &value->as.real, sizeof(double));
	case PX_COMPLEX:
		return put_tagged(e, 'c', &value->as.complex_number,
				  sizeof(value->as.complex_number));
	case PX_STRING:
		return put_text(e, 's', value->as.text.data, value->as.text.bytes);
	case PX_BYTES:
		return put_text(e, 'b', value->as.text.data, value->as.text.bytes);
	case PX_LIST:
		return put_list(e, value, depth);
	case PX_DICT:
		return put_dict(e, 'm', value, depth);
	case PX_ARRAY:
		return put_array(e, value->as.array);
	case PX_OBJECT:
		return px_fail(PX_EINVAL, "an object cannot be sent, only received");
	}
	return px_fail(PX_EINVAL, "there is no value of type %d", (int)value->type);
}

int px_encode(struct px_encoder *e, const struct px_value *value)
{
	return put_value(e, value, 0);
}

int px_encode_raw(struct px_encoder *e, const void *data, size_t bytes)
{
	return put(e, data, bytes);
}

int px_encode_keywords(struct px_encoder *e, const struct px_value *dict)
{
	if (dict->type != PX_DICT)
		return px_fail(PX_EINVAL, "keyword arguments are no dict: use px_dict()");
	for (uint64_t i = 0; dict->as.dict.keys && i < dict->as.dict.count; i++)
		if (dict->as.dict.keys[i].type != PX_STRING)
			return px_fail(PX_EINVAL, "the name of keyword argument %llu is no string",
				       (unsigned long long)i);
	return put_dict(e, 'k', dict, 0);
}

void px_encoder_message(const struct px_encoder *e, uint16_t kind, struct px_outgoing *out)
{
	*out = (struct px_outgoing){
		.kind = kind,
		.body = e->bytes,
		.body_bytes = e->length,
		.buffers = e->parts,
		.buffers_count = e->parts_count,
	};
}

void px_encoder_free(struct px_encoder *e)
{
	px_parts_free(e->parts, e->parts_count);
	if (e->bytes != e->room)
		free(e->bytes);
}

/* --- decoding, with a cursor that keeps its first error --- */

struct px_decoded_block {
	struct px_decoded_block *next;
	struct px_array *array; /* whose reference ends with it; NULL: none */
	_Alignas(max_align_t) uint8_t memory[];
};

struct cursor {
	const uint8_t *at;
	uint64_t left;
	struct px_incoming *reply;
	struct px_decoded *out;
	int rc;
};

static struct px_decoded_block *keep(struct cursor *c, uint64_t bytes)
{
	struct px_decoded_block *block = malloc(sizeof(*block) + bytes);

	if (!block) {
		c->rc = px_fail(PX_ENOMEM, "no private memory for a reply's values");
		return NULL;
	}
	block->next = c->out->blocks;
	block->array = NULL;
	c->out->blocks = block;
	return block;
}

static const uint8_t *take(struct cursor *c, uint64_t bytes)
{
	const uint8_t *at = c->at;

	if (c->rc == 0 && bytes > c->left)
		c->rc = px_fail(PX_ECORRUPT, "an engine's reply ends in the middle of a value");
	if (c->rc < 0)
		return NULL;
	c->at += bytes;
	c->left -= bytes;
	return at;
}

static uint64_t take_u64(struct cursor *c)
{
	const uint8_t *at = take(c, 8);
	uint64_t number = 0;

	if (at)
		memcpy(&number, at, sizeof(number));
	return number;
}

/* Text is copied, so that it can be NUL-terminated. */
static void take_text(struct cursor *c, struct px_value *out, enum px_type type)
{
	uint64_t bytes = take_u64(c);
	const uint8_t *at = take(c, bytes);
	struct px_decoded_block *block = at ? keep(c, bytes + 1) : NULL;
	char *text;

	if (!block)
		return;
	text = (char *)block->memory;
	memcpy(text, at, bytes);
	text[bytes] = '\0';
	out->type = type;
	out->as.text.data = text;
	out->as.text.bytes = bytes;
}

/* The loan of that buffer, which is the caller's from now on; NULL: there is none. */
static struct px_loan *take_loan(struct cursor *c, uint32_t index)
{
	struct px_loan *loan = NULL;

	if (index < c->reply->buffers_count) {
		loan = c->reply->buffers[index];
		c->reply->buffers[index] = NULL;
	}
	return loan;
}

/* Copied out, for who wrote it may write on. */
static bool take_copy(struct cursor *c, void *to, size_t bytes)
{
	const uint8_t *at = take(c, bytes);

	if (at)
		memcpy(to, at, bytes);
	return at;
}

static void take_array(struct cursor *c, struct px_value *out, bool strided)
{
	int64_t shape[PX_NDIM_MAX], strides[PX_NDIM_MAX];
	struct px_decoded_block *block;
	uint64_t first = 0;
	uint8_t head[4];
	uint32_t index;

	if (!take_copy(c, head, sizeof(head)))
		return;
	if (head[2] > PX_NDIM_MAX) {
		c->rc = px_fail(PX_ECORRUPT, "an engine's reply has %u dimensions", head[2]);
		return;
	}
	if (!take_copy(c, shape, head[2] * sizeof(int64_t)) ||
	    (strided && !take_copy(c, strides, head[2] * sizeof(int64_t))) ||
	    (strided && !take_copy(c, &first, sizeof(first))) ||
	    !take_copy(c, &index, sizeof(index)))
		return;
	block = keep(c, 0);
	if (!block)
		return;
	c->rc = px_array_receive((enum px_dtype)(head[0] << 8 | head[1]), head[2], shape,
				 strided ? strides : NULL, take_loan(c, index), first,
				 &block->array);
	out->type = PX_ARRAY;
	out->as.array = block->array;
}

static void take_value(struct cursor *c, struct px_value *out, unsigned depth);

/* Room for so many values, which a container of them says that it has; NULL: it cannot be. */
static struct px_value *take_room(struct cursor *c, uint64_t count, uint64_t bytes_each,
				  unsigned depth)
{
	struct px_decoded_block *block;

	/* A greater count than there are bytes for is wrong; it must not be allocated. */
	if (c->rc == 0 && (count > c->left / bytes_each || depth >= PX_LIST_DEPTH_MAX))
		c->rc = px_fail(PX_ECORRUPT, "an engine's reply has a list that is nested too "
					     "deeply or longer than the reply");
	block = c->rc == 0 ? keep(c, count * bytes_each * sizeof(struct px_value)) : NULL;
	return block ? (struct px_value *)block->memory : NULL;
}

static void take_list(struct cursor *c, struct px_value *out, unsigned depth)
{
	uint64_t count = take_u64(c);
	struct px_value *items = take_room(c, count, 1, depth);

	for (uint64_t i = 0; items && i < count && c->rc == 0; i++)
		take_value(c, &items[i], depth + 1);
	*out = px_list(items, count);
}

static void take_dict(struct cursor *c, struct px_value *out, unsigned depth)
{
	uint64_t count = take_u64(c);
	struct px_value *keys = take_room(c, count, 2, depth), *values = keys ? keys + count : NULL;

	for (uint64_t i = 0; keys && i < count && c->rc == 0; i++) {
		take_value(c, &keys[i], depth + 1);
		take_value(c, &values[i], depth + 1);
	}
	*out = px_dict(keys, values, count);
}

static void take_number(struct cursor *c, struct px_value *out, enum px_type type, size_t bytes)
{
	out->type = type;
	(void)take_copy(c, &out->as, bytes);
}

static void take_value(struct cursor *c, struct px_value *out, unsigned depth)
{
	const uint8_t *at = take(c, 1);
	uint8_t tag = at ? *at : 0;

	memset(out, 0, sizeof(*out));
	switch (tag) {
	case 'N':
		break;
	case 'T':
	case 'F':
		out->type = PX_BOOL;
		out->as.truth = tag == 'T';
		break;
	case 'i':
		take_number(c, out, PX_INT, sizeof(int64_t));
		break;
	case 'd':
		take_number(c, out, PX_DOUBLE, sizeof(double));
		break;
	case 'u':
		take_number(c, out, PX_UINT, sizeof(uint64_t));
		break;
	case 'c':
		take_number(c, out, PX_COMPLEX, 2 * sizeof(double));
		break;
	case 's':
		take_text(c, out, PX_STRING);
		break;
	case 'b':
		take_text(c, out, PX_BYTES);
		break;
	case 'o':
		take_text(c, out, PX_OBJECT);
		break;
	case 'l':
		take_list(c, out, depth);
		break;
	case 'm':
		take_dict(c, out, depth);
		break;
	case 'a':
	case 'A':
		take_array(c, out, tag == 'A');
		break;
	default:
		if (c->rc == 0)
			c->rc = px_fail(PX_ECORRUPT, "an engine's reply has a value of kind %u",
					tag);
	}
}

int px_decode(struct px_incoming *reply, struct px_decoded *out)
{
	struct cursor c = { reply->body, reply->body_bytes, reply, out, 0 };

	memset(out, 0, sizeof(*out));
	while (c.left && c.rc == 0) {
		struct px_value *values = realloc(out->values, (out->count + 1) * sizeof(*values));

		if (!values) {
			c.rc = px_fail(PX_ENOMEM, "no private memory for a reply's values");
			break;
		}
		out->values = values;
		take_value(&c, &values[out->count++], 0);
	}
	if (c.rc < 0)
		px_decoded_clear(out);
	return c.rc;
}

void px_decoded_clear(struct px_decoded *decoded)
{
	while (decoded->blocks) {
		struct px_decoded_block *block = decoded->blocks;

		decoded->blocks = block->next;
		px_array_unref(block->array);
		free(block);
	}
	free(decoded->values);
	memset(decoded, 0, sizeof(*decoded));
}
