/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * send.c - sends requests.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/how.h"
#include "client/internal.h"
#include "machine/wall_clock.h"
#include "shm/barrier.h"
#include "shm/error.h"
#include "shm/os.h"

/* How long a request waits for an engine that is being restarted. */
#define ENGINE_START_NS UINT64_C(60000000000)

static int no_such_engine(struct px_client *client, uint32_t engine, bool gone)
{
	uint32_t ids[PX_ENGINES_MAX];
	int count = px_client_live(client, ids, PX_ENGINES_MAX);
	char list[256] = "none", why[1024] = "";
	size_t used = 0;
	int rc = gone || !count ? px_client_ask_why(client, engine) : 0;

	if (rc == PX_EPOOL)
		return rc;
	if (rc == PX_EENGINE)
		snprintf(why, sizeof(why), ": %.1000s", px_last_error());
	for (int i = 0; i < count && used + 16 < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%u", i ? ", " : "",
					 ids[i]);
	return px_fail(PX_EENGINE, "%s engine %u%s; the live ones are %s",
		       gone ? "there is no longer an" : "there is no", engine, why, list);
}

int px_client_check_gone(struct px_client *client, uint32_t engine)
{
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	rc = px_client_usable(client);
	if (rc == 0 && engine < PX_ENGINES_MAX &&
	    px_client_engine_state(client, engine) == PX_ENGINE_GONE)
		rc = no_such_engine(client, engine, true);
	else if (rc == 0)
		rc = px_client_ask_why(client, engine) == PX_EPOOL ? PX_EPOOL : 0;
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return rc;
}

int px_client_check_engine(struct px_client *client, uint32_t engine)
{
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	rc = px_client_usable(client);
	if (rc == 0) {
		uint32_t state = engine < PX_ENGINES_MAX ? px_client_engine_state(client, engine) :
							   PX_ENGINE_NONE;

		if (state == PX_ENGINE_NONE || state == PX_ENGINE_GONE)
			rc = no_such_engine(client, engine, state == PX_ENGINE_GONE);
	}
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return rc;
}

int px_client_no_engines(struct px_client *client)
{
	int rc = px_client_check_gone(client, PX_ENGINES_MAX);

	return rc < 0 ? rc : px_fail(PX_EENGINE, "the pool has no engines");
}

/*
 * Rings the engines that have been sent their part; all parts are visible by then, for a bell may start a
 * sleeper on this very processor, and at once. To ring those last that sleep on this processor does not
 * pay: twenty calls of four engines, the first of sleepers, took 390 us instead of 295.
 */
static void ring_sent(struct px_result *result)
{
	for (; result->rung < result->sent; result->rung++) {
		const struct px_request *request = &result->requests[result->rung];
		struct px_link *link = result->client->engine_links[request->engine];

		if (link && link->peer.slot == request->member.slot &&
		    link->peer.epoch == request->member.epoch)
			px_link_ring(link);
	}
}

/* px_client_wait_locked(), by who has sent a part: nobody is left asleep over what was sent. */
static int wait_to_send(struct px_result *result, int (*done)(void *ctx), void *ctx,
			uint64_t timeout_ns, uint32_t why)
{
	ring_sent(result);
	return px_client_wait_locked(result->client, done, ctx, timeout_ns, why);
}

struct starting {
	struct px_client *client;
	uint32_t engine;
};

uint32_t px_client_engine_state(const struct px_client *client, uint32_t engine)
{
	/* SYNC engine.state: acquire; partner: px_engine_publish(). */
	return atomic_load_explicit(&client->endpoint->segment->engines[engine].state,
				    memory_order_acquire);
}

static int not_starting(void *ctx)
{
	const struct starting *s = ctx;

	return px_client_engine_state(s->client, s->engine) != PX_ENGINE_STARTING;
}

