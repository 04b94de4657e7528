/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * outlet.h - one stream of a request's output, on its way to the client.
 *
 * Who:     one thread at a time: streams.c has a lock.
 * Where:   frames of the link; what is withheld lies in private memory.
 * Blocks:  never.
 * Death:   nothing is sent to a client that is dead.
 *
 * A request that prints without end fills neither the arena nor the client's memory. The first
 * PX_OUTPUT_HEAD_BYTES of a stream are sent as they come. What follows is withheld, as is what comes
 * while a 32nd of the arena, or at most PX_OUTPUT_HEAD_BYTES, wait in the link to be read. The last
 * PX_OUTPUT_TAIL_BYTES of it are sent when the request ends or the client has read, after a line
 * that says how much is left out. What cannot be sent then waits with the request's reply.
 */
#ifndef PX_OUTLET_H
#define PX_OUTLET_H

#include "link/endpoint.h"

struct px_outlet {
	struct px_link *link; /* NULL: closed */
	uint64_t id;
	enum px_stream stream;
	uint64_t sent_bytes;
	bool withholds;
	char *tail; /* a ring of PX_OUTPUT_TAIL_BYTES, NULL: none yet */
	size_t tail_start, tail_bytes;
	uint64_t left_out_bytes; /* before the tail */
};

/* Begins a request's stream. */
void px_outlet_open(struct px_outlet *outlet, struct px_link *link, uint64_t id,
		    enum px_stream stream);
/* Takes a copy; does nothing if it is closed. */
void px_outlet_write(struct px_outlet *outlet, const char *bytes, size_t length);
/* Closes it. What is still withheld is in *rest, to be sent before the request's reply. */
void px_outlet_end(struct px_outlet *outlet, struct px_outlet *rest);
/* Sends the rest and frees it. PX_EAGAIN: a part is left, for when the client has read on. */
int px_outlet_flush(struct px_outlet *rest);
/* Frees what it has withheld. */
void px_outlet_free(struct px_outlet *outlet);
/* Sends bytes of a request's stream at once. PX_EAGAIN, PX_ENOMEM. */
int px_outlet_send(struct px_link *link, uint64_t id, enum px_stream stream, const void *bytes,
		   size_t length);

#endif
