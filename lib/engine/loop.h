/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop.h - an engine's loop: takes requests in turn, has them run, replies.
 *
 * Who:     the engine's main thread.
 * Blocks:  on its bell while there is no request; never on a client. A reply for which there is no
 *          room waits in an outbox. Meanwhile its client's requests wait, those of other clients
 *          are served.
 * Death:   a request that was taken and not answered fails: the client sees the engine's death.
 *
 * What a request means is up to the handler (python/ext/running.c): the loop knows no Python.
 */
#ifndef PX_LOOP_H
#define PX_LOOP_H

#include "engine/renewal.h"
#include "engine/streams.h"
#include "link/endpoint.h"

struct px_native_engine;

/*
 * A handler's reply. The loop frees what it owns once it is sent. With the code PX_EINTR it is not
 * sent: the engine ends, and the request with it.
 */
struct px_reply {
	int32_t code;
	uint16_t flags;
	const void *body; /* lent until release() */
	uint64_t body_bytes;
	struct px_part *parts; /* malloc'ed array; may be NULL */
	uint32_t parts_count;
	void (*release)(struct px_reply *reply); /* frees what body lies in; may be NULL */
	void *owner;
};

struct px_engine_process {
	struct px_endpoint *endpoint;
	struct px_streams *streams;
	uint32_t id;
	bool closed; /* code that it ran has closed descriptors of ours: it ends */
	struct px_native_engine *native; /* set by px_engine_serve() */
	struct px_renewal renewal;
	/*
	 * Runs one request, and always fills the reply. May take loans of the request. Native functions
	 * are not its business.
	 */
	void (*run)(void *ctx, struct px_incoming *request, struct px_reply *reply);
	/*
	 * Around the waits, between naps, and around native functions: lets other threads of the interpreter
	 * run. May be NULL.
	 */
	void (*before_wait)(void *ctx);
	void (*after_wait)(void *ctx);
	void *ctx;
	_Atomic int *stop;               /* set by a signal handler: end the loop */
	struct px_link *_Atomic running; /* whose request runs, else NULL; for signal handlers */
	_Atomic uint64_t running_id;     /* of that request */
	_Atomic uint64_t aimed_ns;       /* when the request began that is to end (aim.h) */
};

/*
 * Serves until told to stop or to be renewed (0), the supervisor is gone (PX_EPOOL), or code of a request has closed the
 * descriptors that an engine needs (PX_ECLOSED). PX_ENOMEM: it could not begin.
 */
int px_engine_serve(struct px_engine_process *engine);

#endif
