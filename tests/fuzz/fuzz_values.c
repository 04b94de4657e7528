/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_values.c - no reply that an engine may have written makes a client crash, or use memory that is
 * not the reply's.
 *
 * The input is the reply's body. It has three buffers: of 64 bytes, of 8, and an empty one.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/array.h"
#include "client/values.h"
#include "shm/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

/* As memory of its own, so that a sanitizer sees whoever goes beyond it. */
static struct px_loan *loan_of(uint64_t bytes)
{
	struct px_loan *loan = calloc(1, sizeof(*loan));

	loan->copy = calloc(1, bytes);
	loan->shared = loan->copy;
	loan->bytes = bytes;
	return loan;
}

static void check(int holds)
{
	if (!holds)
		abort();
}

/* Looks at the first byte and the last, at all elements of small ones, and copies these. */
static void use_array(const struct px_array *array)
{
	struct px_array *compact;
	uint8_t *copy;

	check(px_array_check(array) == 0);
	if (!array->bytes)
		return;
	sink = *(array->data - array->before);
	sink = *(array->data - array->before + array->span - 1);
	if (array->bytes > 4096)
		return; /* of few elements that are there many times */
	check(px_array_new(array->dtype, array->ndim, array->shape, NULL, true, &compact) == 0);
	copy = malloc(array->bytes);
	px_array_copy_to(array, copy, compact->strides);
	free(copy);
	px_array_unref(compact);
}

static void use(const struct px_value *value)
{
	switch (value->type) {
	case PX_STRING:
	case PX_BYTES:
	case PX_OBJECT:
		check(value->as.text.data[value->as.text.bytes] == '\0');
		break;
	case PX_LIST:
		for (uint64_t i = 0; i < value->as.list.count; i++)
			use(&value->as.list.items[i]);
		break;
	case PX_DICT:
		for (uint64_t i = 0; i < value->as.dict.count; i++) {
			use(&value->as.dict.keys[i]);
			use(&value->as.dict.values[i]);
		}
		break;
	case PX_ARRAY:
		use_array(value->as.array);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct px_incoming reply = { .body = data, .body_bytes = size, .buffers_count = 3 };
	struct px_decoded decoded;
	int rc;

	reply.buffers = calloc(3, sizeof(*reply.buffers));
	reply.buffers[0] = loan_of(64);
	reply.buffers[1] = loan_of(8);
	rc = px_decode(&reply, &decoded);
	check(rc == 0 || rc == PX_ECORRUPT);
	for (uint32_t i = 0; rc == 0 && i < decoded.count; i++)
		use(&decoded.values[i]);
	if (rc == 0)
		px_decoded_clear(&decoded);
	px_incoming_free(&reply);
	return 0;
}
