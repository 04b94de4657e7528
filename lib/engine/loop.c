/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop.c - serves one request of each client in turn.
 */
#include "engine/internal.h"
#include "engine/native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "link/task.h"
#include "machine/wall_clock.h"
#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/os.h"

/* How long there must be no work until warm memory is given back. */
#ifdef PX_TINY
#define GIVE_BACK_NS UINT64_C(150000000)
#else
#define GIVE_BACK_NS UINT64_C(30000000000)
#endif

/* An engine that has no time for naps looks so often whether its descriptors are open. */
#define LOOK_NS UINT64_C(50000000)

/* --- the list of clients --- */

/* Forgets its requests. */
static void client_drop(struct px_loop *loop, struct px_served *c)
{
	if (c->owed) {
		px_reply_free(&c->waiting);
		loop->outboxes--;
	}
	for (unsigned i = 0; i < 2; i++)
		px_outlet_free(&c->unsent[i]);
	px_board_view_close(&c->board);
	if (c->link)
		px_link_finish(c->link);
	c->owed = false;
	c->link = NULL;
	c->dropped = true;
}

static void client_leave(struct px_loop *loop, uint32_t index)
{
	client_drop(loop, &loop->clients[index]);
	loop->clients[index] = loop->clients[--loop->count];
}

static int client_come(struct px_loop *loop, struct px_member_id id)
{
	struct px_endpoint *endpoint = loop->engine->endpoint;

	if (loop->count == loop->cap) {
		uint32_t cap = loop->cap ? 2 * loop->cap : 16;
		struct px_served *grown = realloc(loop->clients, cap * sizeof(*grown));

		if (!grown)
			return px_fail(PX_ENOMEM, "no private memory for client %u", id.slot);
		loop->clients = grown;
		loop->cap = cap;
	}
	loop->clients[loop->count] = (struct px_served){
		.id = id,
		.open = &px_segment_block(endpoint->segment, id.slot)
				 ->links[endpoint->self.slot]
				 .epoch,
	};
	px_board_view_open(&loop->clients[loop->count++].board, endpoint->segment, id.slot);
	return 0;
}

static bool knows(const struct px_loop *loop, struct px_member_id id)
{
	for (uint32_t i = 0; i < loop->count; i++)
		if (loop->clients[i].id.slot == id.slot && loop->clients[i].id.epoch == id.epoch)
			return true;
	return false;
}

/* If members came or went: adds new clients, drops dead ones with their requests. */
static void look_at_members(struct px_loop *loop)
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

/* --- requests --- */

static void activity(struct px_loop *loop, const struct px_served *c, uint64_t id, uint64_t now)
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

static void run(struct px_engine_process *engine, struct px_served *c, struct px_incoming *in,
		struct px_reply *reply)
{
	/* To bind what it prints to it takes as long as a short function. */
	bool quiet = in->kind == PX_REQUEST_NATIVE && in->flags & PX_NATIVE_QUIET;

	/* In this order: a signal handler reads the id only if there is a link. */
	atomic_store_explicit(&engine->running_id, in->id, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&engine->running, c->link, memory_order_relaxed);
	if (!quiet)
		px_streams_begin(engine->streams, c->link, in->id);
	if (in->kind == PX_REQUEST_NATIVE)
		px_native_run(engine->native, c->link, in, reply);
	else
		engine->run(engine->ctx, in, reply);
	if (!quiet && !px_streams_end(engine->streams, c->unsent))
		engine->closed = true;
	atomic_store_explicit(&engine->running, NULL, memory_order_relaxed);
	if (reply->code < 0 && in->kind == PX_REQUEST_EXECUTE && in->flags & PX_EXECUTE_STOP)
		(void)px_link_newest(c->link, &c->stop_id);
}

/* The wall clock may be set; then it looks too soon or, once, too late. */
static void look_at_descriptors(struct px_loop *loop, uint64_t now_ns)
{
	if (now_ns - loop->looked_ns < LOOK_NS)
		return;
	loop->looked_ns = now_ns;
	if (px_endpoint_check(loop->engine->endpoint) < 0)
		loop->engine->closed = true;
}

/*
 * One that begins to work on something while tasks are ready has another one woken that sleeps, which
 * does the same: so they wake as a tree, whoever posted has to wake one at most, and none that was
 * counted as idle goes to work on something else unheard.
 */
static void pass_on(struct px_loop *loop)
{
	/* SYNC board.busy: seq_cst, that we are busy before the look at lanes; partner: px_board_wake(). */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < loop->count; i++)
		if (!loop->clients[i].dropped && px_board_view_used(&loop->clients[i].board))
			px_board_pass_on(&loop->clients[i].board);
}

