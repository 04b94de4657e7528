/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/c/case.h"

#include <stdlib.h>
#include <string.h>

#include "client/values.h"
#include "shm/error.h"

/* The encoder's output as a reply, as if an engine had sent it. */
static struct px_incoming reply_of(const struct px_encoder *encoder)
{
	return (struct px_incoming){ .body = encoder->bytes, .body_bytes = encoder->length };
}

static void encode_each_kind_comes_back(void **state)
{
	struct px_encoder encoder = PX_ENCODER(NULL);
	struct px_value items[2] = { px_int(-1), px_string("in a list") };
	struct px_value list = { .type = PX_LIST, .as.list = { items, 2 } };
	struct px_value truth = { .type = PX_BOOL, .as.truth = 1 };
	struct px_value sent[] = { px_none(),         truth,
				   px_int(INT64_MIN), px_double(-0.5),
				   px_string("ä"),    px_bytes("\0\1", 2),
				   px_string(""),     list };
	const size_t count = sizeof(sent) / sizeof(sent[0]);
	struct px_decoded decoded;

	(void)state;
	for (size_t i = 0; i < count; i++)
		assert_int_equal(px_encode(&encoder, &sent[i]), 0);
	struct px_incoming reply = reply_of(&encoder);
	assert_int_equal(px_decode(&reply, &decoded), 0);
	assert_int_equal(decoded.count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(decoded.values[i].type, sent[i].type);
	assert_true(decoded.values[1].as.truth);
	assert_true(decoded.values[2].as.integer == INT64_MIN);
	assert_true(decoded.values[3].as.real == -0.5);
	assert_string_equal(decoded.values[4].as.text.data, "ä");
	assert_memory_equal(decoded.values[5].as.text.data, "\0\1", 3);
	assert_int_equal(decoded.values[6].as.text.bytes, 0);
	assert_int_equal(decoded.values[7].as.list.count, 2);
	assert_string_equal(decoded.values[7].as.list.items[1].as.text.data, "in a list");
	px_decoded_clear(&decoded);
	px_encoder_free(&encoder);
}

static void encode_long_text_leaves_the_small_room(void **state)
{
	struct px_encoder encoder = PX_ENCODER(NULL);
	char text[5000];
	struct px_decoded decoded;

	(void)state;
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	struct px_value value = px_string(text);
	for (int i = 0; i < 3; i++)
		assert_int_equal(px_encode(&encoder, &value), 0);
	struct px_incoming reply = reply_of(&encoder);
	assert_int_equal(px_decode(&reply, &decoded), 0);
	assert_int_equal(decoded.count, 3);
	assert_string_equal(decoded.values[2].as.text.data, text);
	px_decoded_clear(&decoded);
	px_encoder_free(&encoder);
}

static void encode_wrong_tensor_says_einval(void **state)
{
	struct px_encoder encoder = PX_ENCODER(NULL);
	struct px_tensor tensor = { .code = PX_DTYPE_FLOAT, .bits = 64, .ndim = 1, .shape = { 4 } };
	struct px_value value = px_array(&tensor);

	(void)state;
	tensor.bytes = 31;
	assert_int_equal(px_encode(&encoder, &value), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "32"));
	tensor.shape[0] = -1;
	assert_int_equal(px_encode(&encoder, &value), PX_EINVAL);
	tensor.ndim = 33;
	assert_int_equal(px_encode(&encoder, &value), PX_EINVAL);
	tensor.ndim = 2;
	tensor.shape[0] = tensor.shape[1] = INT64_MAX;
	assert_int_equal(px_encode(&encoder, &value), PX_EINVAL);
	px_encoder_free(&encoder);
}

/*
 * With every prefix and every changed byte it must be refused or decoded, without reading beyond
 * it.
 */
static void decode_damaged_never_crashes(void **state)
{
	struct px_encoder encoder = PX_ENCODER(NULL);
	struct px_value items[3] = { px_string("abc"), px_double(1), px_none() };
	struct px_value list = { .type = PX_LIST, .as.list = { items, 3 } };
	struct px_decoded decoded;
	uint8_t *copy;

	(void)state;
	srand(1);
	assert_int_equal(px_encode(&encoder, &list), 0);
	assert_int_equal(px_encode(&encoder, &items[0]), 0);
	for (size_t length = 1; length < encoder.length; length++) {
		copy = malloc(length); /* of that very size, for the sanitizer to see */
		memcpy(copy, encoder.bytes, length);
		struct px_incoming reply = { .body = copy, .body_bytes = length };
		if (px_decode(&reply, &decoded) == 0)
			px_decoded_clear(&decoded);
		free(copy);
	}
	for (int round = 0; round < 100000; round++) {
		copy = malloc(encoder.length);
		memcpy(copy, encoder.bytes, encoder.length);
		for (int hits = 1 + rand() % 4; hits; hits--)
			copy[(size_t)rand() % encoder.length] = (uint8_t)rand();
		struct px_incoming reply = { .body = copy, .body_bytes = encoder.length };
		int rc = px_decode(&reply, &decoded);
		assert_true(rc == 0 || rc == PX_ECORRUPT);
		if (rc == 0)
			px_decoded_clear(&decoded);
		free(copy);
	}
	px_encoder_free(&encoder);
}

static void decode_deep_list_says_corrupt(void **state)
{
	uint8_t body[9 * 200 + 1];
	struct px_decoded decoded;
	uint64_t one = 1;

	(void)state;
	for (int i = 0; i < 200; i++) {
		body[9 * i] = 'l';
		memcpy(&body[9 * i + 1], &one, 8);
	}
	body[9 * 200] = 'N';
	struct px_incoming reply = { .body = body, .body_bytes = sizeof(body) };
	assert_int_equal(px_decode(&reply, &decoded), PX_ECORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encode_each_kind_comes_back),
		cmocka_unit_test(encode_long_text_leaves_the_small_room),
		cmocka_unit_test(encode_wrong_tensor_says_einval),
		cmocka_unit_test(decode_damaged_never_crashes),
		cmocka_unit_test(decode_deep_list_says_corrupt),
	};

	return run_cases(tests, NULL, NULL);
}