/* Whether the process that is to be replaced still works on what it was sent before. */
static bool works_on(const struct px_client *client, uint32_t engine)
{
	const struct px_segment *segment = client->endpoint->segment;
	struct px_member_id id = {
		/* Relaxed: they are the supervisor's, and what they name is checked. */
		.slot = atomic_load_explicit(&segment->engines[engine].slot, memory_order_relaxed),
		.epoch =
			atomic_load_explicit(&segment->engines[engine].epoch, memory_order_relaxed),
	};

	return id.epoch && id.slot < PX_MEMBERS_MAX && px_member_alive(segment, id);
}

/*
 * Waits until the engine is no longer being started. The time for that counts from the first call
 * for this request, so that a caller may come back often to look at signals; and from the end of the process
 * before, which may have much to do.
 */
static int wait_for_start(struct px_result *result, uint32_t engine, uint64_t timeout_ns)
{
	struct starting starting = { result->client, engine };
	uint64_t now, left;
	int rc = 0;

	while (rc == 0 && !not_starting(&starting)) {
		now = px_os.now_ns();
		if (!result->start_by_ns || works_on(result->client, engine))
			result->start_by_ns = now + ENGINE_START_NS;
		left = result->start_by_ns > now ? result->start_by_ns - now : 0;
		rc = wait_to_send(result, not_starting, &starting,
				  left < timeout_ns ? left : timeout_ns, PX_BELL_FRAME);
		if (rc == 0)
			rc = px_client_usable(result->client);
		if (rc != PX_ETIMEDOUT || left > timeout_ns)
			continue;
		if (!works_on(result->client, engine))
			return px_fail(PX_EENGINE, "engine %u is still being started", engine);
		timeout_ns -= timeout_ns == PX_FOREVER ? 0 : left;
		rc = 0;
	}
	if (rc == 0)
		result->start_by_ns = 0;
	return rc;
}

/*
 * A queue for the engine's process. With the lock. PX_EENGINE: it has died, and its state will
 * change in a moment.
 */
static int queue_open(struct px_client *client, uint32_t engine, struct px_member_id id,
		      struct px_queue **out)
{
	struct px_queue *queue;
	struct px_link *link;
	int rc = px_endpoint_link(client->endpoint, id, &link);

	if (rc < 0)
		return rc;
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return px_fail(PX_ENOMEM, "no private memory for a queue");
	queue->link = link;
	queue->engine = engine;
	link->user = queue;
	client->engine_links[engine] = link;
	*out = queue;
	return 0;
}

static bool is_given_up(const struct px_client *client, uint32_t engine, struct px_member_id id)
{
	const struct px_member_id *given_up = &client->given_up[engine];

	return given_up->slot == id.slot && given_up->epoch == id.epoch && id.epoch;
}

struct process {
	const struct px_engine_shm *place;
	struct px_member_id id;
};

/* Whether the engine is another process's by now, or nobody's, or waits to be started. */
static int is_replaced(void *ctx)
{
	const struct process *p = ctx;

	return atomic_load_explicit(&p->place->slot, memory_order_relaxed) != p->id.slot ||
	       atomic_load_explicit(&p->place->epoch, memory_order_relaxed) != p->id.epoch ||
	       atomic_load_explicit(&p->place->state, memory_order_relaxed) != PX_ENGINE_UP;
}

int px_queue_of(struct px_client *client, uint32_t engine, struct px_member_id *id,
		struct px_queue **out)
{
	const struct px_engine_shm *place = &client->endpoint->segment->engines[engine];
	struct px_link *link = client->engine_links[engine];

	id->slot = atomic_load_explicit(&place->slot, memory_order_relaxed);
	id->epoch = atomic_load_explicit(&place->epoch, memory_order_relaxed);
	if (link && link->peer.slot == id->slot && link->peer.epoch == id->epoch) {
		*out = link->user;
		return 0;
	}
	if (link)
		px_queue_engine_died(client, link->user);
	if (is_given_up(client, engine, *id))
		return px_fail(PX_ECORRUPT,
			       "engine %u has sent what could not be read, and is not asked "
			       "again: restart it",
			       engine);
	return queue_open(client, engine, *id, out);
}