static void serve_one(struct px_loop *loop, struct px_served *c, struct px_incoming *in, bool begun)
{
	struct px_outgoing out = { .kind = PX_REPLY, .id = in->id, .started_ns = px_wall_ns() };
	struct px_reply reply = { 0 };

	activity(loop, c, in->id, out.started_ns);
	pass_on(loop);
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
		if (in->kind == PX_REQUEST_NATIVE)
			px_native_skip(loop->engine->native, in);
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
		px_reply_free(&reply);
		return;
	}
	out.completed_ns = px_wall_ns();
	out.code = reply.code;
	out.flags = reply.flags;
	out.body = reply.body;
	out.body_bytes = reply.body_bytes;
	out.buffers = reply.parts;
	out.buffers_count = reply.parts_count;
	loop->engine->endpoint->place.caller = c->link->bell;
	px_answer(loop, c, &out, &reply);
	activity(loop, NULL, 0, 0);
	look_at_descriptors(loop, out.completed_ns);
}

/* Runs the first urgent request, if there is one; as px_link_receive(). */
static int serve_urgent(struct px_loop *loop, struct px_served *c)
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

static int serve_in_turn(struct px_loop *loop, struct px_served *c)
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

/* Claims a task of a client's, and runs it: 1, 0 if there is none, an error: it has to be dropped. */
static int serve_task(struct px_loop *loop, struct px_served *c)
{
	struct px_engine_process *engine = loop->engine;
	struct px_task_shm task;
	struct px_incoming in;
	void *copy = NULL;
	int rc = px_board_claim(&c->board, engine->id, engine->endpoint->self, &task);

	if (rc > 0)
		rc = px_task_decode(c->link, &task, &copy, &in);
	if (rc > 0) {
		px_task_begin(c->link);
		serve_one(loop, c, &in, true);
		px_incoming_free(&in);
	}
	free(copy);
	return rc;
}

static bool has_tasks(struct px_loop *loop, struct px_served *c)
{
	return c->link && px_board_view_used(&c->board) && !c->owed && !c->blind &&
	       px_board_view_ready(&c->board, loop->engine->id);
}

/* Opens our link once the client has opened its own. False: the client is dead. */
static bool open_link(struct px_loop *loop, struct px_served *c)
{
	struct px_endpoint *endpoint = loop->engine->endpoint;

	/* SYNC link.epoch: acquire; partner: the release in px_member_link_open(). */
	if (atomic_load_explicit(c->open, memory_order_acquire) != endpoint->self.epoch)
		return true;
	return px_endpoint_link(endpoint, c->id, &c->link) != PX_EENGINE;
}

static bool complain(const struct px_loop *loop)
{
	fprintf(stderr, "pxrun: engine %u: %s\n", loop->engine->id, px_last_error());
	return false;
}

/* Serves one request of a client, if it has one. False: the client has to be dropped. */
static bool serve_client(struct px_loop *loop, struct px_served *c, bool *served)
{
	int rc = 0;

	if (c->dropped)
		return true;
	if (!c->link && !open_link(loop, c))
		return false;
	if (!c->link)
		return true;
	if (c->owed)
		px_answer_again(loop, c);
	if (c->owed || !px_link_ready(c->link))
		return true;
	if (px_link_urgent(c->link))
		c->urgent = true;
	if (c->urgent)
		rc = serve_urgent(loop, c);
	c->urgent = rc > 0;
	if (rc == 0)
		rc = serve_in_turn(loop, c);
	if (rc > 0)
		*served = true;
	return rc >= 0 || complain(loop);
}

static bool told_to_stop(const struct px_loop *loop)
{
	return atomic_load_explicit(loop->engine->stop, memory_order_relaxed);
}

static bool ends(const struct px_loop *loop)
{
	return told_to_stop(loop) || loop->engine->closed;
}

/* One task, of the next client in turn that has any: direct requests come between two tasks. */
static bool take_task(struct px_loop *loop)
{
	for (uint32_t i = 0; i < loop->count; i++) {
		uint32_t at = (loop->turn + i) % loop->count;
		int rc;

		if (!has_tasks(loop, &loop->clients[at]))
			continue;
		loop->turn = at + 1;
		rc = serve_task(loop, &loop->clients[at]);
		if (rc < 0)
			complain(loop);
		if (rc == PX_ECORRUPT)
			client_drop(loop, &loop->clients[at]);
		else
			loop->clients[at].blind = rc < 0; /* until the next nap */
		return true;
	}
	return false;
}

static bool is_due(const struct px_loop *loop)
{
	return px_renewal_due(&loop->engine->renewal, loop->engine->endpoint);
}

/* One request of each client; if there was none, a task. Whether there was anything. */
static bool round_of_turns(struct px_loop *loop)
{
	bool served = false;

	look_at_members(loop);
	px_endpoint_heed(loop->engine->endpoint);
	for (uint32_t i = 0; i < loop->count && !ends(loop); i++) {
		/* It stays in the list: taken anew, its ring would be read from the beginning. */
		if (!serve_client(loop, &loop->clients[i], &served))
			client_drop(loop, &loop->clients[i]);
	}
	if (served)
		loop->engine->renewal.quiet_ns = 0;
	/* Another engine takes the tasks of one that is to be renewed. */
	return served || (!ends(loop) && !is_due(loop) && take_task(loop));
}

