/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * values.h - struct px_value to and from the neutral encoding, which message.h describes.
 *
 * Who:     one thread for each encoder or decoded reply.
 * Where:   private memory; the data of tensors in regions of the segment.
 * Blocks:  never.
 * Death:   of the peer: nothing changes. What it wrote is checked before it is used.
 */
#ifndef PX_VALUES_H
#define PX_VALUES_H

#include "client/client.h"

/* Grows as values are put into it. Owns its bytes and its regions. */
struct px_encoder {
	struct px_endpoint *endpoint; /* whose regions take arrays */
	uint8_t *bytes;
	size_t length, capacity;
	struct px_part *parts;
	uint32_t parts_count;
	uint8_t room[256]; /* used first, so that a short call needs no malloc() */
};
#define PX_ENCODER(the_endpoint)                                                                   \
	{                                                                                          \
		.endpoint = (the_endpoint)                                                         \
	}

/*
 * Appends a value. An array that was allocated is lent, another's elements are copied into a region.
 * PX_EINVAL: a NULL pointer, a wrong handle, lists that nest too deeply, or what cannot be sent. UTF-8 is
 * checked by the engine. PX_ENOMEM.
 */
int px_encode(struct px_encoder *encoder, const struct px_value *value);
/* Appends a dict as keyword arguments; its keys are strings, PX_EINVAL if not. */
int px_encode_keywords(struct px_encoder *encoder, const struct px_value *dict);
/* Appends bytes that are no value. PX_ENOMEM. */
int px_encode_raw(struct px_encoder *encoder, const void *data, size_t bytes);
/* A message of that kind whose body is what was encoded; it lends the encoder. */
void px_encoder_message(const struct px_encoder *encoder, uint16_t kind, struct px_outgoing *out);
void px_encoder_free(struct px_encoder *encoder);

/* One decoded reply: values and their memory. */
struct px_decoded {
	struct px_value *values;
	uint32_t count;
	struct px_decoded_block *blocks; /* text, lists and arrays, freed together */
};

/* Decodes all values of a reply's body. Arrays take their loans out of it. PX_ECORRUPT, PX_ENOMEM. */
int px_decode(struct px_incoming *reply, struct px_decoded *out);
void px_decoded_clear(struct px_decoded *decoded);

#endif
