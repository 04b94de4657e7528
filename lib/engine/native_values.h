/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native_values.h - the neutral encoding to and from what native functions get and give.
 *
 * Who:     the engine's main thread.
 * Where:   private memory, and what the client lent.
 * Blocks:  never.
 * Death:   leaves nothing.
 */
#ifndef PX_NATIVE_VALUES_H
#define PX_NATIVE_VALUES_H

#include "client/pxrun_native.h"
#include "link/endpoint.h"

/* Arguments of a call. It is large, and used again and again: nothing in it needs to be initialised. */
struct px_native_values {
	struct px_native_arg args[PX_NATIVE_ARGS_MAX];
	int64_t extents[PX_NATIVE_ARGS_MAX * 2 * 32]; /* shapes and strides */
};

/*
 * Decodes argc values that begin at `at`; they point into the request. PX_EINVAL: what native functions
 * cannot be given; PX_ECORRUPT: it is no such encoding; PX_ESYSTEM: an array cannot be mapped.
 */
int px_native_decode(struct px_native_values *values, struct px_incoming *in, const uint8_t *at,
		     uint32_t argc);

/* Room for any encoded result, and for any failure. */
#define PX_NATIVE_REPLY_BYTES (PX_NATIVE_TEXT_MAX + 128)
/* Encodes a result; returns the length, or PX_EINVAL: it has a type that cannot be. */
int px_native_encode(const struct px_native_result *result, uint8_t *out);
/* Encodes a failure as PX_EREMOTE has it; returns the length. Words beyond PX_NATIVE_TEXT_MAX are cut. */
int px_native_encode_failure(const char *words, uint64_t bytes, uint8_t *out);

#endif
