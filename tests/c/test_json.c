/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_json.c - values are found, and text that is not JSON has none.
 */
#include "tests/c/case.h"

#include <string.h>

#include "pool/json.h"

static const char pool[] =
	"{ \"a\": 1, \"engines\" : [ {\"id\":0,\"up\":true}, {\"id\":1,\"up\":false} ],\n"
	"  \"none\": [], \"nested\": {\"engines\": 7, \"text\": \"x\"}, \"busy\": -1.5e1, \"n\": null }";

static void member_found_at_its_level(void **state)
{
	const char *json = px_json_parse(pool);

	(void)state;
	assert_non_null(json);
	assert_true(px_json_number(px_json_member(json, "a"), 0) == 1);
	assert_true(px_json_number(px_json_member(json, "busy"), 0) == -15);
	assert_true(px_json_number(px_json_member(px_json_member(json, "nested"), "engines"), 0) ==
		    7);
	assert_null(px_json_member(json, "text"));
	assert_null(px_json_member(json, "eng"));
	assert_null(px_json_member(NULL, "a"));
	assert_null(px_json_member(px_json_member(json, "a"), "a"));
	assert_true(px_json_number(px_json_member(json, "n"), 9) == 9);
}

static void next_walks_array(void **state)
{
	const char *item = px_json_first(px_json_member(px_json_parse(pool), "engines"));

	(void)state;
	assert_true(px_json_number(px_json_member(item, "id"), -1) == 0);
	assert_true(px_json_true(px_json_member(item, "up")));
	item = px_json_next(item);
	assert_true(px_json_number(px_json_member(item, "id"), -1) == 1);
	assert_false(px_json_true(px_json_member(item, "up")));
	assert_null(px_json_next(item));
	assert_null(px_json_first(px_json_member(px_json_parse(pool), "none")));
	assert_null(px_json_first(px_json_parse("{}")));
}

static void string_unescaped(void **state)
{
	const char *json =
		px_json_parse("[\"a\\n\\\"\\\\\\/\\u0041\\u00e4\\u20ac\", 3, \"\\uZZZZ\"]");
	char text[32];

	(void)state;
	assert_true(px_json_string(px_json_first(json), text, sizeof(text)));
	assert_string_equal(text, "a\n\"\\/A\xc3\xa4\xe2\x82\xac");
	assert_false(px_json_string(px_json_next(px_json_first(json)), text, sizeof(text)));
	assert_string_equal(text, "");
	assert_false(px_json_string(NULL, text, sizeof(text)));
	assert_false(px_json_string(px_json_first(json), text, 8));
	assert_string_equal(text, "");
}

static void parse_garbage_is_nothing(void **state)
{
	static const char *const texts[] = {
		"",      " ",  "{",      "}",      "[1,]",  "[1 2]", "{\"a\"}",  "{\"a\":}",
		"{a:1}", "\"", "\"\\\"", "\"\n\"", "truth", "{} {}", "[\"\\\"]", "nul",
	};
	char deep[200];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_null(px_json_parse(texts[i]));
	memset(deep, '[', 100);
	memset(deep + 100, ']', 99);
	deep[199] = '\0';
	assert_null(px_json_parse(deep));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(member_found_at_its_level),
		cmocka_unit_test(next_walks_array),
		cmocka_unit_test(string_unescaped),
		cmocka_unit_test(parse_garbage_is_nothing),
	};

	return run_cases(tests, NULL, NULL);
}
