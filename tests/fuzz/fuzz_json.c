/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_json.c - no text makes the reader of connection files crash or read beyond its end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pool/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(const char *value)
{
	char text[64];

	(void)px_json_number(value, 0);
	(void)px_json_true(value);
	(void)px_json_string(value, text, sizeof(text));
	(void)px_json_member(value, "a");
	for (const char *item = px_json_first(value); item; item = px_json_next(item))
		visit(item);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	const char *value;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	value = px_json_parse(text);
	if (value)
		visit(value);
	free(text);
	return 0;
}
