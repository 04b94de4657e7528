/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native_call.h - the body of a PX_REQUEST_NATIVE.
 *
 * Who:     the client writes it, the engine checks it.
 * Where:   the body of a message.
 * Blocks:  never.
 * Death:   as message.h.
 *
 * It says itself which file and which function it is about, so that an engine that has not loaded it, as
 * it was started again for instance, does so by itself. struct px_native_call, then `count` times the
 * uint32 id of an engine, in the order of ranks, and zeros to a multiple of 8; then the arguments, as
 * values; and at the end the file's path and the function's name, each with a NUL, at which an engine
 * that knows the function does not look. Of a request to several engines the first buffer is their
 * barrier (shm/barrier.h).
 *
 * The reply: code 0 and one value; PX_EREMOTE as an exception; else words.
 */
#ifndef PX_NATIVE_CALL_H
#define PX_NATIVE_CALL_H

#include <stdint.h>

enum px_native_what {
	PX_NATIVE_CALL,
	PX_NATIVE_LOAD, /* open the library: no name of a function, no arguments */
	PX_NATIVE_FIND, /* find the function, and do not call it */
};

/* What tells a file from another one, and from what it was before. */
struct px_file_identity {
	uint64_t device, inode, bytes, changed_ns;
};

/* That of a file as it is now. PX_ESYSTEM. */
int px_file_identify(const char *path, struct px_file_identity *out);

struct px_native_call {
	uint64_t key;  /* of the function: px_native_key() of the identity, path and name */
	uint16_t what; /* enum px_native_what */
	uint16_t argc;
	uint32_t count;                    /* engines; 0: a task, or one engine */
	uint32_t path_bytes, symbol_bytes; /* with their NULs */
	struct px_file_identity file;
};

static inline uint64_t px_round_up_8(uint64_t bytes)
{
	return (bytes + 7) & ~UINT64_C(7);
}

/* FNV-1a. */
static inline uint64_t px_native_key(uint64_t key, const void *bytes, uint64_t length)
{
	const unsigned char *at = bytes;

	for (uint64_t i = 0; i < length; i++)
		key = (key ^ at[i]) * UINT64_C(0x100000001b3);
	return key;
}
#define PX_NATIVE_KEY UINT64_C(0xcbf29ce484222325)

#endif
