/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sized.c - reads and fills structs that begin with their size.
 */
#include "pool/sized.h"

#include <string.h>

#include "shm/error.h"

/* The most that is read of a struct whose size may be garbage. */
#define BYTES_MAX 4096

int px_sized_read(void *out, size_t out_bytes, size_t least, const void *given, const char *name,
		  const char *initialiser)
{
	const unsigned char *bytes = given;
	size_t size = 0;

	if (given)
		memcpy(&size, given, sizeof(size));
	/* In every version such a struct ends after a whole field. */
	if (!given || size < least || size > BYTES_MAX || size % _Alignof(size_t))
		return px_fail(PX_EINVAL, "struct %s was not made by %s", name, initialiser);
	for (size_t at = out_bytes; at < size; at++)
		if (bytes[at])
			return px_fail(PX_EINVAL,
				       "struct %s sets what libpxrun %s does not know: it has %zu "
				       "bytes, and byte %zu is set of %zu",
				       name, PX_VERSION, out_bytes, at, size);
	memset(out, 0, out_bytes);
	memcpy(out, given, size < out_bytes ? size : out_bytes);
	memcpy(out, &out_bytes, sizeof(out_bytes));
	return 0;
}

int px_sized_check(const void *wanted, const char *name)
{
	size_t size;

	memcpy(&size, wanted, sizeof(size));
	if (size <= sizeof(size) || size > BYTES_MAX || size % _Alignof(size_t))
		return px_fail(
			PX_EINVAL,
			"struct %s: its size is %zu: set it to sizeof(struct %s) before the call",
			name, size, name);
	return 0;
}

void px_sized_write(void *wanted, const void *ours, size_t ours_bytes)
{
	const size_t first = sizeof(size_t);
	size_t size;

	memcpy(&size, wanted, sizeof(size));
	memset((unsigned char *)wanted + first, 0, size - first);
	memcpy((unsigned char *)wanted + first, (const unsigned char *)ours + first,
	       (size < ours_bytes ? size : ours_bytes) - first);
}
