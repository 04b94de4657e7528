/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop.c - serves one request of each client in turn.
 */
#include "engine/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/wall_clock.h"
#include "shm/error.h"
#include "shm/killpoint.h"

/* Naps of 50 ms without work until warm memory is given back. */
#ifdef PX_TINY
#define NAPS_TO_GIVE_BACK 4
#else
#define NAPS_TO_GIVE_BACK 600 /* half a minute */
#endif

/* An engine that has no time for naps looks as often whether its descriptors are open. */
#define LOOK_NS UINT64_C(50000000)

/* A client as the engine sees it. */
struct client {
	struct px_member_id id;
	const _Atomic uint32_t *open; /* of its link to us: our epoch, once the link is open */
	struct px_link *link;         /* NULL until then */
	struct px_outlet unsent[2];   /* output of the request that ran; goes before the reply */
	bool owed;                    /* a reply waits for room: outbox and waiting are set */
	struct px_outgoing outbox;
	struct px_reply waiting;
	bool dropped;       /* what it sent cannot be read: it is not served until it has gone */
	bool urgent;        /* there may be an urgent request in its ring */
	uint64_t urgent_id; /* of the last urgent request that was run */
	uint64_t stop_id;   /* EXECUTE requests up to this id are aborted: an earlier one failed */
	uint64_t room_seq;  /* px_link_room_seq() before the last attempt to send that reply */
};

struct loop {
	struct px_engine_process *engine;
	struct client *clients;
	uint32_t count, cap;
	uint32_t outboxes;
	uint64_t seen_seq;
	uint32_t naps;      /* since there was work */
	uint64_t looked_ns; /* when it last looked at its descriptors, after a request */
};

/* --- the list of clients --- */

static void reply_free(struct px_reply *reply)
{
	px_parts_free(reply->parts, reply->parts_count);
	if (reply->release)
		reply->release(reply);
	memset(reply, 0, sizeof(*reply));
}

/* Forgets its requests. */
static void client_drop(struct loop *loop, struct client *c)
{
	if (c->owed) {
		reply_free(&c->waiting);
		loop->outboxes--;
	}
	for (unsigned i = 0; i < 2; i++)
		px_outlet_free(&c->unsent[i]);
	if (c->link)
		px_link_finish(c->link);
	c->owed = false;
	c->link = NULL;
	c->dropped = true;
}

static void client_leave(struct loop *loop, uint32_t index)
{
	client_drop(loop, &loop->clients[index]);
	loop->clients[index] = loop->clients[--loop->count];
}

static int client_come(struct loop *loop, struct px_member_id id)
{
	struct px_endpoint *endpoint = loop->engine->endpoint;

	if (loop->count == loop->cap) {
		uint32_t cap = loop->cap ? 2 * loop->cap : 16;
		struct client *grown = realloc(loop->clients, cap * sizeof(*grown));

		if (!grown)
			return px_fail(PX_ENOMEM, "no private memory for client %u", id.slot);
		loop->clients = grown;
		loop->cap = cap;
	}
	loop->clients[loop->count++] = (struct client){
		.id = id,
		.open = &px_segment_block(endpoint->segment, id.slot)
				 ->links[endpoint->self.slot]
				 .epoch,
	};
	return 0;
}

static bool knows(const struct loop *loop, struct px_member_id id)
{
	for (uint32_t i = 0; i < loop->count; i++)
		if (loop->clients[i].id.slot == id.slot && loop->clients[i].id.epoch == id.epoch)
			return true;
	return false;
}

/* If members came or went: adds new clients, drops dead ones with their requests. */
static void look_at_members(struct loop *loop)
{
	const struct px_segment *segment = loop->engine->endpoint->segment;
	/* SYNC members.seq: acquire; partner: the release in px_member_announce(). */
	uint64_t seq = atomic_load_explicit(&segment->header->members_seq, memory_order_acquire);
	struct px_member member;

	if (seq == loop->seen_seq)
		return;
	loop->seen_seq = seq;
	for (uint32_t i = loop->count; i-- > 0;)
		if (!px_member_alive(segment, loop->clients[i].id))
			client_leave(loop, i);
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (px_member_read(segment, slot, &member) == 0 &&
		    member.kind == PX_MEMBER_CLIENT && member.state == PX_SLOT_LIVE &&
		    !knows(loop, member.id) && client_come(loop, member.id) < 0)
			loop->seen_seq = seq - 1; /* there may be memory the next time */
}

/* --- replies --- */

static void free_owner(struct px_reply *reply)
{
	free(reply->owner);
}

