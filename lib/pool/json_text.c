/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * json_text.c - writes JSON.
 */
#include "pool/json_text.h"

#include <stdarg.h>
#include <stdio.h>

void px_json_put(struct px_json_text *json, const char *format, ...)
{
	size_t room = json->size - json->used;
	va_list ap;
	int length;

	if (json->full)
		return;
	va_start(ap, format);
	length = vsnprintf(json->at + json->used, room, format, ap);
	va_end(ap);
	if (length < 0 || (size_t)length >= room) {
		json->at[json->used] = '\0';
		json->full = true;
		return;
	}
	json->used += (size_t)length;
}

void px_json_put_string(struct px_json_text *json, const char *text)
{
	if (!text) {
		px_json_put(json, "null");
		return;
	}
	px_json_put(json, "\"");
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			px_json_put(json, "\\%c", c);
		else if (c < ' ')
			px_json_put(json, "\\u%04x", c);
		else
			px_json_put(json, "%c", c);
	}
	px_json_put(json, "\"");
}
