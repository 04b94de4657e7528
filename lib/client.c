/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client.c - sends requests, reads replies, and tells what became of dead engines.
 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "error.h"
#include "forked.h"
#include "killpoint.h"
#include "os.h"

/* How long a request waits for an engine that is being started again. */
#define ENGINE_START_NS UINT64_C(60000000000)
/* How long a private pool may take to stop before its client leaves it to end by itself. */
#define PRIVATE_STOP_NS UINT64_C(10000000000)
#define FOLLOWER_NAP_NS UINT64_C(50000000)

static uint64_t wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* --- handles --- */

void px_client_hold(struct px_client *client)
{
	atomic_fetch_add_explicit(&client->holds, 1, memory_order_relaxed);
}

void px_client_release(struct px_client *client)
{
	if (atomic_fetch_sub_explicit(&client->holds, 1, memory_order_acq_rel) != 1)
		return;
	pthread_mutex_destroy(&client->lock);
	pthread_cond_destroy(&client->changed);
	free(client);
}

static void result_release(struct px_result *result)
{
	if (atomic_fetch_sub_explicit(&result->holds, 1, memory_order_acq_rel) != 1)
		return;
	for (uint32_t i = 0; i < result->count; i++) {
		struct px_request *request = &result->requests[i];

		px_incoming_free(&request->reply);
		if (request->reply.body != request->small && !request->reply.body_loan)
			free((void *)(uintptr_t)request->reply.body);
		free(request->words);
		if (request->output)
			px_output_clear(request->output);
		free(request->output);
	}
	px_decoded_free(result);
	px_client_release(result->client);
	free(result);
}

void px_result_free(struct px_result *result)
{
	if (result)
		result_release(result);
}

static struct px_result *result_new(struct px_client *client, uint32_t count)
{
	struct px_result *result =
		calloc(1, sizeof(*result) + count * sizeof(struct px_request));

	if (!result)
		return NULL;
	result->client = client;
	result->count = count;
	atomic_init(&result->holds, 1);
	for (uint32_t i = 0; i < count; i++)
		result->requests[i].result = result;
	px_client_hold(client);
	return result;
}

/* --- queues; all with the client's lock --- */

static void queue_push(struct px_client *client, struct px_queue *queue,
		       struct px_request *request)
{
	request->next = NULL;
	if (queue->head) {
		queue->tail->next = request;
	} else {
		queue->head = request;
		queue->next = client->active;
		if (client->active)
			client->active->where = &queue->next;
		queue->where = &client->active;
		client->active = queue;
	}
	queue->tail = request;
}

static void queue_deactivate(struct px_queue *queue)
{
	*queue->where = queue->next;
	if (queue->next)
		queue->next->where = queue->where;
	queue->where = NULL;
	queue->next = NULL;
}

static void queue_remove(struct px_queue *queue, struct px_request *request)
{
	struct px_request **at = &queue->head, *before = NULL;

	/* Mostly it is the first. */
	for (; *at != request; at = &(*at)->next)
		before = *at;
	*at = request->next;
	if (queue->tail == request)
		queue->tail = before;
	if (!queue->head)
		queue_deactivate(queue);
}

/* From here on its user has it. */
static void request_done(struct px_client *client, struct px_request *request)
{
	struct px_result *result = request->result;
	bool last;

	request->received_ns = wall_ns();
	/* SYNC request.done: release; partner: the acquire in px_result_ready(). */
	atomic_store_explicit(&request->done, 1, memory_order_release);
	last = atomic_fetch_sub_explicit(&result->pending, 1, memory_order_acq_rel) == 1;
	client->finished++;
	if (client->waiters && (last || client->any_waiters))
		pthread_cond_broadcast(&client->changed);
}

/* It is out of its queue. */
static void request_finish(struct px_client *client, struct px_request *request)
{
	if (!request->aborted)
		request_done(client, request);
	result_release(request->result);
}

static void request_fail(struct px_client *client, struct px_request *request, int code,
			 const char *words)
{
	if (!request->aborted) {
		request->code = code;
		request->words = strdup(words);
	}
	request_finish(client, request);
}

