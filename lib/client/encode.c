/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * encode.c - values as messages carry them.
 */
#include "client/values.h"

#include <stdlib.h>
#include <string.h>

#include "client/array.h"
#include "shm/error.h"

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
