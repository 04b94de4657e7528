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
	struct px_value list = px_list(items, 2), truth = px_bool(3);
	struct px_value dict = px_dict(items, &items[1], 1);
	struct px_value sent[] = { px_none(),         truth,          px_int(INT64_MIN),
				   px_double(-0.5),   px_string("ä"), px_bytes("\0\1", 2),
				   px_string(""),     list,           px_uint(UINT64_MAX),
				   px_complex(1, -2), dict,           px_dict(NULL, NULL, 0) };
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
	assert_true(decoded.values[8].as.natural == UINT64_MAX);
	assert_true(decoded.values[9].as.complex_number.im == -2);
	assert_int_equal(decoded.values[10].as.dict.count, 1);
	assert_true(decoded.values[10].as.dict.keys[0].as.integer == -1);
	assert_string_equal(decoded.values[10].as.dict.values[0].as.text.data, "in a list");
	assert_int_equal(decoded.values[11].as.dict.count, 0);
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

static int refused(const struct px_value *value, const char *word)
{
	struct px_encoder encoder = PX_ENCODER(NULL);
	int rc = px_encode(&encoder, value);

	px_encoder_free(&encoder);
	return rc == PX_EINVAL && px_last_code() == PX_EINVAL && strstr(px_last_error(), word);
}

static void encode_what_cannot_be_says_einval(void **state)
{
	struct px_value nested = px_none(), none = px_none(), key, dict;
	struct px_value chain[PX_LIST_DEPTH_MAX + 1];

	(void)state;
	chain[0] = nested;
	for (int i = 1; i <= PX_LIST_DEPTH_MAX; i++)
		chain[i] = px_list(&chain[i - 1], 1);
	nested = px_list(&chain[PX_LIST_DEPTH_MAX], 1);
	assert_true(refused(&nested, "deep"));
	key = px_list(NULL, 0);
	dict = px_dict(&key, &none, 1);
	assert_true(refused(&dict, "key"));
	dict = px_dict(NULL, &none, 1);
	assert_true(refused(&dict, "NULL"));
	nested = px_list(NULL, 1);
	assert_true(refused(&nested, "NULL"));
	nested = px_string(NULL);
	assert_true(refused(&nested, "NULL"));
	nested = px_of_array(NULL);
	assert_true(refused(&nested, "array"));
	nested.type = (enum px_type)77;
	assert_true(refused(&nested, "77"));
	nested.type = PX_OBJECT;
	assert_true(refused(&nested, "object"));
}

static void keywords_are_a_dict_with_strings(void **state)
{
	struct px_encoder encoder = PX_ENCODER(NULL);
	struct px_value keys[] = { px_string("a"), px_int(1) }, values[] = { px_none(), px_none() };
	struct px_value one = px_dict(keys, values, 1), two = px_dict(keys, values, 2);

	(void)state;
	assert_int_equal(px_encode_keywords(&encoder, &one), 0);
	assert_int_equal(encoder.bytes[0], 'k');
	assert_int_equal(px_encode_keywords(&encoder, &two), PX_EINVAL);
	assert_int_equal(px_encode_keywords(&encoder, keys), PX_EINVAL);
	px_encoder_free(&encoder);
}

static void value_reads_what_fits(void **state)
{
	struct px_value keys[] = { px_string("a"), px_string("b") };
	struct px_value values[] = { px_double(2), px_string("t") }, got;
	struct px_value dict = px_dict(keys, values, 2);
	uint64_t large = UINT64_MAX;
	struct px_array *array;
	const char *text;
	int64_t integer;
	double real;

	(void)state;
	assert_int_equal(px_value_get(&dict, "b", &got), 0);
	assert_int_equal(px_value_as_text(&got, &text), 0);
	assert_string_equal(text, "t");
	assert_int_equal(px_value_as_int64(&got, &integer), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "a string"));
	assert_int_equal(px_value_get(&dict, "a", &got), 0);
	assert_int_equal(px_value_as_int64(&got, &integer), 0);
	assert_int_equal(integer, 2);
	assert_int_equal(px_value_get(&dict, "ab", &got), PX_EINVAL);
	got = px_double(0x1p63);
	assert_int_equal(px_value_as_int64(&got, &integer), PX_EINVAL);
	got = px_double(0.5);
	assert_int_equal(px_value_as_int64(&got, &integer), PX_EINVAL);
	got = px_uint(large);
	assert_int_equal(px_value_as_int64(&got, &integer), PX_EINVAL);
	assert_int_equal(px_value_as_double(&got, &real), 0);
	assert_int_equal(px_array_wrap(&large, PX_DTYPE_UINT8, 1, (int64_t[]){ 1 }, NULL, &array),
			 0);
	got = px_of_array(array);
	assert_int_equal(px_value_as_int64(&got, &integer), 0);
	assert_int_equal(integer, 255);
	px_array_unref(array);
	assert_int_equal(px_array_wrap(&large, PX_DTYPE_UINT8, 1, (int64_t[]){ 2 }, NULL, &array),
			 0);
	got = px_of_array(array);
	assert_int_equal(px_value_as_int64(&got, &integer), PX_EINVAL);
	px_array_unref(array);
}

/*
 * With every prefix and every changed byte it must be refused or decoded, without reading beyond
 * it.
 */
static void decode_damaged_never_crashes(void **state)
{
	struct px_encoder encoder = PX_ENCODER(NULL);
	struct px_value items[4] = { px_string("abc"), px_double(1), px_none() };
	struct px_value list = px_list(items, 4);
	struct px_decoded decoded;
	uint8_t *copy;

	(void)state;
	srand(1);
	items[3] = px_dict(items, items, 2);
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
		cmocka_unit_test(encode_what_cannot_be_says_einval),
		cmocka_unit_test(keywords_are_a_dict_with_strings),
		cmocka_unit_test(value_reads_what_fits),
		cmocka_unit_test(decode_damaged_never_crashes),
		cmocka_unit_test(decode_deep_list_says_corrupt),
	};

	return run_cases(tests, NULL, NULL);
}