static void queue_fail(struct px_client *client, struct px_queue *queue, int code,
		       const char *words)
{
	while (queue->head) {
		struct px_request *request = queue->head;

		queue_remove(queue, request);
		request_fail(client, request, code, words);
	}
}

/* Forgets an engine's process: nothing more is read from it or sent to it. */
static void queue_drop(struct px_client *client, struct px_queue *queue)
{
	if (client->engine_links[queue->engine] == queue->link)
		client->engine_links[queue->engine] = NULL;
	queue->link->user = NULL;
	px_link_finish(queue->link);
	free(queue);
}

/* --- reading --- */

static int output_append(struct px_request *request, const struct px_incoming *in)
{
	if (in->flags >= PX_STREAMS)
		return px_fail(PX_ECORRUPT, "engine %u sent output of no known kind (%u)",
			       request->engine, in->flags);
	if (!request->output)
		request->output = calloc(1, sizeof(*request->output));
	if (!request->output)
		return px_fail(PX_ENOMEM, "no private memory for an engine's output");
	return px_output_append(request->output, (enum px_stream)in->flags, in->body,
				in->body_bytes);
}

/* Makes the reply the request's own. The body leaves the frame. */
static int reply_take(struct px_request *request, struct px_incoming *in)
{
	void *body = (void *)(uintptr_t)in->body;

	if (!in->body_loan) {
		body = in->body_bytes <= sizeof(request->small) ? request->small :
								  malloc(in->body_bytes);
		if (!body)
			return px_fail(PX_ENOMEM, "no private memory for a reply");
		memcpy(body, in->body, in->body_bytes);
	}
	request->reply = *in;
	request->reply.body = body;
	request->code = in->code;
	return 0;
}

/* The request that an engine speaks of: the oldest, or an urgent one that overtook it. */
static struct px_request *queue_find(const struct px_queue *queue, uint64_t id)
{
	struct px_request *request = queue->head;

	while (request && request->id != id)
		request = request->next;
	return request && (request == queue->head || request->urgent) ? request : NULL;
}

static int handle_message(struct px_client *client, struct px_queue *queue,
			  struct px_incoming *in)
{
	struct px_request *request = queue_find(queue, in->id);
	int rc;

	if (!request || (in->kind != PX_REPLY && in->kind != PX_STREAM)) {
		px_incoming_free(in);
		return px_fail(PX_ECORRUPT,
			       "engine %u (member %u) answered a request that was not asked",
			       queue->engine, queue->link->peer.slot);
	}
	if (in->kind == PX_STREAM) {
		rc = output_append(request, in);
		px_incoming_free(in);
		return rc;
	}
	queue_remove(queue, request);
	rc = request->aborted ? 0 : reply_take(request, in);
	if (rc < 0 || request->aborted)
		px_incoming_free(in);
	if (rc < 0)
		request_fail(client, request, rc, px_last_error());
	else
		request_finish(client, request);
	return 0;
}

/* Reads what one engine has said. PX_ECORRUPT and PX_ENOMEM end its queue. */
static int queue_read(struct px_client *client, struct px_queue *queue)
{
	struct px_incoming in;
	int rc = 0;

	while (px_link_ready(queue->link)) {
		rc = px_link_receive(queue->link, &in);
		if (rc <= 0)
			break;
		rc = handle_message(client, queue, &in);
		px_link_next(queue->link);
		if (rc < 0)
			break;
	}
	return rc < 0 ? rc : 0;
}

/* --- deaths --- */

static const char *signal_word(int number)
{
	const char *name = sigabbrev_np(number);

	return name ? name : "?";
}

/* What faulthandler wrote as the engine fell, "" if nothing. */
static void crash_text(const struct px_client *client, uint32_t slot, char *out, size_t out_bytes)
{
	const uint8_t *crash = px_segment_block(client->port->segment, slot)->crash;
	size_t length = 0;

	while (length + 1 < out_bytes && length < PX_CRASH_BYTES && crash[length])
		length++;
	memcpy(out, crash, length);
	out[length] = '\0';
}

