/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_json_text.c - JSON that json_text.c writes can be read by json.c.
 */
#include "tests/c/case.h"

#include <stdbool.h>
#include <string.h>

#include "pool/json.h"
#include "pool/json_text.h"

static void json_that_is_full_stays_whole(void **state)
{
	char text[32], back[32];
	struct px_json_text json = { .at = text, .size = sizeof(text) };

	(void)state;
	px_json_put_string(&json, "a\"\\\n\x01");
	assert_string_equal(text, "\"a\\\"\\\\\\u000a\\u0001\"");
	assert_true(px_json_string(text, back, sizeof(back)));
	assert_string_equal(back, "a\"\\\n\x01");
	assert_false(json.full);
	px_json_put(&json, "%s", "this does not fit any more");
	assert_true(json.full);
	assert_int_equal(strlen(text), json.used);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_that_is_full_stays_whole),
	};

	return run_cases(tests, NULL, NULL);
}