/* Replaces a reply by this thread's last error, cut to a length for which there is always room. */
static void only_words(struct px_outgoing *out, struct px_reply *reply, int code)
{
	reply_free(reply);
	reply->owner = strndup(px_last_error(), PX_MESSAGE_SURE_BYTES);
	reply->release = free_owner;
	out->code = code;
	out->body = reply->owner ? reply->owner : px_strerror(code);
	out->body_bytes = strlen(out->body);
	out->buffers = NULL;
	out->buffers_count = 0;
}

/* Output that had no room when its request ended, and then the reply. As px_link_send(). */
static int send_all(struct client *c, const struct px_outgoing *out)
{
	int rc = 0;

	for (unsigned i = 0; i < 2 && rc == 0; i++)
		if (c->unsent[i].withholds)
			rc = px_outlet_flush(&c->unsent[i]);
	return rc < 0 ? rc : px_link_send(c->link, out);
}

/*
 * PX_EAGAIN: the reply waits for the client, and the client's other requests wait behind it.
 *
 * A reply may only wait for what the client does anyway. That is reading: a client that waits for
 * anything reads its rings, and needs no memory of the arena to do so. It need not let go of arrays
 * that it holds, for its code may be waiting for this very reply. Hence:
 *  - Reading gives back chunks and brief leases. A reply that needs nothing else (PX_EAGAIN from
 *    px_link_send()) waits, for as long as it takes.
 *  - A reply that needs memory of the arena (PX_ENOMEM) waits while the client has messages to read,
 *    for reading them may give some back. When it has read all and there is still no
 *    memory, there may never be any: the client gets an error instead, in so few words that they
 *    need nothing but reading.
 *  - Output that had no room when its request ended goes before the reply, in pieces that wait
 *    as the first kind does.
 */
static int send_reply(struct client *c, struct px_outgoing *out, struct px_reply *reply)
{
	bool drained;
	int rc;

	c->room_seq = px_link_room_seq(c->link);
	rc = send_all(c, out);
	if (rc == PX_ENOMEM) {
		/*
		 * Checked before the second attempt, which then can use whatever the reading has
		 * freed.
		 */
		drained = px_link_drained(c->link);
		rc = send_all(c, out);
		if (rc == PX_ENOMEM && !drained)
			return PX_EAGAIN;
	}
	if (rc == 0 || rc == PX_EAGAIN)
		return rc;
	only_words(out, reply, rc);
	rc = px_link_send(c->link, out);
	/* Without a supervisor there is no memory; the next nap notices that it is gone. */
	return rc == PX_EPOOL ? PX_EAGAIN : rc;
}

/* Copies a body that lies in the request's frame, which is about to go. */
static void own_body(struct px_outgoing *out, struct px_reply *reply)
{
	if (reply->release || !out->body_bytes)
		return;
	reply->owner = malloc(out->body_bytes);
	if (!reply->owner) {
		out->code = PX_ENOMEM;
		out->body_bytes = 0;
		return;
	}
	out->body = memcpy(reply->owner, out->body, out->body_bytes);
	reply->release = free_owner;
}

static void answer(struct loop *loop, struct client *c, struct px_outgoing *out,
		   struct px_reply *reply)
{
	if (send_reply(c, out, reply) != PX_EAGAIN) {
		reply_free(reply);
		return;
	}
	own_body(out, reply);
	c->outbox = *out;
	c->waiting = *reply;
	c->owed = true;
	loop->outboxes++;
}

static void try_outbox(struct loop *loop, struct client *c)
{
	c->owed = false;
	loop->outboxes--;
	answer(loop, c, &c->outbox, &c->waiting);
}

/* --- requests --- */

static void activity(struct loop *loop, const struct client *c, uint64_t id, uint64_t now)
{
	struct px_activity_shm *a = &loop->engine->endpoint->block->activity;

	/* For displays: these words need not be of the same moment. */
	atomic_store_explicit(&a->client_slot, c ? c->id.slot : 0, memory_order_relaxed);
	atomic_store_explicit(&a->request_id, id, memory_order_relaxed);
	atomic_store_explicit(&a->started_ns, now, memory_order_relaxed);
	atomic_store_explicit(&a->client_epoch, c ? c->id.epoch : 0, memory_order_relaxed);
	if (!c)
		atomic_store_explicit(&a->requests_done,
				      atomic_load_explicit(&a->requests_done,
							   memory_order_relaxed) +
					      1,
				      memory_order_relaxed);
}

