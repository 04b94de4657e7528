/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop.c - takes one request of each client in turn.
 */
#include "loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "killpoint.h"
#include "wall_clock.h"

/* Of 50 ms. */
#ifdef PX_TINY
#define NAPS_TO_GIVE_BACK 4
#else
#define NAPS_TO_GIVE_BACK 600 /* half a minute */
#endif

/* A client as the engine sees it. */
struct customer {
	struct px_member_id id;
	const _Atomic uint32_t *open; /* its link to us: our epoch, once it has asked anything */
	struct px_link *link;         /* NULL until then */
	bool owed; /* a reply waits for a lease: outbox, and what it is made of */
	struct px_outgoing outbox;
	struct px_reply waiting;
	bool urgent;        /* there may be an urgent request among those that wait */
	uint64_t urgent_id; /* of the last urgent request that was run */
	uint64_t stop_id; /* EXECUTE requests up to this one are aborted: one before them failed */
	uint64_t released_seq; /* of its releases, before the last attempt to send that reply */
};

struct shop {
	struct px_engine *engine;
	struct customer *customers;
	uint32_t count, cap;
	uint32_t outboxes;
	uint64_t seen_seq;
	uint32_t naps; /* since there was work */
};

/* --- customers come and go --- */

static void reply_free(struct px_reply *reply)
{
	px_parts_free(reply->parts, reply->parts_count);
	if (reply->release)
		reply->release(reply);
	memset(reply, 0, sizeof(*reply));
}

static void customer_leave(struct shop *shop, uint32_t index)
{
	struct customer *c = &shop->customers[index];

	if (c->owed) {
		reply_free(&c->waiting);
		shop->outboxes--;
	}
	if (c->link)
		px_link_finish(c->link);
	*c = shop->customers[--shop->count];
}

static int customer_come(struct shop *shop, struct px_member_id id)
{
	struct px_port *port = shop->engine->port;

	if (shop->count == shop->cap) {
		uint32_t cap = shop->cap ? 2 * shop->cap : 16;
		struct customer *grown = realloc(shop->customers, cap * sizeof(*grown));

		if (!grown)
			return px_fail(PX_ENOMEM, "no private memory for client %u", id.slot);
		shop->customers = grown;
		shop->cap = cap;
	}
	shop->customers[shop->count++] = (struct customer){
		.id = id,
		.open = &px_segment_block(port->segment, id.slot)->links[port->self.slot].epoch,
	};
	return 0;
}

static bool knows(const struct shop *shop, struct px_member_id id)
{
	for (uint32_t i = 0; i < shop->count; i++)
		if (shop->customers[i].id.slot == id.slot &&
		    shop->customers[i].id.epoch == id.epoch)
			return true;
	return false;
}

/* Somebody came or went since the last look. Requests of the dead are dropped. */
static void look_at_members(struct shop *shop)
{
	const struct px_segment *segment = shop->engine->port->segment;
	/* SYNC members.seq: acquire; partner: the release in px_member_announce(). */
	uint64_t seq = atomic_load_explicit(&segment->header->members_seq, memory_order_acquire);
	struct px_member member;

	if (seq == shop->seen_seq)
		return;
	shop->seen_seq = seq;
	for (uint32_t i = shop->count; i-- > 0;)
		if (!px_member_alive(segment, shop->customers[i].id))
			customer_leave(shop, i);
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (px_member_read(segment, slot, &member) == 0 &&
		    member.kind == PX_MEMBER_CLIENT && member.state == PX_SLOT_LIVE &&
		    !knows(shop, member.id))
			(void)customer_come(shop, member.id);
}

/* --- replies --- */

/*
 * PX_EAGAIN: no lease is free, or no memory for a frame; the client has to let go of something
 * first. Of a result for which there is no memory only words are left, which need less.
 */
static int send_reply(struct customer *c, struct px_outgoing *out, struct px_reply *reply)
{
	int rc;

	c->released_seq = px_link_released_seq(c->link);
	rc = px_link_send(c->link, out);
	if (rc == 0 || rc == PX_EAGAIN)
		return rc;
	reply_free(reply);
	out->code = rc;
	out->body = px_last_error();
	out->body_bytes = strlen(out->body);
	out->buffers = NULL;
	out->buffers_count = 0;
	rc = px_link_send(c->link, out);
	/* Without a supervisor there is no memory either; the engine is about to see that it has to go. */
	return rc == PX_ENOMEM || rc == PX_EPOOL ? PX_EAGAIN : rc;
}