/* The queue of an engine's current process; with the lock, which it may release and take again. */
static int engine_queue(struct px_result *result, uint32_t engine, uint64_t timeout_ns,
			struct px_queue **out)
{
	struct px_client *client = result->client;
	struct process process = { .place = &client->endpoint->segment->engines[engine] };
	int rc;

	for (;;) {
		rc = wait_for_start(result, engine, timeout_ns);
		if (rc < 0)
			return rc;
		if (px_client_engine_state(client, engine) == PX_ENGINE_GONE)
			return no_such_engine(client, engine, true);
		rc = px_queue_of(client, engine, &process.id, out);
		if (rc != PX_EENGINE)
			return rc;
		/* The supervisor has marked it dead, and is about to say what takes its place. */
		rc = wait_to_send(result, is_replaced, &process, timeout_ns, PX_BELL_FRAME);
		if (rc < 0)
			return rc;
	}
}

struct progress {
	struct px_client *client;
	uint32_t engine;
	const struct px_queue *queue;
	const struct px_request *head;
	uint64_t room_seq;
};

/* Whether the engine has answered or released something, so that there may be room; or died. */
static int progressed(void *ctx)
{
	const struct progress *p = ctx;
	const struct px_link *link = p->client->engine_links[p->engine];

	return !link || link->user != p->queue || p->queue->head != p->head ||
	       px_link_room_seq(link) != p->room_seq;
}

static uint64_t in_time(const struct px_result *result, uint64_t timeout_ns)
{
	uint64_t left_ns = px_limits_left_ns(result);

	return left_ns < timeout_ns ? left_ns : timeout_ns;
}

/*
 * Publishes the request; if there is no room, waits until the engine has made progress. With the
 * lock, which waiting releases and takes again. PX_ETIMEDOUT also if its time limit is over.
 *
 * Why this cannot deadlock: it waits only while the engine has a request of ours to answer, and
 * reads the replies meanwhile. So no reply is kept back for lack of room (see send_reply() in
 * engine/loop.c), and the engine gets to the next request; by reading that it releases chunks and
 * brief leases. If all requests are answered and there is still no room, there may never be any:
 * the call fails.
 */
static int send_request(struct px_request *request, struct px_outgoing *message,
			uint64_t timeout_ns)
{
	struct px_client *client = request->result->client;
	struct px_queue *queue = NULL;
	int rc;

	for (;;) {
		rc = px_client_usable(client);
		if (rc < 0)
			return rc;
		rc = engine_queue(request->result, request->engine,
				  in_time(request->result, timeout_ns), &queue);
		if (rc < 0)
			return rc;
		/* Whoever stops what is late may have been here meanwhile. */
		if (!px_limits_left_ns(request->result))
			return PX_ETIMEDOUT;
		assert(queue); /* each link of a client has one */
		struct progress progress = { client, request->engine, queue, queue->head,
					     px_link_room_seq(queue->link) };
		/*
		 * Only now: an engine takes an urgent request for done that stands behind one of a
		 * higher id, and while this thread has waited others have sent theirs.
		 */
		message->id = request->id =
			atomic_fetch_add_explicit(&client->next_id, 1, memory_order_relaxed);
		rc = px_link_send(queue->link, message);
		if (rc == 0) {
			request->member = queue->link->peer;
			/* The reply may be there already; but it is read only with the lock. */
			px_queue_push(client, queue, request);
			return 0;
		}
		if ((rc != PX_EAGAIN && rc != PX_ENOMEM) || !queue->head)
			return rc;
		rc = wait_to_send(request->result, progressed, &progress,
				  in_time(request->result, timeout_ns),
				  PX_BELL_FRAME | PX_BELL_RELEASE | PX_BELL_ROOM);
		if (rc < 0)
			return rc;
	}
}

int px_share_body(struct px_endpoint *endpoint, struct px_outgoing *message, uint32_t n,
		  struct px_region **made)
{
	struct px_part copy;
	int rc;