static bool needs_service(struct px_loop *loop, struct px_served *c)
{
	if (c->dropped)
		return false;
	/* Relaxed: open_link() looks again. */
	if (!c->link)
		return atomic_load_explicit(c->open, memory_order_relaxed) ==
		       loop->engine->endpoint->self.epoch;
	if (c->owed)
		return px_link_room_seq(c->link) != c->room_seq;
	return px_link_ready(c->link) || has_tasks(loop, c);
}

static int work_waits(void *ctx)
{
	struct px_loop *loop = ctx;
	const struct px_segment *segment = loop->engine->endpoint->segment;

	if (told_to_stop(loop))
		return 1;
	/* Relaxed: look_at_members() looks again. */
	if (atomic_load_explicit(&segment->header->members_seq, memory_order_relaxed) !=
		    loop->seen_seq ||
	    px_endpoint_wanted(loop->engine->endpoint))
		return 1;
	for (uint32_t i = 0; i < loop->count; i++)
		if (needs_service(loop, &loop->clients[i]))
			return 1;
	return 0;
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
	struct px_loop *loop = ctx;
	int rc;

	/* A signal may have come just before the sleep, and its handler may be the interpreter's. */
	pause_ends(loop->engine);
	pause_begins(loop->engine);
	rc = px_endpoint_look(loop->engine->endpoint);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < loop->count; i++)
		loop->clients[i].blind = false;
	if (!loop->gave_back && px_os.now_ns() - loop->idle_ns >= GIVE_BACK_NS) {
		loop->gave_back = true;
		/* Others can make better use of it. */
		(void)px_endpoint_trim(loop->engine->endpoint);
	}
	/* A reply that needs memory of the arena is tried again: no bell is rung when there is some. */
	return loop->outboxes ? 1 : 0;
}

static int wait_for_work(struct px_loop *loop)
{
	struct px_engine_process *engine = loop->engine;
	uint32_t why = PX_BELL_FRAME | PX_BELL_TASK |
		       (loop->outboxes ? PX_BELL_RELEASE | PX_BELL_ROOM : 0);
	int rc;

	loop->gave_back = false;
	loop->idle_ns = px_os.now_ns();
	pause_begins(engine);
	rc = px_endpoint_idle(engine->endpoint, why, UINT64_MAX, work_waits, take_nap, loop);
	pause_ends(engine);
	return rc == PX_EPOOL || rc == PX_ECLOSED ?
		       rc :
		       0; /* a signal wakes the loop like a bell does */
}

/* While it waits to be renewed nobody rings, or everybody does: it looks every millisecond. */
static int doze(struct px_loop *loop)
{
	int rc;

	pause_begins(loop->engine);
	(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	rc = px_endpoint_look(loop->engine->endpoint);
	pause_ends(loop->engine);
	return rc == PX_EPOOL || rc == PX_ECLOSED ? rc : 0;
}

/* Of direct requests; counts no more than one above what may wait when it is told. */
static uint32_t count_waiting(const struct px_loop *loop)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < loop->count && count <= PX_RENEWAL_QUEUE; i++)
		if (loop->clients[i].link && !loop->clients[i].dropped)
			count += px_link_waiting(loop->clients[i].link,
						 PX_RENEWAL_QUEUE + 1 - count);
	return count;
}

/*
 * After requests. A client that calls again as soon as it has its reply does so before the loop comes to rest; so
 * whether anything waits is asked at once, and then what takes longer.
 */
static void look_at_limits(struct px_loop *loop)
{
	struct px_renewal *renewal = &loop->engine->renewal;
	uint32_t waiting;
	uint64_t now;

	if (renewal->told_ns || (!renewal->max_requests && !renewal->max_bytes))
		return;
	waiting = count_waiting(loop);
	if (waiting > PX_RENEWAL_QUEUE)
		return;
	if (waiting) {
		now = px_os.now_ns();
		if (now - renewal->looked_ns < PX_RENEWAL_LOOK_NS)
			return;
		renewal->looked_ns = now;
	}
	if (is_due(loop))
		(void)px_renewal_proceed(renewal, loop->engine->endpoint, loop->engine->id);
}

/* There was nothing to do. 1: the engine is to end, for another process takes its place. */
static int rest(struct px_loop *loop)
{
	struct px_engine_process *engine = loop->engine;

	if (loop->outboxes || !is_due(loop))
		return wait_for_work(loop);
	if (px_renewal_proceed(&engine->renewal, engine->endpoint, engine->id))
		return 1;
	return doze(loop);
}

int px_engine_serve(struct px_engine_process *engine)
{
	struct px_loop loop = { .engine = engine, .seen_seq = UINT64_MAX };
	int rc = engine->native ? 0 : px_native_new(engine, &engine->native);

	while (rc == 0 && !ends(&loop))
		if (round_of_turns(&loop))
			look_at_limits(&loop);
		else
			rc = rest(&loop);
	rc = rc > 0 ? 0 : rc;
	if (engine->closed)
		rc = px_fail(PX_ECLOSED,
			     "code that ran on this engine has closed descriptors of pxrun's, as "
			     "os.closerange() does: close only what is your own");
	for (uint32_t i = 0; i < loop.count; i++)
		px_reply_free(&loop.clients[i].waiting);
	free(loop.clients);
	return rc;
}
