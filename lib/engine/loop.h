/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop.h - an engine's life: takes requests in turn, runs them, answers.
 *
 * Who:     the engine's main thread.
 * Blocks:  on its bell when nobody asks; never on a client. A reply that finds no
 *          lease waits in an outbox, and its client's turn with it; the others go on.
 * Death:   a request that was taken and not answered dies with the engine.
 *
 * What a request means is the handler's business: the loop knows no Python.
 */
#ifndef PX_LOOP_H
#define PX_LOOP_H

#include "engine/streams.h"
#include "link/endpoint.h"

/* A handler's answer. What it owns is freed by the loop once it is sent. */
struct px_reply {
	int32_t code;
	const void *body; /* lent until release() */
	uint64_t body_bytes;
	struct px_part *parts; /* malloc'ed array; may be NULL */
	uint32_t parts_count;
	void (*release)(struct px_reply *reply); /* of what body lies in; may be NULL */
	void *owner;
};

struct px_engine_process {
	struct px_endpoint *endpoint;
	struct px_streams *streams;
	uint32_t id;
	/* Runs one request; always leaves a reply. */
	void (*run)(void *ctx, const struct px_incoming *request, struct px_reply *reply);
	/* Around the waits: lets other threads of the interpreter run. May be NULL. */
	void (*before_wait)(void *ctx);
	void (*after_wait)(void *ctx);
	void *ctx;
	_Atomic int *stop;               /* set by a signal handler: leave the loop */
	struct px_link *_Atomic running; /* of the client whose request runs; the loop's */
	_Atomic uint64_t running_id;     /* of that request */
};

/* Serves until told to stop (0) or the supervisor is gone (PX_EPOOL). */
int px_engine_serve(struct px_engine_process *engine);

#endif