	*made = NULL;
	if (n < 2 || message->body_region || message->body_bytes < PX_SHARED_BODY_BYTES)
		return 0;
	rc = px_endpoint_copy(endpoint, message->body, message->body_bytes, &copy);
	if (rc == 0)
		message->body_region = *made = copy.region;
	return rc;
}

/* Before anything is sent: if one target does not exist, the request runs on none. */
static int all_there(const struct px_result *result)
{
	struct px_client *client = result->client;

	for (uint32_t i = 0; i < result->count; i++) {
		uint32_t engine = result->requests[i].engine;
		uint32_t state = engine < PX_ENGINES_MAX ? px_client_engine_state(client, engine) :
							   PX_ENGINE_NONE;

		if (state == PX_ENGINE_NONE || state == PX_ENGINE_GONE)
			return no_such_engine(client, engine, state == PX_ENGINE_GONE);
	}
	return 0;
}

/* One request; with the lock. */
static int send_one(struct px_request *request, struct px_outgoing *message, uint64_t timeout_ns)
{
	int rc;

	request->urgent = message->flags & PX_MESSAGE_URGENT;
	message->ticket = &request->ticket;
	message->unrung = true;
	message->tracker = request->tracker;
	request->submitted_ns = message->started_ns;
	/* Before it is sent: its answer may come while this thread waits to send the next one. */
	atomic_fetch_add_explicit(&request->result->holds, 1, memory_order_relaxed);
	rc = send_request(request, message, timeout_ns);
	if (rc < 0)
		atomic_fetch_sub_explicit(&request->result->holds, 1, memory_order_relaxed);
	return rc;
}

/* Whether who has waited for nothing is not to come again; in words. */
static bool is_the_end(const struct px_request *request, bool nowait, int *rc)
{
	if (!px_limits_left_ns(request->result))
		*rc = px_fail(PX_ETIMEDOUT,
			      "its time limit was over before it was sent: engine %u had no room "
			      "for more, or was being started",
			      request->engine);
	else if (nowait)
		*rc = px_fail(PX_EAGAIN, "engine %u has no room for more, or is being started",
			      request->engine);
	else
		return false;
	return true;
}

/* In the barrier of a native call: the process that was sent the request, or nobody. */
static void take_place(struct px_result *result, struct px_region *barrier,
		       const struct px_request *request, int sent)
{
	uint32_t rank = result->sent;

	if (!result->barrier) {
		px_region_hold(barrier);
		result->barrier = barrier;
	}
	if (sent == 0)
		px_barrier_assign(barrier->at, rank, request->member);
	else
		px_barrier_leave(barrier->at, rank);
}

/* The result's next request, with the lock. *again: it was waited for in vain, and may be tried once more. */
static int send_next(struct px_result *result, struct px_outgoing *message, bool nowait,
		     uint64_t timeout_ns, bool *again)
{
	struct px_request *request = &result->requests[result->sent];
	int rc;

	message->started_ns = result->submitted_ns;
	rc = send_one(request, message, timeout_ns);
	*again = rc == PX_EINTR || (rc == PX_ETIMEDOUT && !is_the_end(request, nowait, &rc));
	if (message->barrier && !*again)
		take_place(result, message->barrier, request, rc);
	return rc;
}

/* With the lock. Of the first request it is the call's failure; others have got it then, and it is the entry's. */
static int fail_next(struct px_result *result, int code)
{
	if (!result->sent)
		return code;
	atomic_fetch_add_explicit(&result->holds, 1, memory_order_relaxed);
	px_request_fail(result->client, &result->requests[result->sent], code, px_last_error());
	return 0;
}

/* The requests up to that index, their bells not rung; with the lock. */
static int publish_rest(struct px_result *result, struct px_outgoing *message, uint32_t end,
			bool nowait, uint64_t timeout_ns)
{
	int rc = 0;

	if (!result->sent) {
		result->submitted_ns = px_wall_ns();
		rc = all_there(result);
	}
	while (rc == 0 && result->sent < end) {
		bool again;

		rc = send_next(result, message, nowait, timeout_ns, &again);
		if (again)
			return rc;
		if (rc < 0)
			rc = fail_next(result, rc);
		result->sent += rc == 0;
	}
	return rc;
}