static void run(struct px_engine_process *engine, struct client *c, struct px_incoming *in,
		struct px_reply *reply)
{
	/* In this order: a signal handler reads the id only if there is a link. */
	atomic_store_explicit(&engine->running_id, in->id, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&engine->running, c->link, memory_order_relaxed);
	px_streams_begin(engine->streams, c->link, in->id);
	engine->run(engine->ctx, in, reply);
	if (!px_streams_end(engine->streams, c->unsent))
		engine->closed = true;
	atomic_store_explicit(&engine->running, NULL, memory_order_relaxed);
	if (reply->code < 0 && in->kind == PX_REQUEST_EXECUTE && in->flags & PX_EXECUTE_STOP)
		(void)px_link_newest(c->link, &c->stop_id);
}

/* The wall clock may be set; then it looks too soon or, once, too late. */
static void look_at_descriptors(struct loop *loop, uint64_t now_ns)
{
	if (now_ns - loop->looked_ns < LOOK_NS)
		return;
	loop->looked_ns = now_ns;
	if (px_endpoint_check(loop->engine->endpoint) < 0)
		loop->engine->closed = true;
}

static void serve_one(struct loop *loop, struct client *c, struct px_incoming *in, bool begun)
{
	struct px_outgoing out = { .kind = PX_REPLY, .id = in->id, .started_ns = px_wall_ns() };
	struct px_reply reply = { 0 };

	activity(loop, c, in->id, out.started_ns);
	PX_KILLPOINT("loop.request.taken"); /* dead here: the client sees the request fail */
	if (in->lost) {
		reply.code = PX_ENOMEM;
		reply.body = "the engine has no private memory for what came with the request";
		reply.body_bytes = strlen(reply.body);
	} else if (!begun || (in->kind == PX_REQUEST_EXECUTE && in->id <= c->stop_id)) {
		reply.code = PX_EABORTED;
		reply.body =
			begun ? "aborted: code sent before it failed" : "aborted before it ran";
		reply.body_bytes = strlen(reply.body);
	} else if (in->kind == PX_REQUEST_NOOP) {
		reply.body = in->body;
		reply.body_bytes = in->body_bytes;
	} else {
		run(loop->engine, c, in, &reply);
	}
	PX_KILLPOINT("loop.request.done"); /* dead here: done, and yet the client sees it fail */
	if (reply.code == PX_EINTR) {
		for (unsigned i = 0; i < 2; i++)
			(void)px_outlet_flush(&c->unsent[i]);
		reply_free(&reply);
		return;
	}
	out.completed_ns = px_wall_ns();
	out.code = reply.code;
	out.body = reply.body;
	out.body_bytes = reply.body_bytes;
	out.buffers = reply.parts;
	out.buffers_count = reply.parts_count;
	answer(loop, c, &out, &reply);
	activity(loop, NULL, 0, 0);
	look_at_descriptors(loop, out.completed_ns);
}

/* Runs the first urgent request, if there is one; as px_link_receive(). */
static int serve_urgent(struct loop *loop, struct client *c)
{
	struct px_incoming in;
	int rc = px_link_find_urgent(c->link, c->urgent_id, &in);

	if (rc > 0) {
		c->urgent_id = in.id;
		serve_one(loop, c, &in, true);
		px_incoming_free(&in);
	}
	return rc;
}

static int serve_in_turn(struct loop *loop, struct client *c)
{
	struct px_incoming in;
	int rc = px_link_skip_urgent(c->link, c->urgent_id);

	if (rc > 0)
		rc = px_link_receive(c->link, &in);
	if (rc <= 0)
		return rc;
	if (in.flags & PX_MESSAGE_URGENT)
		c->urgent_id = in.id;
	serve_one(loop, c, &in, px_link_begin(c->link, &in));
	px_incoming_free(&in);
	/* The request's body lay in the frame until now. */
	px_link_next(c->link);
	return 1;
}

/* Opens our link once the client has opened its own. False: the client is dead. */
static bool open_link(struct loop *loop, struct client *c)
{
	struct px_endpoint *endpoint = loop->engine->endpoint;

	/* SYNC link.epoch: acquire; partner: the release in px_member_link_open(). */
	if (atomic_load_explicit(c->open, memory_order_acquire) != endpoint->self.epoch)
		return true;
	return px_endpoint_link(endpoint, c->id, &c->link) != PX_EENGINE;
}

