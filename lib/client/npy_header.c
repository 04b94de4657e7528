/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * npy_header.c - parses and prints the header of a .npy file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/npy.h"
#include "shm/error.h"

static const struct {
	const char *code; /* without the byte order */
	enum px_dtype dtype;
} dtypes[] = {
	{ "i1", PX_DTYPE_INT8 },        { "i2", PX_DTYPE_INT16 },   { "i4", PX_DTYPE_INT32 },
	{ "i8", PX_DTYPE_INT64 },       { "u1", PX_DTYPE_UINT8 },   { "u2", PX_DTYPE_UINT16 },
	{ "u4", PX_DTYPE_UINT32 },      { "u8", PX_DTYPE_UINT64 },  { "f2", PX_DTYPE_FLOAT16 },
	{ "f4", PX_DTYPE_FLOAT32 },     { "f8", PX_DTYPE_FLOAT64 }, { "c8", PX_DTYPE_COMPLEX64 },
	{ "c16", PX_DTYPE_COMPLEX128 }, { "b1", PX_DTYPE_BOOL },
};
#define DTYPES (sizeof(dtypes) / sizeof(dtypes[0]))

/* What is left of the text, for one pass over it. */
struct reader {
	const char *at, *end;
};

static void skip_spaces(struct reader *r)
{
	while (r->at < r->end && strchr(" \t\r\n", *r->at))
		r->at++;
}

/* Whether that comes next; it is gone past. */
static bool take(struct reader *r, const char *word)
{
	size_t length = strlen(word);

	skip_spaces(r);
	if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0)
		return false;
	r->at += length;
	return true;
}

/* A quoted word of at most room - 1 characters. */
static bool take_quoted(struct reader *r, char *out, size_t room)
{
	char quote;
	size_t used = 0;

	skip_spaces(r);
	if (r->at == r->end || (*r->at != '\'' && *r->at != '"'))
		return false;
	quote = *r->at++;
	while (r->at < r->end && *r->at != quote && used + 1 < room)
		out[used++] = *r->at++;
	out[used] = '\0';
	return r->at < r->end && *r->at++ == quote;
}

static bool take_number(struct reader *r, int64_t *out)
{
	int64_t number = 0;
	const char *begin;

	skip_spaces(r);
	for (begin = r->at; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, *r->at - '0', &number))
			return false;
	*out = number;
	return r->at > begin;
}

static bool take_shape(struct reader *r, struct px_npy *out)
{
	if (!take(r, "("))
		return false;
	while (!take(r, ")")) {
		if (out->ndim == PX_NDIM_MAX || !take_number(r, &out->shape[out->ndim]))
			return false;
		(void)take(r, "L"); /* as Python 2 wrote them */
		out->ndim++;
		if (!take(r, ","))
			return take(r, ")");
	}
	return true;
}

static int take_dtype(struct reader *r, const char *path, struct px_npy *out)
{
	char code[16] = "";
	size_t i = 0;

	/* A list is the dtype of structs. */
	if (!take_quoted(r, code, sizeof(code)))
		return px_fail(PX_EINVAL, "'%s' has elements that are no plain numbers", path);
	while (i < DTYPES && strcmp(dtypes[i].code, code + 1) != 0)
		i++;
	if (i == DTYPES || !strchr("<>|=", code[0]))
		return px_fail(PX_EINVAL,
			       "'%s' has elements of dtype '%s', which pxrun has no arrays of",
			       path, code);
	out->dtype = dtypes[i].dtype;
	out->swapped = code[0] == '>';
	return 0;
}

static int bad(const char *path)
{
	return px_fail(PX_EINVAL, "'%s' is no .npy file, or its header is damaged", path);
}

int px_npy_parse(const char *text, size_t length, const char *path, struct px_npy *out)
{
	struct reader r = { text, text + length };
	unsigned seen = 0;
	char key[24];
	int rc;

	*out = (struct px_npy){ 0 };
	if (!take(&r, "{"))
		return bad(path);
	while (!take(&r, "}")) {
		if (!take_quoted(&r, key, sizeof(key)) || !take(&r, ":"))
			return bad(path);
		if (!strcmp(key, "descr") && !(seen & 1)) {
			seen |= 1;
			rc = take_dtype(&r, path, out);
			if (rc < 0)
				return rc;
		} else if (!strcmp(key, "fortran_order") && !(seen & 2)) {
			seen |= 2;
			out->fortran = take(&r, "True");
			if (!out->fortran && !take(&r, "False"))
				return bad(path);
		} else if (!strcmp(key, "shape") && !(seen & 4)) {
			seen |= 4;
			if (!take_shape(&r, out))
				return bad(path);
		} else {
			return bad(path);
		}
		if (!take(&r, ",") && !(r.at < r.end && *r.at == '}'))
			return bad(path);
	}
	return seen == 7 ? 0 : bad(path);
}

static const char *code_of(enum px_dtype dtype)
{
	size_t i = 0;

	while (i < DTYPES && dtypes[i].dtype != dtype)
		i++;
	return i < DTYPES ? dtypes[i].code : "?";
}

size_t px_npy_print(const struct px_npy *npy, char out[PX_NPY_HEADER_BYTES])
{
	static const char magic[] = "\x93NUMPY\x01";
	bool bytewise = ((unsigned)npy->dtype & 0xff) == 8;
	size_t used = 10, padded;

	memcpy(out, magic, sizeof(magic)); /* with the 0 of version 1.0 */
	used += (size_t)sprintf(out + used, "{'descr': '%c%s', 'fortran_order': %s, 'shape': (",
				bytewise ? '|' : '<', code_of(npy->dtype),
				npy->fortran ? "True" : "False");
	for (int i = 0; i < npy->ndim; i++)
		used += (size_t)sprintf(out + used, "%" PRId64 "%s", npy->shape[i],
					npy->ndim == 1    ? "," :
					i + 1 < npy->ndim ? ", " :
							    "");
	used += (size_t)sprintf(out + used, "), }");
	/* Elements begin at a multiple of 64. */
	padded = (used + 1 + 63) / 64 * 64;
	memset(out + used, ' ', padded - used);
	out[padded - 1] = '\n';
	out[8] = (char)((padded - 10) & 0xff);
	out[9] = (char)((padded - 10) >> 8);
	return padded;
}
