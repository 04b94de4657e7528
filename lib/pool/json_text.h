/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * json_text.h - writes JSON into a buffer of fixed size.
 *
 * Who:     the supervisor, for its status and the connection file.
 * Blocks:  never. When something does not fit, `full` is set and stays set.
 */
#ifndef PX_JSON_TEXT_H
#define PX_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct px_json_text {
	char *at; /* always NUL-terminated */
	size_t size, used;
	bool full;
};

/* As printf: structure, keys and numbers. */
void px_json_put(struct px_json_text *json, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A quoted and escaped string; null for NULL. Bytes that are not UTF-8 are written as they are. */
void px_json_put_string(struct px_json_text *json, const char *text);

#endif