/* The message to the engines up to that index; the client was entered. As px_result_send(). */
static int send_step(struct px_result *result, struct px_outgoing *message, uint32_t end,
		     bool nowait, uint64_t timeout_ns)
{
	int rc;

	pthread_mutex_lock(&result->client->lock);
	rc = publish_rest(result, message, end, nowait, timeout_ns);
	ring_sent(result);
	pthread_mutex_unlock(&result->client->lock);
	return rc;
}

int px_result_send(struct px_result *result, struct px_outgoing *message, uint64_t timeout_ns)
{
	struct px_client *client = result->client;
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	rc = send_step(result, message, result->count, false, timeout_ns);
	px_client_leave(client);
	return rc;
}

/* A signal must not leave a request sent to a part of its engines, as its time limit may. */
static int send_surely(struct px_result *result, struct px_outgoing *message, uint32_t end,
		       bool nowait)
{
	int rc;

	do
		rc = send_step(result, message, end, nowait, nowait ? 0 : PX_FOREVER);
	while (rc == PX_EINTR);
	return rc;
}

/* One message to all engines. The client was entered. */
static int send_all(struct px_result *result, struct px_outgoing *message, const struct px_how *how)
{
	struct px_region *shared;
	int rc;

	px_how_mark(how, message);
	rc = px_share_body(result->client->endpoint, message, result->count, &shared);
	if (rc < 0)
		return rc;
	rc = send_surely(result, message, result->count, how->flags & PX_NOWAIT);
	if (shared) {
		px_region_release(shared);
		message->body_region = NULL;
	}
	return rc;
}

/* To each engine its own. The client was entered. */
static int send_each(struct px_result *result, px_message_maker *make, void *ctx,
		     const struct px_how *how)
{
	int rc = 0;

	for (uint32_t i = 0; i < result->count && rc == 0; i++) {
		struct px_outgoing message = { 0 };

		rc = px_limits_check(result);
		if (rc == 0)
			rc = make(ctx, result, i, &message);
		if (rc == 0) {
			px_how_mark(how, &message);
			rc = send_surely(result, &message, i + 1, how->flags & PX_NOWAIT);
			continue;
		}
		pthread_mutex_lock(&result->client->lock);
		rc = fail_next(result, rc);
		result->sent += rc == 0;
		pthread_mutex_unlock(&result->client->lock);
	}
	return rc;
}

/* A new result; the client was entered. */
static int begin(struct px_client *client, const uint32_t *engines, uint32_t n,
		 const struct px_how *how, bool wanted, struct px_result **result)
{
	int rc = px_result_new(client, engines, n, false, result);

	if (rc < 0)
		return rc;
	(*result)->completion.list = wanted ? &client->finished : NULL;
	rc = px_how_apply(how, false, *result);
	if (rc < 0)
		px_result_release(*result);
	return rc;
}

/* It was sent, or could not be. */
static int end(struct px_result *result, int rc, struct px_result **out)
{
	if (rc == 0 && out)
		*out = result;
	else
		px_result_release(result);
	return rc;
}

int px_client_submit(struct px_client *client, const uint32_t *engines, uint32_t n,
		     struct px_outgoing *message, const struct px_how *how, struct px_result **out)
{
	struct px_result *result;
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	rc = begin(client, engines, n, how, out, &result);
	if (rc == 0)
		rc = end(result, send_all(result, message, how), out);
	px_client_leave(client);
	return rc;
}

int px_client_submit_each(struct px_client *client, const uint32_t *engines, uint32_t n,
			  px_message_maker *make, void *ctx, const struct px_how *how,
			  struct px_result **out)
{
	struct px_result *result;
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	rc = begin(client, engines, n, how, out, &result);
	if (rc == 0)
		rc = end(result, send_each(result, make, ctx, how), out);
	px_client_leave(client);
	return rc;
}
