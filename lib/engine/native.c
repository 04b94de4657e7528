/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native.c - one native call: its function, arguments, barrier, run and reply.
 */
#include "engine/native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/aim.h"
#include "engine/library.h"
#include "engine/native_values.h"
#include "shm/barrier.h"
#include "shm/error.h"
#include "shm/killpoint.h"

#define SCRATCH_BYTES 65536

/*
 * Barriers are small regions of the same few pages, used again and again: a map of their surroundings
 * serves them all, and is kept. It is written to only while a barrier in it is lent.
 */
#define WINDOW_BYTES UINT64_C(65536)
#define WINDOWS 16

/*
 * Who comes first yields for so long before it sleeps. Parts of a sweep of 0.5 ms differ by some 10 us, after
 * which an engine that sleeps takes 50 to 100 us to wake: with the 20 us that a doorbell spins for, 2000 sweeps
 * of 1000 x 1000 on two processors took 1.21 s, and OpenMP's, which spins for milliseconds, 0.98 s.
 */
#define MEETING_SPIN_NS UINT64_C(2000000)

struct window {
	uint64_t offset, bytes;
	void *at; /* NULL: none */
};

struct px_native_engine {
	struct px_engine_process *engine;
	struct px_libraries libraries;
	struct px_native native; /* what the function is given */
	struct px_barrier barrier;
	uint32_t broken;                 /* the code of its barrier; 0: it is whole */
	const uint8_t *engines;          /* of the request: uint32_t for each rank, where it lies */
	const struct px_function *named; /* whose words are in our block */
	struct window windows[WINDOWS];
	unsigned next_window;
	struct px_native_result result;
	struct px_native_values values;
	uint8_t reply[PX_NATIVE_REPLY_BYTES];
};

/* Global, because signal handlers have no other way to find them. */
static _Atomic int runs, cancelled;

void px_native_interrupt(void)
{
	/* SYNC native.runs: seq_cst, as in px_interrupt_begin() of the interpreter; partner: begin(). */
	if (atomic_load_explicit(&runs, memory_order_seq_cst))
		atomic_store_explicit(&cancelled, 1, memory_order_relaxed);
}

/* --- what a request says --- */

struct request {
	struct px_native_call call;
	const char *names;
	const uint8_t *engines, *args;
};

/* PX_ECORRUPT: it is not whole. */
static int read_request(const struct px_incoming *in, struct request *out)
{
	const uint8_t *at = in->body;
	const struct px_native_call *call = &out->call;
	uint64_t names, engines;

	if (in->body_bytes < sizeof(*call))
		return px_fail(PX_ECORRUPT, "a native call is too short");
	memcpy(&out->call, at, sizeof(*call));
	names = (uint64_t)call->path_bytes + call->symbol_bytes;
	engines = px_round_up_8(call->count * sizeof(uint32_t));
	if (names + engines > in->body_bytes - sizeof(*call) || call->count > PX_ENGINES_MAX ||
	    call->argc > PX_NATIVE_ARGS_MAX || call->what > PX_NATIVE_FIND)
		return px_fail(PX_ECORRUPT,
			       "a native call is too short, or has too many arguments");
	out->engines = at + sizeof(*call);
	out->args = out->engines + engines;
	out->names = (const char *)at + in->body_bytes - names;
	return 0;
}

static uint32_t engine_at(const uint8_t *engines, uint32_t rank)
{
	uint32_t id;

	memcpy(&id, engines + rank * sizeof(id), sizeof(id));
	return id;
}

/* Of this engine; PX_ECORRUPT: it is not among them. */
static int rank_of(const struct px_native_engine *n, const struct request *request)
{
	for (uint32_t rank = 0; rank < request->call.count; rank++)
		if (engine_at(request->engines, rank) == n->engine->id)
			return (int)rank;
	return px_fail(PX_ECORRUPT, "a native call was sent to another engine than it says");
}