static void free_owner(struct px_reply *reply)
{
	free(reply->owner);
}

/* What is lent by the request goes with its frame, and last words with the next: copied to stay. */
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

static void answer(struct shop *shop, struct customer *c, struct px_outgoing *out,
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
	shop->outboxes++;
}

static void try_outbox(struct shop *shop, struct customer *c)
{
	c->owed = false;
	shop->outboxes--;
	answer(shop, c, &c->outbox, &c->waiting);
}

/* --- requests --- */

static void activity(struct shop *shop, const struct customer *c, uint64_t id, uint64_t now)
{
	struct px_activity_shm *a = &shop->engine->port->block->activity;

	/* For displays: nobody relies on these words to agree with each other. */
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

static void run(struct px_engine *engine, struct customer *c, struct px_incoming *in,
		struct px_reply *reply)
{
	/* In this order: a signal handler looks at the id only if there is a link. */
	atomic_store_explicit(&engine->running_id, in->id, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	engine->running = c->link;
	px_streams_begin(engine->streams, c->link, in->id);
	engine->run(engine->ctx, in, reply);
	px_streams_end(engine->streams);
	engine->running = NULL;
	if (reply->code < 0 && in->kind == PX_REQUEST_EXECUTE && in->flags & PX_EXECUTE_STOP)
		(void)px_link_newest(c->link, &c->stop_id);
}

static void serve_one(struct shop *shop, struct customer *c, struct px_incoming *in, bool begun)
{
	struct px_outgoing out = { .kind = PX_REPLY, .id = in->id, .started_ns = px_wall_ns() };
	struct px_reply reply = { 0 };

	activity(shop, c, in->id, out.started_ns);
	PX_KILLPOINT("loop.request.taken"); /* dead here: the client is told, the request is gone */
	if (!begun || (in->kind == PX_REQUEST_EXECUTE && in->id <= c->stop_id)) {
		reply.code = PX_EABORTED;
		reply.body = begun ? "aborted, for code that was to run before it failed" :
				     "aborted before it ran";
		reply.body_bytes = strlen(reply.body);
	} else if (in->kind == PX_REQUEST_NOOP) {
		reply.body = in->body;
		reply.body_bytes = in->body_bytes;
	} else {
		run(shop->engine, c, in, &reply);
	}
	PX_KILLPOINT("loop.request.done"); /* dead here: done, and nobody hears of it */
	out.completed_ns = px_wall_ns();
	out.code = reply.code;
	out.body = reply.body;
	out.body_bytes = reply.body_bytes;
	out.buffers = reply.parts;
	out.buffers_count = reply.parts_count;
	answer(shop, c, &out, &reply);
	activity(shop, NULL, 0, 0);
}

/* Runs the first urgent request, if there is one; as px_link_receive(). */
static int serve_urgent(struct shop *shop, struct customer *c)
{
	struct px_incoming in;
	int rc = px_link_find_urgent(c->link, c->urgent_id, &in);

	if (rc > 0) {
		c->urgent_id = in.id;
		serve_one(shop, c, &in, true);
		px_incoming_free(&in);
	}
	return rc;
}

static int serve_in_turn(struct shop *shop, struct customer *c)
{
	struct px_incoming in;
	int rc = px_link_skip_urgent(c->link, c->urgent_id);

	if (rc > 0)
		rc = px_link_receive(c->link, &in);
	if (rc <= 0)
		return rc;
	if (in.flags & PX_MESSAGE_URGENT)
		c->urgent_id = in.id;
	serve_one(shop, c, &in, px_link_begin(c->link, &in));
	px_incoming_free(&in);
	/* The frame was the request's until now. */
	px_link_next(c->link);
	return 1;
}

/* Opens our direction of the link once the client has opened its. False: it is dead. */
static bool meet(struct shop *shop, struct customer *c)
{
	struct px_port *port = shop->engine->port;

	/* SYNC link.epoch: acquire; partner: the release in px_member_link_open(). */
	if (atomic_load_explicit(c->open, memory_order_acquire) != port->self.epoch)
		return true;
	return px_port_link(port, c->id, &c->link) != PX_EENGINE;
}

/* One request of one client, if it has one. False: it has to be dropped. */
static bool serve_customer(struct shop *shop, struct customer *c, bool *served)
{
	int rc = 0;

	if (!c->link && !meet(shop, c))
		return false;
	if (!c->link)
		return true;
	if (c->owed)
		try_outbox(shop, c);
	if (c->owed || !px_link_ready(c->link))
		return true;
	if (px_link_urgent(c->link))
		c->urgent = true;
	if (c->urgent)
		rc = serve_urgent(shop, c);
	c->urgent = rc > 0;
	if (rc == 0)
		rc = serve_in_turn(shop, c);
	if (rc < 0) {
		fprintf(stderr, "pxrun: engine %u: %s\n", shop->engine->id, px_last_error());
		return false;
	}
	if (rc > 0)
		*served = true;
	return true;
}

/* A round: each client one request. 1 if there was one. */
static int round_of_turns(struct shop *shop)
{
	bool served = false;

	look_at_members(shop);
	for (uint32_t i = 0; i < shop->count; i++) {
		if (!serve_customer(shop, &shop->customers[i], &served))
			customer_leave(shop, i--);
	}
	return served;
}

static bool asks(const struct customer *c, uint32_t own_epoch)
{
	if (!c->link)
		return atomic_load_explicit(c->open, memory_order_acquire) == own_epoch;
	if (c->owed)
		return px_link_released_seq(c->link) != c->released_seq;
	return px_link_ready(c->link);
}

static int work_waits(void *ctx)
{
	struct shop *shop = ctx;
	const struct px_segment *segment = shop->engine->port->segment;

	if (atomic_load_explicit(shop->engine->stop, memory_order_relaxed))
		return 1;
	if (atomic_load_explicit(&segment->header->members_seq, memory_order_acquire) !=
	    shop->seen_seq)
		return 1;
	for (uint32_t i = 0; i < shop->count; i++)
		if (asks(&shop->customers[i], shop->engine->port->self.epoch))
			return 1;
	return 0;
}

/* After a long pause what is kept warm is worth more to others. */
static void give_back(struct shop *shop)
{
	for (uint32_t i = 0; i < shop->count; i++)
		if (shop->customers[i].link)
			px_link_collect(shop->customers[i].link);
	(void)px_arena_trim(shop->engine->port->arena, 0);
}

static int take_nap(void *ctx)
{
	struct shop *shop = ctx;

	if (px_port_orphaned(shop->engine->port))
		return px_fail(PX_EPOOL, "the supervisor is gone");
	if (++shop->naps == NAPS_TO_GIVE_BACK)
		give_back(shop);
	/* A frame that finds no memory is tried again: no bell tells when there is some. */
	return shop->outboxes ? 1 : 0;
}

static int wait_for_work(struct shop *shop)
{
	struct px_engine *engine = shop->engine;
	uint32_t why = PX_BELL_FRAME | (shop->outboxes ? PX_BELL_RELEASE : 0);
	int rc;

	shop->naps = 0;
	if (engine->before_wait)
		engine->before_wait(engine->ctx);
	rc = px_port_wait(engine->port, why, UINT64_MAX, work_waits, take_nap, shop);
	if (engine->after_wait)
		engine->after_wait(engine->ctx);
	return rc == PX_EPOOL ? rc : 0; /* a signal is as good as a bell */
}

int px_engine_serve(struct px_engine *engine)
{
	struct shop shop = { .engine = engine, .seen_seq = UINT64_MAX };
	int rc = 0;

	while (rc == 0 && !atomic_load_explicit(engine->stop, memory_order_relaxed))
		if (!round_of_turns(&shop))
			rc = wait_for_work(&shop);
	for (uint32_t i = 0; i < shop.count; i++)
		reply_free(&shop.customers[i].waiting);
	free(shop.customers);
	return rc;
}