/* Serves one request of a client, if it has one. False: the client has to be dropped. */
static bool serve_client(struct loop *loop, struct client *c, bool *served)
{
	int rc = 0;

	if (c->dropped)
		return true;
	if (!c->link && !open_link(loop, c))
		return false;
	if (!c->link)
		return true;
	if (c->owed)
		try_outbox(loop, c);
	if (c->owed || !px_link_ready(c->link))
		return true;
	if (px_link_urgent(c->link))
		c->urgent = true;
	if (c->urgent)
		rc = serve_urgent(loop, c);
	c->urgent = rc > 0;
	if (rc == 0)
		rc = serve_in_turn(loop, c);
	if (rc < 0) {
		fprintf(stderr, "pxrun: engine %u: %s\n", loop->engine->id, px_last_error());
		return false;
	}
	if (rc > 0)
		*served = true;
	return true;
}

static bool told_to_stop(const struct loop *loop)
{
	return atomic_load_explicit(loop->engine->stop, memory_order_relaxed);
}

static bool ends(const struct loop *loop)
{
	return told_to_stop(loop) || loop->engine->closed;
}

/* One request of each client. 1 if there was any. */
static int round_of_turns(struct loop *loop)
{
	bool served = false;

	look_at_members(loop);
	for (uint32_t i = 0; i < loop->count && !ends(loop); i++) {
		/* It stays in the list: taken anew, its ring would be read from the beginning. */
		if (!serve_client(loop, &loop->clients[i], &served))
			client_drop(loop, &loop->clients[i]);
	}
	return served;
}

static bool needs_service(const struct client *c, uint32_t own_epoch)
{
	if (c->dropped)
		return false;
	/* Relaxed: open_link() looks again. */
	if (!c->link)
		return atomic_load_explicit(c->open, memory_order_relaxed) == own_epoch;
	if (c->owed)
		return px_link_room_seq(c->link) != c->room_seq;
	return px_link_ready(c->link);
}

static int work_waits(void *ctx)
{
	struct loop *loop = ctx;
	const struct px_segment *segment = loop->engine->endpoint->segment;

	if (told_to_stop(loop))
		return 1;
	/* Relaxed: look_at_members() looks again. */
	if (atomic_load_explicit(&segment->header->members_seq, memory_order_relaxed) !=
	    loop->seen_seq)
		return 1;
	for (uint32_t i = 0; i < loop->count; i++)
		if (needs_service(&loop->clients[i], loop->engine->endpoint->self.epoch))
			return 1;
	return 0;
}

/* After a long pause others can make better use of the memory that is kept warm. */
static void give_back(struct loop *loop)
{
	for (uint32_t i = 0; i < loop->count; i++)
		if (loop->clients[i].link)
			px_link_collect(loop->clients[i].link);
	(void)px_arena_trim(loop->engine->endpoint->arena, 0);
}

static void pause_begins(const struct px_engine_process *engine)
{
	if (engine->before_wait)
		engine->before_wait(engine->ctx);
}

static void pause_ends(const struct px_engine_process *engine)
{
	if (engine->after_wait)
		engine->after_wait(engine->ctx);
}

static int take_nap(void *ctx)
{
	struct loop *loop = ctx;
	int rc;

	/* A signal may have come just before the sleep, and its handler may be the interpreter's. */
	pause_ends(loop->engine);
	pause_begins(loop->engine);
	rc = px_endpoint_look(loop->engine->endpoint);
	if (rc < 0)
		return rc;
	if (++loop->naps == NAPS_TO_GIVE_BACK)
		give_back(loop);
	/* A reply that needs memory of the arena is tried again: no bell is rung when there is some. */
	return loop->outboxes ? 1 : 0;
}

static int wait_for_work(struct loop *loop)
{
	struct px_engine_process *engine = loop->engine;
	uint32_t why = PX_BELL_FRAME | (loop->outboxes ? PX_BELL_RELEASE | PX_BELL_ROOM : 0);
	int rc;

	loop->naps = 0;
	pause_begins(engine);
	rc = px_endpoint_wait(engine->endpoint, why, UINT64_MAX, work_waits, take_nap, loop);
	pause_ends(engine);
	return rc == PX_EPOOL || rc == PX_ECLOSED ?
		       rc :
		       0; /* a signal wakes the loop like a bell does */
}

int px_engine_serve(struct px_engine_process *engine)
{
	struct loop loop = { .engine = engine, .seen_seq = UINT64_MAX };
	int rc = 0;

	while (rc == 0 && !ends(&loop))
		if (!round_of_turns(&loop))
			rc = wait_for_work(&loop);
	if (engine->closed)
		rc = px_fail(PX_ECLOSED,
			     "code that ran on this engine has closed descriptors of pxrun's, as "
			     "os.closerange() does: close only what is your own");
	for (uint32_t i = 0; i < loop.count; i++)
		reply_free(&loop.clients[i].waiting);
	free(loop.clients);
	return rc;
}