/* --- the barrier --- */

static int map_window(struct px_native_engine *n, uint64_t offset, uint64_t bytes, uint8_t **out)
{
	const struct px_segment *segment = n->engine->endpoint->segment;
	struct window *w = &n->windows[n->next_window];
	uint64_t from = offset & ~(WINDOW_BYTES - 1), to;
	int rc;

	if (from < segment->arena_offset)
		from = offset & ~(uint64_t)(PX_PAGE_BYTES - 1);
	to = (offset + bytes + WINDOW_BYTES - 1) & ~(WINDOW_BYTES - 1);
	if (to > segment->total_bytes)
		to = segment->total_bytes;
	if (w->at)
		px_segment_unmap(w->at, w->bytes);
	w->at = NULL;
	rc = px_segment_map_arrays(n->engine->endpoint->segment, from, to - from, &w->at);
	if (rc < 0)
		return rc;
	w->offset = from;
	w->bytes = to - from;
	n->next_window = (n->next_window + 1) % WINDOWS;
	*out = (uint8_t *)w->at + (offset - from);
	return 0;
}

static int map_barrier(struct px_native_engine *n, const struct px_incoming *in, uint32_t count,
		       struct px_barrier_shm **out)
{
	const struct px_loan *loan = in->buffers_count ? in->buffers[0] : NULL;
	uint64_t bytes = px_barrier_bytes(count);
	uint8_t *at = NULL;
	int rc = 0;

	if (!loan || !loan->live || loan->bytes < bytes || loan->offset % PX_LINE_BYTES)
		return px_fail(PX_ECORRUPT, "a native call has no barrier");
	for (unsigned i = 0; i < WINDOWS && !at; i++) {
		const struct window *w = &n->windows[i];

		if (w->at && w->offset <= loan->offset &&
		    loan->offset + bytes <= w->offset + w->bytes)
			at = (uint8_t *)w->at + (loan->offset - w->offset);
	}
	if (!at)
		rc = map_window(n, loan->offset, bytes, &at);
	*out = (struct px_barrier_shm *)(void *)at;
	return rc;
}

static int meet(const struct px_native *px)
{
	struct px_native_engine *n = px->engine_state;
	int rc;

	if (px->count < 2)
		return 0;
	rc = px_barrier_wait(&n->barrier);
	if (rc < 0)
		n->broken = (uint32_t)-rc;
	return rc;
}

/* Prepares rank and barrier of a call to several engines. */
static int join(struct px_native_engine *n, const struct px_link *link,
		const struct px_incoming *in, const struct request *request)
{
	struct px_endpoint *endpoint = n->engine->endpoint;
	struct px_barrier_shm *shared;
	int rank = rank_of(n, request);
	int rc = rank < 0 ? rank : map_barrier(n, in, request->call.count, &shared);

	if (rc < 0)
		return rc;
	n->native.rank = rank;
	n->native.count = (int)request->call.count;
	n->engines = request->engines;
	n->barrier = (struct px_barrier){
		.shared = shared,
		.segment = endpoint->segment,
		.sender = link->peer,
		.self = endpoint->self,
		.offset = in->buffers[0]->offset,
		.where = &endpoint->block->function.barrier,
		.rank = (uint32_t)rank,
		.count = request->call.count,
		.cancel = &cancelled,
		.spin_ns = endpoint->segment->header->spin_ns ? MEETING_SPIN_NS : 0,
	};
	return 0;
}

void px_native_skip(struct px_native_engine *n, struct px_incoming *in)
{
	struct px_barrier_shm *shared;
	struct request request;
	int rank;

	if (read_request(in, &request) < 0 || request.call.count < 2)
		return;
	rank = rank_of(n, &request);
	if (rank >= 0 && map_barrier(n, in, request.call.count, &shared) == 0)
		px_barrier_leave(shared, (uint32_t)rank);
}

/* --- memory to work in --- */

