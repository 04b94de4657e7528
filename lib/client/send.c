/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * send.c - sends requests, and takes them back.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"
#include "machine/wall_clock.h"
#include "shm/error.h"
#include "shm/os.h"

/* How long a request waits for an engine that is being started again. */
#define ENGINE_START_NS UINT64_C(60000000000)

static int no_such_engine(struct px_client *client, uint32_t engine, bool gone)
{
	uint32_t ids[PX_ENGINES_MAX];
	int count = px_client_engines(client, ids, PX_ENGINES_MAX);
	char list[256] = "none";
	size_t used = 0;

	for (int i = 0; i < count && used + 16 < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%u", i ? ", " : "",
					 ids[i]);
	return px_fail(PX_EENGINE, "%s engine %u; the live ones are %s",
		       gone ? "there is no longer an" : "there is no", engine, list);
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

/* The queue of an engine's present process; with the lock, which it may leave and retake. */
static int engine_queue(struct px_client *client, uint32_t engine, struct px_queue **out)
{
	struct px_segment *segment = client->endpoint->segment;
	struct starting starting = { client, engine };
	struct px_member_id id;
	struct px_queue *queue;
	struct px_link *link;
	int rc;

	if (engine >= PX_ENGINES_MAX || px_client_engine_state(client, engine) == PX_ENGINE_NONE)
		return no_such_engine(client, engine, false);
	for (;;) {
		if (!not_starting(&starting)) {
			rc = px_client_wait_locked(client, not_starting, &starting, ENGINE_START_NS,
						   PX_BELL_FRAME);
			if (rc == 0)
				rc = px_client_usable(client);
			if (rc < 0)
				return rc == PX_ETIMEDOUT ?
					       px_fail(PX_EENGINE,
						       "engine %u is still being started", engine) :
					       rc;
		}
		if (px_client_engine_state(client, engine) == PX_ENGINE_GONE)
			return no_such_engine(client, engine, true);
		id.slot =
			atomic_load_explicit(&segment->engines[engine].slot, memory_order_relaxed);
		id.epoch =
			atomic_load_explicit(&segment->engines[engine].epoch, memory_order_relaxed);
		link = client->engine_links[engine];
		if (link && link->peer.slot == id.slot && link->peer.epoch == id.epoch) {
			*out = link->user;
			return 0;
		}
		if (link)
			px_queue_bury(client, link->user);
		rc = px_endpoint_link(client->endpoint, id, &link);
		if (rc != PX_EENGINE)
			break;
		/* It died this moment: its state changes next. */
		px_os.yield();
	}
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

struct progress {
	struct px_client *client;
	uint32_t engine;
	const struct px_queue *queue;
	const struct px_request *head;
	uint64_t room_seq;
};

/* The engine has answered or given something back: there may be room now. Or it died. */
static int progressed(void *ctx)
{
	const struct progress *p = ctx;
	const struct px_link *link = p->client->engine_links[p->engine];

	return !link || link->user != p->queue || p->queue->head != p->head ||
	       px_link_room_seq(link) != p->room_seq;
}

/*
 * Publishes; if there is no room, waits until the engine has got further. With the lock, which
 * waiting leaves and retakes.
 *
 * This never waits for something that only this client can do. It waits while the engine has a
 * request of ours to answer, and reads the replies meanwhile. So no reply is kept back for lack of
 * room (see send_reply() in engine/loop.c), and the engine comes to the next request, and
 * by reading it gives back chunks and brief leases. If all requests are answered and there is
 * still no room, there may never be any: the call fails.
 */
static int send_request(struct px_client *client, uint32_t engine, struct px_request *request,
			const struct px_outgoing *message)
{
	struct px_queue *queue = NULL;
	int rc;

	for (;;) {
		rc = px_client_usable(client);
		if (rc < 0)
			return rc;
		rc = engine_queue(client, engine, &queue);
		if (rc < 0)
			return rc;
		assert(queue); /* a link of a client always has one */
		request->member = queue->link->peer;
		struct progress progress = { client, engine, queue, queue->head,
					     px_link_room_seq(queue->link) };
		rc = px_link_send(queue->link, message);
		if (rc == 0) {
			/* The reply may be there already; nobody reads it without the lock. */
			px_queue_push(client, queue, request);
			return 0;
		}
		if ((rc != PX_EAGAIN && rc != PX_ENOMEM) || !queue->head)
			return rc;
		rc = px_client_wait_locked(client, progressed, &progress, PX_FOREVER,
					   PX_BELL_FRAME | PX_BELL_RELEASE | PX_BELL_ROOM);
		if (rc < 0)
			return rc;
	}
}

/* A body too long for a frame is copied once for all targets. */
static int share_body(struct px_client *client, struct px_outgoing *message, uint32_t n,
		      struct px_region **made)
{
	struct px_part copy;
	int rc;

	*made = NULL;
	if (n < 2 || message->body_region || message->body_bytes < PX_FRAME_MAX_BYTES / 2)
		return 0;
	rc = px_endpoint_copy(client->endpoint, message->body, message->body_bytes, &copy);
	if (rc == 0)
		message->body_region = *made = copy.region;
	return rc;
}

/* Before anything is sent: a target that is not there is no reason for others to run. */
static int all_there(struct px_client *client, const uint32_t *engines, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t state = engines[i] < PX_ENGINES_MAX ?
					 px_client_engine_state(client, engines[i]) :
					 PX_ENGINE_NONE;

		if (state == PX_ENGINE_NONE || state == PX_ENGINE_GONE)
			return no_such_engine(client, engines[i], state == PX_ENGINE_GONE);
	}
	return 0;
}

static int submit_locked(struct px_client *client, const uint32_t *engines, uint32_t n,
			 struct px_outgoing *message, struct px_result *result)
{
	uint64_t now = px_wall_ns();
	int missing = all_there(client, engines, n);

	if (missing < 0)
		return missing;
	message->started_ns = now;
	for (uint32_t i = 0; i < n; i++) {
		struct px_request *request = &result->requests[i];

		message->id = request->id =
			atomic_fetch_add_explicit(&client->next_id, 1, memory_order_relaxed);
		request->engine = engines[i];
		request->urgent = message->flags & PX_MESSAGE_URGENT;
		message->ticket = &request->ticket;
		message->tracker = request->tracker;
		request->submitted_ns = now;
		atomic_fetch_add_explicit(&result->pending, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&result->holds, 1, memory_order_relaxed);
		int rc = send_request(client, engines[i], request, message);
		if (rc == 0)
			continue;
		if (i == 0)
			return rc;
		/* Others run already: this one's failure is an entry of the result. */
		px_request_fail(client, request, rc, px_last_error());
	}
	return 0;
}

static int make_trackers(struct px_result *result)
{
	result->tracked = true;
	for (uint32_t i = 0; i < result->count; i++) {
		result->requests[i].tracker = px_tracker_new();
		if (!result->requests[i].tracker)
			return px_fail(PX_ENOMEM, "no private memory for a tracker");
	}
	return 0;
}

int px_client_submit(struct px_client *client, const uint32_t *engines, uint32_t n,
		     struct px_outgoing *message, bool tracked, struct px_result **out)
{
	struct px_region *shared;
	struct px_result *result;
	int rc = px_client_own(client);

	if (rc < 0)
		return rc;
	if (n == 0)
		return px_fail(PX_EINVAL, "no targets: name at least one engine");
	result = px_result_new(client, n);
	if (!result)
		return px_fail(PX_ENOMEM, "no private memory for %u requests", n);
	rc = tracked ? make_trackers(result) : 0;
	if (rc == 0)
		rc = share_body(client, message, n, &shared);
	if (rc < 0)
		goto no_body;
	pthread_mutex_lock(&client->lock);
	rc = submit_locked(client, engines, n, message, result);
	pthread_mutex_unlock(&client->lock);
	if (shared) {
		px_region_release(shared);
		message->body_region = NULL;
	}
no_body:
	if (rc < 0) {
		/* Nothing was sent: no reply will take the holds back. */
		atomic_store_explicit(&result->holds, 1, memory_order_relaxed);
		px_result_release(result);
	} else if (out) {
		*out = result;
	} else {
		px_result_release(result);
	}
	return rc;
}

int px_client_pack(struct px_client *client, const void *data, uint64_t bytes, struct px_part *out)
{
	int rc = px_client_check(client);

	return rc < 0 ? rc : px_endpoint_pack(client->endpoint, data, bytes, out);
}

/* --- out of turn --- */

/* With the lock: the link to the process that the request was sent to, NULL if that is over. */
static struct px_link *link_of(struct px_request *request)
{
	struct px_client *client = request->result->client;
	struct px_link *link = client->closed ? NULL : client->engine_links[request->engine];

	if (!link || link->peer.slot != request->member.slot ||
	    link->peer.epoch != request->member.epoch)
		return NULL;
	return atomic_load_explicit(&request->done, memory_order_relaxed) ? NULL : link;
}

bool px_request_abort(struct px_request *request)
{
	struct px_client *client = request->result->client;
	struct px_link *link;
	bool stopped;

	if (px_client_own(client) < 0)
		return false;
	pthread_mutex_lock(&client->lock);
	link = link_of(request);
	stopped = link && !request->urgent && px_link_abort(link, &request->ticket, request->id);
	if (stopped) {
		request->code = PX_EABORTED;
		request->words = strdup("the request was aborted before it ran");
		px_request_done(client, request);
		request->aborted = true;
		((struct px_queue *)link->user)->waiting--;
	}
	pthread_mutex_unlock(&client->lock);
	return stopped;
}

int px_request_interrupt(struct px_request *request)
{
	struct px_client *client = request->result->client;
	struct px_link *link;
	int rc = px_client_own(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	link = link_of(request);
	if (link)
		px_link_interrupt(link, request->id);
	pthread_mutex_unlock(&client->lock);
	return link ? px_client_signal(client, request->engine, PX_SIGNAL_INTERRUPT) : 0;
}

bool px_request_running(struct px_request *request, uint64_t *progress)
{
	struct px_client *client = request->result->client;
	struct px_link *link;
	bool runs;

	*progress = 0;
	if (px_client_own(client) < 0)
		return false;
	pthread_mutex_lock(&client->lock);
	link = link_of(request);
	runs = link && px_link_running(link, request->id, progress);
	pthread_mutex_unlock(&client->lock);
	if (!runs)
		*progress = 0;
	return runs;
}

int px_request_output(struct px_request *request, struct px_output *out)
{
	struct px_client *client = request->result->client;
	int rc = 0;

	(void)px_client_poll(client);
	memset(out, 0, sizeof(*out));
	/* A fork may have copied the lock while it was taken; what came until then is here. */
	if (client->closed || px_client_own(client) < 0)
		return request->output ? px_output_copy(request->output, out) : 0;
	pthread_mutex_lock(&client->lock);
	if (request->output)
		rc = px_output_copy(request->output, out);
	pthread_mutex_unlock(&client->lock);
	return rc;
}

int px_request_news(struct px_request *request, struct px_output *out)
{
	struct px_client *client = request->result->client;
	/* SYNC request.done: acquire; partner: px_request_done(). */
	bool all = atomic_load_explicit(&request->done, memory_order_acquire);
	int rc = px_client_own(client);

	memset(out, 0, sizeof(*out));
	if (rc < 0)
		return 0; /* whose it is shows it */
	pthread_mutex_lock(&client->lock);
	if (request->output)
		rc = px_output_news(request->output, all, out);
	pthread_mutex_unlock(&client->lock);
	if (rc < 0)
		px_output_clear(out);
	return rc;
}

static bool any_output(const struct px_result *result)
{
	for (uint32_t i = 0; i < result->count; i++)
		if (result->requests[i].output)
			return true;
	return false;
}

bool px_result_has_news(struct px_result *result)
{
	struct px_client *client = result->client;
	bool found = false;

	if (!any_output(result) || px_client_own(client) < 0)
		return false;
	pthread_mutex_lock(&client->lock);
	for (uint32_t i = 0; i < result->count && !found; i++)
		found = result->requests[i].output &&
			px_output_has_news(result->requests[i].output);
	pthread_mutex_unlock(&client->lock);
	return found;
}

/* --- what was sent --- */

/* With the lock. True: nobody holds it, or nobody is left. */
static bool let_go(struct px_client *client, struct px_request *request)
{
	struct px_link *link;

	if (!request->tracker || client->closed || client->lost ||
	    px_tracker_over(request->tracker))
		return true;
	link = client->endpoint->links[request->member.slot];
	if (link && link->peer.epoch == request->member.epoch)
		px_link_collect(link);
	return px_tracker_over(request->tracker);
}

bool px_request_sent(struct px_request *request)
{
	struct px_client *client = request->result->client;
	bool over;

	if (!request->tracker || px_client_own(client) < 0)
		return true;
	pthread_mutex_lock(&client->lock);
	over = let_go(client, request);
	pthread_mutex_unlock(&client->lock);
	return over;
}

static int all_let_go(void *ctx)
{
	struct px_result *result = ctx;

	for (uint32_t i = 0; i < result->count; i++)
		if (!let_go(result->client, &result->requests[i]))
			return 0;
	return 1;
}

int px_result_wait_sent(struct px_result *result, uint64_t timeout_ns)
{
	struct px_client *client = result->client;
	int rc = 0;

	if (!result->tracked || px_client_own(client) < 0)
		return 0;
	pthread_mutex_lock(&client->lock);
	rc = px_client_wait_locked(client, all_let_go, result, timeout_ns,
				   PX_BELL_FRAME | PX_BELL_RELEASE);
	pthread_mutex_unlock(&client->lock);
	return rc;
}
