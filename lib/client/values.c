/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * values.c - encodes and decodes values.
 */
#include "client/values.h"

#include <stdlib.h>
#include <string.h>

#include "shm/error.h"

/* How deep lists may nest, so that what a peer wrote cannot exhaust the stack. */
#define DEPTH_MAX 100

struct px_value px_string(const char *text)
{
	struct px_value v = { .type = PX_STRING };

	v.as.text.data = text;
	if (px_need(text, "text") == 0)
		v.as.text.bytes = strlen(text);
	return v;
}

struct px_value px_bytes(const void *data, uint64_t bytes)
{
	struct px_value v = { .type = PX_BYTES };

	if (bytes)
		(void)px_need(data, "data");
	v.as.text.data = data;
	v.as.text.bytes = bytes;
	return v;
}

struct px_value px_array(const struct px_tensor *tensor)
{
	struct px_value v = { .type = PX_TENSOR };

	(void)px_need(tensor, "tensor");
	v.as.tensor = tensor;
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

static int tensor_bytes(const struct px_tensor *tensor, uint64_t *out)
{
	uint64_t bytes = tensor->bits / 8;

	if (tensor->ndim > PX_TENSOR_NDIM_MAX || !bytes || tensor->bits % 8)
		return px_fail(PX_EINVAL, "a tensor of %u dimensions and %u bits an element",
			       tensor->ndim, tensor->bits);
	for (unsigned i = 0; i < tensor->ndim; i++)
		if (tensor->shape[i] < 0 ||
		    __builtin_mul_overflow(bytes, (uint64_t)tensor->shape[i], &bytes))
			return px_fail(PX_EINVAL, "dimension %u of a tensor is %lld", i,
				       (long long)tensor->shape[i]);
	*out = bytes;
	return 0;
}

static int put_tensor(struct px_encoder *e, const struct px_tensor *tensor)
{
	uint8_t head[5] = { 'a' };
	uint32_t index = e->parts_count;
	struct px_part *parts;
	uint64_t bytes;
	int rc = tensor ? tensor_bytes(tensor, &bytes) : px_fail(PX_EINVAL, "a tensor is NULL");

	if (rc < 0)
		return rc;
	if (bytes && !tensor->data)
		return px_fail(PX_EINVAL, "a tensor of %llu bytes has no data",
			       (unsigned long long)bytes);
	if (bytes != tensor->bytes)
		return px_fail(PX_EINVAL, "a tensor says %llu bytes, its shape needs %llu",
			       (unsigned long long)tensor->bytes, (unsigned long long)bytes);
	parts = realloc(e->parts, (index + 1) * sizeof(*parts));
	if (!parts)
		return px_fail(PX_ENOMEM, "no private memory for a tensor");
	e->parts = parts;
	rc = px_endpoint_pack(e->client->endpoint, tensor->data, bytes, &parts[index]);
	if (rc < 0)
		return rc;
	e->parts_count++;
	head[1] = tensor->code;
	head[2] = tensor->bits;
	head[3] = tensor->ndim;
	rc = put(e, head, sizeof(head));
	if (rc == 0)
		rc = put(e, tensor->shape, tensor->ndim * sizeof(int64_t));
	return rc < 0 ? rc : put(e, &index, sizeof(index));
}

static int put_list(struct px_encoder *e, const struct px_value *value)
{
	int rc = put_tagged(e, 'l', &value->as.list.count, sizeof(uint64_t));

	if (rc == 0 && value->as.list.count && !value->as.list.items)
		rc = px_fail(PX_EINVAL, "a list of %llu items is NULL",
			     (unsigned long long)value->as.list.count);
	for (uint64_t i = 0; i < value->as.list.count && rc == 0; i++)
		rc = px_encode(e, &value->as.list.items[i]);
	return rc;
}

int px_encode(struct px_encoder *e, const struct px_value *value)
{
	switch (value->type) {
	case PX_NONE:
		return put_tagged(e, 'N', NULL, 0);
	case PX_BOOL:
		return put_tagged(e, value->as.truth ? 'T' : 'F', NULL, 0);
	case PX_INT:
		return put_tagged(e, 'i', &value->as.integer, sizeof(int64_t));
	case PX_DOUBLE:
		return put_tagged(e, 'd', &value->as.real, sizeof(double));
	case PX_STRING:
		return put_text(e, 's', value->as.text.data, value->as.text.bytes);
	case PX_BYTES:
		return put_text(e, 'b', value->as.text.data, value->as.text.bytes);
	case PX_LIST:
		return put_list(e, value);
	case PX_TENSOR:
		return put_tensor(e, value->as.tensor);
	case PX_OBJECT:
		break;
	}
	return px_fail(PX_EINVAL, "a value of type %d cannot be sent", (int)value->type);
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
	_Alignas(max_align_t) uint8_t memory[];
};

struct cursor {
	const uint8_t *at;
	uint64_t left;
	const struct px_incoming *reply;
	struct px_decoded *out;
	int rc;
};

static void *keep(struct cursor *c, uint64_t bytes)
{
	struct px_decoded_block *block = malloc(sizeof(*block) + bytes);

	if (!block) {
		c->rc = px_fail(PX_ENOMEM, "no private memory for a reply's values");
		return NULL;
	}
	block->next = c->out->blocks;
	c->out->blocks = block;
	return block->memory;
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
	char *text = at ? keep(c, bytes + 1) : NULL;

	if (!text)
		return;
	memcpy(text, at, bytes);
	text[bytes] = '\0';
	out->type = type;
	out->as.text.data = text;
	out->as.text.bytes = bytes;
}

static void tensor_data(struct cursor *c, struct px_tensor *tensor, uint32_t index)
{
	void *data = NULL;

	if (tensor_bytes(tensor, &tensor->bytes) < 0)
		goto corrupt;
	if (tensor->bytes) {
		struct px_loan *loan =
			index < c->reply->buffers_count ? c->reply->buffers[index] : NULL;
		if (!loan || loan->bytes < tensor->bytes)
			goto corrupt;
		c->rc = px_loan_map(loan, &data);
	}
	tensor->data = data;
	return;

corrupt:
	c->rc = px_fail(PX_ECORRUPT, "an engine's reply has a tensor without its data");
}

static void take_tensor(struct cursor *c, struct px_value *out)
{
	const uint8_t *head = take(c, 4);
	struct px_tensor *tensor = head ? keep(c, sizeof(*tensor)) : NULL;
	const uint8_t *shape, *index;
	uint32_t number;

	if (!tensor)
		return;
	memset(tensor, 0, sizeof(*tensor));
	tensor->code = head[0];
	tensor->bits = head[1];
	tensor->ndim = head[2] <= PX_TENSOR_NDIM_MAX ? head[2] : 0;
	if (head[2] > PX_TENSOR_NDIM_MAX)
		c->rc = px_fail(PX_ECORRUPT, "an engine's reply has %u dimensions", head[2]);
	shape = take(c, tensor->ndim * sizeof(int64_t));
	index = take(c, sizeof(number));
	if (!index)
		return;
	memcpy(tensor->shape, shape, tensor->ndim * sizeof(int64_t));
	memcpy(&number, index, sizeof(number));
	tensor_data(c, tensor, number);
	out->type = PX_TENSOR;
	out->as.tensor = tensor;
}

static void take_value(struct cursor *c, struct px_value *out, unsigned depth);

static void take_list(struct cursor *c, struct px_value *out, unsigned depth)
{
	uint64_t count = take_u64(c);
	struct px_value *items;

	/* An item takes a byte at least, so a greater count is wrong; it must not be allocated. */
	if (c->rc == 0 && (count > c->left || depth >= DEPTH_MAX))
		c->rc = px_fail(PX_ECORRUPT, "an engine's reply has a list that is nested too "
					     "deeply or longer than the reply");
	items = c->rc == 0 ? keep(c, count * sizeof(*items) + 1) : NULL;
	if (!items)
		return;
	for (uint64_t i = 0; i < count && c->rc == 0; i++)
		take_value(c, &items[i], depth + 1);
	out->type = PX_LIST;
	out->as.list.items = items;
	out->as.list.count = count;
}

static void take_number(struct cursor *c, struct px_value *out, enum px_type type)
{
	uint64_t bits = take_u64(c);

	out->type = type;
	if (type == PX_INT)
		memcpy(&out->as.integer, &bits, sizeof(bits));
	else
		memcpy(&out->as.real, &bits, sizeof(bits));
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
		take_number(c, out, PX_INT);
		break;
	case 'd':
		take_number(c, out, PX_DOUBLE);
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
	case 'a':
		take_tensor(c, out);
		break;
	default:
		if (c->rc == 0)
			c->rc = px_fail(PX_ECORRUPT, "an engine's reply has a value of kind %u",
					tag);
	}
}

int px_decode(const struct px_incoming *reply, struct px_decoded *out)
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
		free(block);
	}
	free(decoded->values);
	memset(decoded, 0, sizeof(*decoded));
}