static int grow(const struct px_native *px, size_t bytes)
{
	struct px_native_engine *n = px->engine_state;
	size_t rounded = (bytes + PX_PAGE_BYTES - 1) & ~(size_t)(PX_PAGE_BYTES - 1);
	void *grown;

	if (bytes <= px->scratch_bytes)
		return 0;
	grown = rounded < bytes ? NULL : aligned_alloc(PX_PAGE_BYTES, rounded);
	if (!grown)
		return -1;
	memcpy(grown, px->scratch, px->scratch_bytes);
	free(px->scratch);
	n->native.scratch = grown;
	n->native.scratch_bytes = rounded;
	return 0;
}

int px_native_new(struct px_engine_process *engine, struct px_native_engine **out)
{
	struct px_native_engine *n = calloc(1, sizeof(*n));
	void *scratch = n ? aligned_alloc(PX_PAGE_BYTES, SCRATCH_BYTES) : NULL;

	if (!scratch) {
		free(n);
		return px_fail(PX_ENOMEM, "no private memory for native functions");
	}
	n->engine = engine;
	n->native = (struct px_native){
		.size = sizeof(struct px_native),
		.engine = (int)engine->id,
		.scratch = scratch,
		.scratch_bytes = SCRATCH_BYTES,
		.cancel = (const volatile int *)&cancelled,
		.barrier = meet,
		.grow = grow,
		.engine_state = n,
	};
	*out = n;
	return 0;
}

/* --- a run --- */

/* What is said of us if it is our end. */
static void name(struct px_native_engine *n, const struct px_function *function)
{
	struct px_function_shm *ours = &n->engine->endpoint->block->function;

	if (n->named != function)
		snprintf(ours->words, sizeof(ours->words), "%s of %s", function->symbol,
			 function->path);
	n->named = function;
	/* Relaxed: it is read when we are dead. */
	atomic_store_explicit(&ours->runs, 1, memory_order_relaxed);
	PX_KILLPOINT(
		"native.function.named"); /* dead here: it is said to be the function's doing */
}

static void begin(const struct px_native_engine *n)
{
	atomic_store_explicit(&cancelled, 0, memory_order_relaxed);
	/* SYNC native.runs: seq_cst, store before the load of what is wanted; partner: px_native_interrupt(). */
	atomic_store_explicit(&runs, 1, memory_order_seq_cst);
	/* The signal may have come just before. */
	if (px_aim_hits(n->engine) || atomic_load_explicit(n->engine->stop, memory_order_relaxed))
		atomic_store_explicit(&cancelled, 1, memory_order_relaxed);
}

static int call(struct px_native_engine *n, const struct px_function *function, size_t argc)
{
	const struct px_engine_process *engine = n->engine;
	int rc;

	n->result.size = sizeof(n->result);
	n->result.type = PX_NATIVE_NONE;
	n->result.bytes = 0;
	n->result.real = n->result.imaginary = 0;
	name(n, function);
	if (engine->before_wait)
		engine->before_wait(engine->ctx);
	rc = function->run(&n->native, argc, n->values.args, &n->result);
	(void)fflush(stdout);
	if (engine->after_wait)
		engine->after_wait(engine->ctx);
	atomic_store_explicit(&engine->endpoint->block->function.runs, 0, memory_order_relaxed);
	return rc;
}

/* --- replies --- */

static void reply_words(struct px_native_engine *n, struct px_reply *reply, int code)
{
	int bytes = snprintf((char *)n->reply, sizeof(n->reply), "%s", px_last_error());

	reply->code = code;
	reply->body = n->reply;
	reply->body_bytes = bytes < (int)sizeof(n->reply) ? (uint64_t)bytes : sizeof(n->reply) - 1;
}

