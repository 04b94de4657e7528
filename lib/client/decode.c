/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode.c - reads values from messages, by a cursor that keeps its first error.
 */
#include "client/values.h"

#include <stdlib.h>
#include <string.h>

#include "client/array.h"
#include "shm/error.h"

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