static void death_words(const struct px_client *client, const struct px_queue *queue, char *out,
			size_t out_bytes)
{
	struct px_member member = { 0 };
	char crash[8192];
	int n;

	(void)px_member_read(client->port->segment, queue->link->peer.slot, &member);
	n = snprintf(out, out_bytes, "engine %u (process %d) ", queue->engine, member.pid);
	out += n;
	out_bytes -= (size_t)n;
	if (member.oom_killed)
		n = snprintf(out, out_bytes,
			     "was killed by the kernel's out-of-memory killer (SIGKILL): it "
			     "needs more memory than there is");
	else if (member.expected)
		n = snprintf(out, out_bytes, "was stopped");
	else if (member.exit_signal)
		n = snprintf(out, out_bytes, "was killed by SIG%s (signal %d)",
			     signal_word(member.exit_signal), member.exit_signal);
	else
		n = snprintf(out, out_bytes, "exited with code %d", member.exit_code);
	crash_text(client, queue->link->peer.slot, crash, sizeof(crash));
	if (crash[0])
		snprintf(out + n, out_bytes - (size_t)n, "\n%s", crash);
}

static void bury_queue(struct px_client *client, struct px_queue *queue)
{
	char words[12000];

	/* What it published before it died still counts. */
	if (queue_read(client, queue) == 0)
		death_words(client, queue, words, sizeof(words));
	else
		snprintf(words, sizeof(words), "%s", px_last_error());
	queue_fail(client, queue, PX_EENGINE, words);
	queue_drop(client, queue);
}

/* Somebody came or went: our engines may be among them. */
static void look_for_deaths(struct px_client *client)
{
	struct px_port *port = client->port;

	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++) {
		struct px_link *link = port->links[slot];

		if (link && link->user && !px_member_alive(port->segment, link->peer))
			bury_queue(client, link->user);
	}
}

/* The pool is gone, or this handle is: nobody answers any more. */
static void fail_everything(struct px_client *client, int code, const char *words)
{
	while (client->active)
		queue_fail(client, client->active, code, words);
}

static int lose(struct px_client *client)
{
	if (!client->lost) {
		client->lost = true;
		fail_everything(client, PX_EPOOL,
				"the pool's supervisor is gone, and its engines with it");
		pthread_cond_broadcast(&client->changed);
	}
	return px_fail(PX_EPOOL, "the pool's supervisor is gone, and its engines with it");
}

/* With the lock. */
static void poll_locked(struct px_client *client)
{
	struct px_queue *queue, *next;
	/* SYNC members.seq: acquire; partner: the release in px_member_announce(). */
	uint64_t seq = atomic_load_explicit(&client->port->segment->header->members_seq,
					    memory_order_acquire);

	if (seq != client->seen_members_seq) {
		client->seen_members_seq = seq;
		look_for_deaths(client);
	}
	for (queue = client->active; queue; queue = next) {
		next = queue->next;
		if (queue_read(client, queue) < 0) {
			queue_fail(client, queue, PX_ECORRUPT, px_last_error());
			queue_drop(client, queue);
		}
	}
}

/* Whether the handle may be used at all; with the lock. */
static int usable(const struct px_client *client)
{
	if (client->closed)
		return px_fail(PX_ECLOSED, "this client is closed");
	if (client->lost)
		return px_fail(PX_EPOOL, "the pool's supervisor is gone, and its engines with it");
	return 0;
}

/* Before the lock, which a fork may have copied while it was taken. */
static int own_process(const struct px_client *client)
{
	if (!client->closed && client->port->generation != px_forked_generation())
		return px_fail(PX_ECLOSED,
			       "this client belongs to process %d: attach a new one after a fork",
			       client->port->owner_pid);
	return 0;
}

int px_client_check(const struct px_client *client)
{
	int rc = own_process(client);

	if (rc == 0 && client->closed)
		rc = px_fail(PX_ECLOSED, "this client is closed");
	return rc;
}