/* What a function that failed did not say itself. */
static int failure_words(const struct px_native_engine *n, const struct px_function *function,
			 int returned, char *out, size_t out_bytes)
{
	uint32_t who = n->broken ? engine_at(n->engines, n->barrier.missing) : 0;

	if (n->broken == (uint32_t)-PX_EINTR ||
	    (!n->broken && atomic_load_explicit(&cancelled, memory_order_relaxed)))
		return snprintf(out, out_bytes, "%s was cancelled", function->symbol);
	if (n->broken == (uint32_t)-PX_EENGINE)
		return snprintf(out, out_bytes, "the barrier of %s is broken: engine %u has died",
				function->symbol, who);
	if (n->broken == (uint32_t)-PX_EAGAIN)
		return snprintf(
			out, out_bytes,
			"the barrier of %s is broken: engine %u waits at that of another call "
			"for this engine, which came there the other way round; let one call end "
			"before the other is sent",
			function->symbol, who);
	if (n->broken)
		return snprintf(
			out, out_bytes,
			"the barrier of %s is broken: on engine %u it has returned, or was not begun",
			function->symbol, who);
	return snprintf(out, out_bytes, "%s returned %d", function->symbol, returned);
}

static void reply_failure(struct px_native_engine *n, const struct px_function *function,
			  int returned, struct px_reply *reply)
{
	char words[PX_NATIVE_TEXT_MAX];
	int bytes;

	if (atomic_load_explicit(n->engine->stop, memory_order_relaxed)) {
		reply->code = PX_EINTR;
		return;
	}
	if ((n->result.type == PX_NATIVE_TEXT || n->result.type == PX_NATIVE_BYTES) &&
	    n->result.bytes) {
		bytes = px_native_encode_failure(n->result.text, n->result.bytes, n->reply);
	} else {
		bytes = failure_words(n, function, returned, words, sizeof(words));
		bytes = px_native_encode_failure(words,
						 (uint64_t)bytes < sizeof(words) ?
							 (uint64_t)bytes :
							 sizeof(words) - 1,
						 n->reply);
	}
	reply->code = PX_EREMOTE;
	reply->body = n->reply;
	reply->body_bytes = (uint64_t)bytes;
}

static void reply_result(struct px_native_engine *n, struct px_reply *reply)
{
	int bytes = px_native_encode(&n->result, n->reply);

	if (bytes < 0) {
		reply_words(n, reply, bytes);
		return;
	}
	reply->body = n->reply;
	reply->body_bytes = (uint64_t)bytes;
}

/* Finds the function, and calls it if that is what is asked. */
static int run(struct px_native_engine *n, struct px_incoming *in, const struct request *request,
	       struct px_reply *reply)
{
	const struct px_function *function;
	int rc = px_libraries_find(&n->libraries, &request->call, request->names, &function);
	int returned;

	if (rc == 0 && request->call.what == PX_NATIVE_CALL)
		rc = px_native_decode(&n->values, in, request->args, request->call.argc);
	if (rc < 0)
		return rc;
	n->result.type = PX_NATIVE_NONE;
	if (request->call.what != PX_NATIVE_CALL) {
		reply_result(n, reply);
		return 0;
	}
	n->broken = 0;
	begin(n);
	returned = call(n, function, request->call.argc);
	atomic_store_explicit(&runs, 0, memory_order_relaxed);
	if (returned)
		reply_failure(n, function, returned, reply);
	else
		reply_result(n, reply);
	return 0;
}

void px_native_run(struct px_native_engine *n, const struct px_link *link, struct px_incoming *in,
		   struct px_reply *reply)
{
	struct request request;
	int rc = read_request(in, &request);

	n->native.rank = 0;
	n->native.count = 1;
	if (rc == 0 && request.call.count > 1)
		rc = join(n, link, in, &request);
	if (rc == 0)
		rc = run(n, in, &request, reply);
	if (n->native.count > 1)
		px_barrier_leave(n->barrier.shared, n->barrier.rank);
	if (rc < 0)
		reply_words(n, reply, rc);
}
