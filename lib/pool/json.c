/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * json.c - a reader of JSON that skips from value to value.
 */
#include "pool/json.h"

#include <stdlib.h>
#include <string.h>

/* A connection file may have been written by anything: it must not exhaust the stack. */
#define DEPTH_MAX 32

static const char *skip_space(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
	if (*at++ != '"')
		return NULL;
	while (*at != '"') {
		if (*at == '\\')
			at++;
		if ((unsigned char)*at++ < ' ')
			return NULL;
	}
	return at + 1;
}

/* true, false, null, or a number. */
static const char *skip_word(const char *at)
{
	static const char *const words[] = { "true", "false", "null" };
	const char *end;

	for (unsigned i = 0; i < 3; i++)
		if (!strncmp(at, words[i], strlen(words[i])))
			return at + strlen(words[i]);
	end = at + strspn(at, "+-.0123456789eE");
	return end > at ? end : NULL;
}

static const char *skip_value(const char *at, unsigned depth);

static const char *skip_members(const char *at, unsigned depth)
{
	char close = *at == '{' ? '}' : ']';

	at = skip_space(at + 1);
	if (*at == close)
		return at + 1;
	for (;;) {
		if (close == '}') {
			at = skip_string(at);
			at = at ? skip_space(at) : NULL;
			if (!at || *at != ':')
				return NULL;
			at = skip_space(at + 1);
		}
		at = skip_value(at, depth + 1);
		at = at ? skip_space(at) : NULL;
		if (!at || (*at != ',' && *at != close))
			return NULL;
		if (*at == close)
			return at + 1;
		at = skip_space(at + 1);
	}
}

/* The end of the value, NULL if it is not one. */
static const char *skip_value(const char *at, unsigned depth)
{
	if (depth > DEPTH_MAX)
		return NULL;
	if (*at == '{' || *at == '[')
		return skip_members(at, depth);
	return *at == '"' ? skip_string(at) : skip_word(at);
}

const char *px_json_parse(const char *text)
{
	const char *value = skip_space(text);
	const char *end = skip_value(value, 0);

	return end && !*skip_space(end) ? value : NULL;
}

const char *px_json_first(const char *array)
{
	if (!array || *array != '[')
		return NULL;
	array = skip_space(array + 1);
	return *array == ']' ? NULL : array;
}

const char *px_json_next(const char *item)
{
	item = skip_value(item, 0);
	item = item ? skip_space(item) : NULL;
	return item && *item == ',' ? skip_space(item + 1) : NULL;
}

const char *px_json_member(const char *object, const char *key)
{
	size_t length = strlen(key);
	const char *at;

	if (!object || *object != '{')
		return NULL;
	for (at = skip_space(object + 1); at && *at == '"'; at = px_json_next(at)) {
		const char *name = at + 1;

		at = skip_string(at);
		at = at ? skip_space(at) : NULL;
		if (!at || *at != ':')
			return NULL;
		at = skip_space(at + 1);
		/* The keys that we ask for need no escapes. */
		if (!strncmp(name, key, length) && name[length] == '"')
			return at;
	}
	return NULL;
}

double px_json_number(const char *value, double otherwise)
{
	char *end;
	double number = value ? strtod(value, &end) : 0;

	return value && end > value ? number : otherwise;
}

bool px_json_true(const char *value)
{
	return value && !strncmp(value, "true", 4);
}

static int hex4(const char *at)
{
	char digits[5] = "";
	char *end;
	long code;

	strncpy(digits, at, 4);
	code = strtol(digits, &end, 16);
	return end == digits + 4 ? (int)code : -1;
}

/* One escape, as UTF-8; returns its bytes, and leaves *at on its last character. */
static size_t unescape(const char **at, char *out)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *letter = strchr(from, **at);
	int code;

	if (**at != 'u') {
		*out = letter && *letter ? to[letter - from] : **at;
		return 1;
	}
	code = hex4(*at + 1);
	if (code < 0) {
		*out = '?';
		return 1;
	}
	*at += 4;
	if (code < 0x80) {
		*out = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	out[0] = (char)(0xe0 | code >> 12);
	out[1] = (char)(0x80 | (code >> 6 & 0x3f));
	out[2] = (char)(0x80 | (code & 0x3f));
	return 3;
}

bool px_json_string(const char *value, char *out, size_t out_bytes)
{
	size_t used = 0;

	*out = '\0';
	if (!value || *value != '"' || !skip_string(value))
		return false;
	for (const char *at = value + 1; *at != '"'; at++) {
		if (used + 4 > out_bytes) {
			*out = '\0';
			return false;
		}
		if (*at == '\\') {
			at++;
			used += unescape(&at, out + used);
		} else {
			out[used++] = *at;
		}
	}
	out[used] = '\0';
	return true;
}
