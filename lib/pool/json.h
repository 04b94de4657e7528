/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * json.h - reads JSON: connection files, and the status of a pool.
 *
 * Who:     anyone; no state, nothing is allocated.
 *
 * A value is a pointer to its first character in a NUL-terminated text, which must stay as long.
 * NULL is a value that is not there; all functions take it. Text that is not JSON has no members.
 */
#ifndef PX_JSON_H
#define PX_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value of a text; NULL if the text is not one well-formed value. */
const char *px_json_parse(const char *text);
/* A member of an object, NULL if there is none. */
const char *px_json_member(const char *object, const char *key);
/* The first item of an array, and the next item; NULL at the end. */
const char *px_json_first(const char *array);
const char *px_json_next(const char *item);
/* A number, or `otherwise` if it is not one. */
double px_json_number(const char *value, double otherwise);
bool px_json_true(const char *value);
/* A string, unescaped and NUL-terminated; false (and "") if it is not one or is too long. */
bool px_json_string(const char *value, char *out, size_t out_bytes);

#endif