int px_client_poll(struct px_client *client)
{
	int rc = own_process(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	rc = usable(client);
	if (rc == 0) {
		px_notifier_quiet(client->notifier);
		poll_locked(client);
		if (!client->active && px_port_orphaned(client->port))
			rc = lose(client);
	}
	pthread_mutex_unlock(&client->lock);
	return rc;
}

/* --- waiting --- */

struct waiting {
	struct px_client *client;
	int (*done)(void *ctx); /* with the lock */
	void *ctx;
};

static int pump(void *ctx)
{
	struct waiting *w = ctx;
	struct px_client *client = w->client;
	int rc;

	pthread_mutex_lock(&client->lock);
	if (!client->closed && !client->lost)
		poll_locked(client);
	rc = client->closed || client->lost ? 1 : w->done(w->ctx);
	pthread_mutex_unlock(&client->lock);
	return rc;
}

static int pump_nap(void *ctx)
{
	struct waiting *w = ctx;

	if (!px_port_orphaned(w->client->port))
		return 0;
	pthread_mutex_lock(&w->client->lock);
	/* What engines published before they went still counts. */
	poll_locked(w->client);
	(void)lose(w->client);
	pthread_mutex_unlock(&w->client->lock);
	return 1;
}

/*
 * A follower's sleep: until the leader has news of a result, or leaves. Bounded,
 * for what else one may wait for is not announced.
 */
static int follow(struct px_client *client, uint64_t deadline_ns)
{
	uint64_t now = px_os.now_ns();
	uint64_t wake = deadline_ns - now < FOLLOWER_NAP_NS ? deadline_ns : now + FOLLOWER_NAP_NS;
	struct timespec until = { .tv_sec = (time_t)(wake / 1000000000),
				  .tv_nsec = (long)(wake % 1000000000) };

	if (now >= deadline_ns)
		return PX_ETIMEDOUT;
	client->waiters++;
	pthread_cond_clockwait(&client->changed, &client->lock, CLOCK_MONOTONIC, &until);
	client->waiters--;
	return 0;
}

/* Waits, with the lock held before and after, until done(ctx). 0, PX_ETIMEDOUT, PX_EINTR. */
static int wait_locked(struct px_client *client, int (*done)(void *ctx), void *ctx,
		       uint64_t timeout_ns, uint32_t why)
{
	uint64_t now = timeout_ns == PX_FOREVER ? 0 : px_os.now_ns();
	uint64_t deadline = timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
	struct waiting w = { client, done, ctx };
	int rc = 0;

	while (!done(ctx) && !client->closed && !client->lost && rc == 0) {
		if (client->pumping) {
			rc = follow(client, deadline);
			continue;
		}
		client->pumping = true;
		pthread_mutex_unlock(&client->lock);
		if (deadline != UINT64_MAX) {
			now = px_os.now_ns();
			timeout_ns = deadline > now ? deadline - now : 0;
		}
		rc = px_doorbell_wait(client->port->bell, why,
				      client->port->segment->header->spin_ns, timeout_ns, pump,
				      pump_nap, &w);
		pthread_mutex_lock(&client->lock);
		client->pumping = false;
		if (client->waiters)
			pthread_cond_broadcast(&client->changed);
		rc = rc > 0 ? 0 : rc;
	}
	return done(ctx) ? 0 : rc;
}

struct wanted {
	struct px_result *const *results;
	size_t count;
};

static int all_done(void *ctx)
{
	const struct wanted *wanted = ctx;

	for (size_t i = 0; i < wanted->count; i++)
		if (atomic_load_explicit(&wanted->results[i]->pending, memory_order_acquire))
			return 0;
	return 1;
}

int px_client_wait(struct px_client *client, struct px_result *const *results, size_t n,
		   uint64_t timeout_ns)
{
	struct wanted wanted = { results, n };
	int rc;

	if (all_done(&wanted))
		return 0;
	rc = own_process(client);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	rc = wait_locked(client, all_done, &wanted, timeout_ns, PX_BELL_FRAME);
	pthread_mutex_unlock(&client->lock);
	return rc == PX_ETIMEDOUT ? px_fail(rc, "not ready in %.3f s", (double)timeout_ns / 1e9) :
				    rc;
}

struct any {
	const struct px_client *client;
	uint64_t seen;
};

static int any_finished(void *ctx)
{
	const struct any *any = ctx;

	return any->client->finished != any->seen;
}

int px_client_wait_any(struct px_client *client, uint64_t *seen, uint64_t timeout_ns)
{
	struct any any = { client, *seen };
	int rc = own_process(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	client->any_waiters++;
	rc = wait_locked(client, any_finished, &any, timeout_ns, PX_BELL_FRAME);
	client->any_waiters--;
	*seen = client->finished;
	if (rc == 0 && *seen == any.seen)
		rc = usable(client);
	pthread_mutex_unlock(&client->lock);
	return rc;
}

int px_result_wait(struct px_result *result, uint64_t timeout_ns)
{
	return px_client_wait(result->client, &result, 1, timeout_ns);
}

int px_result_ready(const struct px_result *result)
{
	/* SYNC request.done: acquire; partner: the release in request_finish(). */
	if (atomic_load_explicit(&result->pending, memory_order_acquire) == 0)
		return 1;
	(void)px_client_poll(result->client);
	return atomic_load_explicit(&result->pending, memory_order_acquire) == 0;
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

	if (own_process(client) < 0)
		return false;
	pthread_mutex_lock(&client->lock);
	link = link_of(request);
	stopped = link && !request->urgent && px_link_abort(link, &request->ticket, request->id);
	if (stopped) {
		request->code = PX_EABORTED;
		request->words = strdup("the request was aborted before it ran");
		request_done(client, request);
		request->aborted = true;
	}
	pthread_mutex_unlock(&client->lock);
	return stopped;
}

bool px_request_running(struct px_request *request, uint64_t *progress)
{
	struct px_client *client = request->result->client;
	struct px_link *link;
	bool runs;

	*progress = 0;
	if (own_process(client) < 0)
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
	if (client->closed || own_process(client) < 0)
		return request->output ? px_output_copy(request->output, out) : 0;
	pthread_mutex_lock(&client->lock);
	if (request->output)
		rc = px_output_copy(request->output, out);
	pthread_mutex_unlock(&client->lock);
	return rc;
}

/* --- sending --- */

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

static uint32_t engine_state(const struct px_client *client, uint32_t engine)
{
	/* SYNC engine.state: acquire; partner: the release where the supervisor sets it. */
	return atomic_load_explicit(&client->port->segment->engines[engine].state,
				    memory_order_acquire);
}

static int not_starting(void *ctx)
{
	const struct starting *s = ctx;

	return engine_state(s->client, s->engine) != PX_ENGINE_STARTING;
}

/* The queue of an engine's present process; with the lock, which it may leave and retake. */
static int engine_queue(struct px_client *client, uint32_t engine, struct px_queue **out)
{
	struct px_segment *segment = client->port->segment;
	struct starting starting = { client, engine };
	struct px_member_id id;
	struct px_queue *queue;
	struct px_link *link;
	int rc;

	if (engine >= PX_ENGINES_MAX || engine_state(client, engine) == PX_ENGINE_NONE)
		return no_such_engine(client, engine, false);
	for (;;) {
		if (!not_starting(&starting)) {
			rc = wait_locked(client, not_starting, &starting, ENGINE_START_NS,
					 PX_BELL_FRAME);
			if (rc == 0)
				rc = usable(client);
			if (rc < 0)
				return rc == PX_ETIMEDOUT ?
					       px_fail(PX_EENGINE,
						       "engine %u is still being started", engine) :
					       rc;
		}
		if (engine_state(client, engine) == PX_ENGINE_GONE)
			return no_such_engine(client, engine, true);
		id.slot = atomic_load_explicit(&segment->engines[engine].slot,
					       memory_order_relaxed);
		id.epoch = atomic_load_explicit(&segment->engines[engine].epoch,
						memory_order_relaxed);
		link = client->engine_links[engine];
		if (link && link->peer.slot == id.slot && link->peer.epoch == id.epoch) {
			*out = link->user;
			return 0;
		}
		if (link)
			bury_queue(client, link->user);
		rc = px_port_link(client->port, id, &link);
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
	uint32_t leases;
};

/* A reply came or a lease ended: there may be room now. Or the engine died. */
static int progressed(void *ctx)
{
	const struct progress *p = ctx;
	struct px_link *link = p->client->engine_links[p->engine];

	if (!link || link->user != p->queue)
		return 1;
	px_link_collect(link);
	return p->queue->head != p->head || link->leases.count < p->leases;
}

/*
 * Publishes; where the ring cannot grow or all leases are out, waits until the
 * engine has got further. With the lock, which waiting leaves and retakes.
 */
static int send_request(struct px_client *client, uint32_t engine, struct px_request *request,
			const struct px_outgoing *message)
{
	struct px_queue *queue = NULL;
	int rc;

	for (;;) {
		rc = usable(client);
		if (rc == 0)
			rc = engine_queue(client, engine, &queue);
		if (rc < 0)
			return rc;
		request->member = queue->link->peer;
		rc = px_link_send(queue->link, message);
		if (rc == 0) {
			/* The reply may be there already; nobody reads it without the lock. */
			queue_push(client, queue, request);
			return 0;
		}
		struct progress progress = { client, engine, queue, queue->head,
					     queue->link->leases.count };
		if (rc != PX_EAGAIN && (rc != PX_ENOMEM || !queue->head))
			return rc;
		rc = wait_locked(client, progressed, &progress, PX_FOREVER,
				 PX_BELL_FRAME | PX_BELL_RELEASE);
		if (rc < 0)
			return rc;
	}
}

/* A body too long for a frame is copied once for all targets. */
static int share_body(struct px_client *client, struct px_outgoing *message, uint32_t n,
		      struct px_region **made)
{
	int rc;

	*made = NULL;
	if (n < 2 || message->body_region || message->body_bytes < PX_FRAME_MAX_BYTES / 2)
		return 0;
	rc = px_client_region(client, message->body, message->body_bytes, made);
	if (rc == 0)
		message->body_region = *made;
	return rc;
}

static int submit_locked(struct px_client *client, const uint32_t *engines, uint32_t n,
			 struct px_outgoing *message, struct px_result *result)
{
	uint64_t now = wall_ns();

	message->started_ns = now;
	for (uint32_t i = 0; i < n; i++) {
		struct px_request *request = &result->requests[i];

		message->id = request->id =
			atomic_fetch_add_explicit(&client->next_id, 1, memory_order_relaxed);
		request->engine = engines[i];
		request->urgent = message->flags & PX_MESSAGE_URGENT;
		message->ticket = &request->ticket;
		request->submitted_ns = now;
		atomic_fetch_add_explicit(&result->pending, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&result->holds, 1, memory_order_relaxed);
		int rc = send_request(client, engines[i], request, message);
		if (rc == 0)
			continue;
		if (i == 0)
			return rc;
		/* Others run already: this one's failure is an entry of the result. */
		request_fail(client, request, rc, px_last_error());
	}
	return 0;
}

int px_client_submit(struct px_client *client, const uint32_t *engines, uint32_t n,
		     struct px_outgoing *message, struct px_result **out)
{
	struct px_region *shared;
	struct px_result *result;
	int rc = own_process(client);

	if (rc < 0)
		return rc;
	if (n == 0)
		return px_fail(PX_EINVAL, "no targets: name at least one engine");
	result = result_new(client, n);
	if (!result)
		return px_fail(PX_ENOMEM, "no private memory for %u requests", n);
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
		result_release(result);
	} else if (out) {
		*out = result;
	} else {
		result_release(result);
	}
	return rc;
}

int px_client_region(struct px_client *client, const void *data, uint64_t bytes,
		     struct px_region **out)
{
	struct px_region *region;
	int rc = px_client_check(client);

	if (rc < 0)
		return rc;
	rc = px_region_new(client->port->arena, bytes, &region);
	if (rc < 0)
		return rc;
	memcpy(region->at, data, bytes);
	*out = region;
	return 0;
}

/* --- the pool --- */

static int hello(int control, struct px_member_id *self, int *segment_fd)
{
	struct px_control call = { .type = PX_CONTROL_HELLO, .a = PX_SEGMENT_VERSION };
	struct px_packet *packet = malloc(sizeof(*packet));
	int rc;

	if (!packet)
		return px_fail(PX_ENOMEM, "no private memory for a packet");
	rc = px_control_call(control, &call, NULL, packet);
	if (rc == 0 && packet->head.fds != 1)
		rc = px_fail(PX_ECORRUPT, "the supervisor sent no segment");
	if (rc == 0) {
		self->slot = (uint32_t)packet->head.a;
		self->epoch = (uint32_t)packet->head.b;
		*segment_fd = packet->fds[0];
	}
	free(packet);
	return rc;
}

int px_client_open(const struct px_runtime *runtime, int control, struct px_client **out)
{
	struct px_client *client = calloc(1, sizeof(*client));
	struct px_segment *segment;
	struct px_member_id self;
	int fd = -1, rc;

	if (!client)
		return px_fail(PX_ENOMEM, "no private memory for a client");
	px_killpoint_role("client");
	rc = hello(control, &self, &fd);
	if (rc < 0)
		goto no_hello;
	rc = px_segment_attach(fd, &segment);
	if (rc < 0)
		goto no_segment;
	rc = px_port_open(segment, self, control, &client->port);
	if (rc < 0)
		goto no_port;
	client->runtime = *runtime;
	client->owner_fd = -1;
	atomic_init(&client->next_id, 1);
	atomic_init(&client->holds, 1);
	pthread_mutex_init(&client->lock, NULL);
	pthread_cond_init(&client->changed, NULL);
	*out = client;
	return 0;

no_port:
	px_segment_detach(segment);
	fd = -1;
no_segment:
	if (fd >= 0)
		close(fd);
no_hello:
	free(client);
	return rc;
}

void px_client_detach(struct px_client *client)
{
	struct px_port *port;

	if (!client || client->closed)
		return;
	if (client->port->generation != px_forked_generation()) /* a child's copy: nothing of it is its own */
		return;
	if (client->owns_pool)
		(void)px_client_stop_pool(client, PRIVATE_STOP_NS);
	pthread_mutex_lock(&client->lock);
	poll_locked(client);
	client->closed = true;
	fail_everything(client, PX_ECLOSED, "the client was closed before the result came");
	pthread_cond_broadcast(&client->changed);
	port = client->port;
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (port->links[slot]) {
			free(port->links[slot]->user);
			port->links[slot]->user = NULL;
		}
	while (client->pumping || client->waiters) {
		/* Threads that wait see `closed` and leave; their bell may have to be rung. */
		pthread_mutex_unlock(&client->lock);
		px_doorbell_ring(port->bell, PX_BELL_FRAME);
		px_os.yield();
		pthread_mutex_lock(&client->lock);
	}
	pthread_mutex_unlock(&client->lock);
	px_notifier_free(client->notifier);
	if (client->owner_fd >= 0)
		close(client->owner_fd);
	px_port_close(port);
	px_client_release(client);
}

int px_client_engines(struct px_client *client, uint32_t *ids, size_t cap)
{
	uint32_t given;
	size_t count = 0;
	int rc = px_client_check(client);

	if (rc < 0)
		return rc;
	given = atomic_load_explicit(&client->port->segment->header->engines_count,
				     memory_order_acquire);
	for (uint32_t id = 0; id < given && id < PX_ENGINES_MAX; id++) {
		uint32_t state = engine_state(client, id);

		if (state != PX_ENGINE_UP && state != PX_ENGINE_STARTING)
			continue;
		if (count < cap)
			ids[count] = id;
		count++;
	}
	return (int)count;
}

uint64_t px_client_trim(struct px_client *client)
{
	if (client->closed || own_process(client) < 0)
		return 0;
	pthread_mutex_lock(&client->lock);
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (client->port->links[slot])
			px_link_collect(client->port->links[slot]);
	pthread_mutex_unlock(&client->lock);
	return px_arena_trim(client->port->arena, 0);
}
