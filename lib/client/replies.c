/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replies.c - reads replies, and tells what became of dead engines.
 *
 * All of it with the client's lock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"
#include "client/tasks.h"
#include "machine/wall_clock.h"
#include "shm/barrier.h"
#include "shm/error.h"

/* --- queues --- */

void px_queue_push(struct px_client *client, struct px_queue *queue, struct px_request *request)
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
	queue->waiting++;
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
	queue->waiting -= !request->aborted;
	if (!queue->head)
		queue_deactivate(queue);
}

/* All its requests are answered. */
static void finish(struct px_result *result)
{
	px_limits_remove(result);
	if (result->barrier)
		px_region_release(result->barrier);
	result->barrier = NULL;
}

/* From here on its user has it. */
void px_request_done(struct px_client *client, struct px_request *request)
{
	struct px_result *result = request->result;
	uint32_t left = atomic_load_explicit(&result->pending, memory_order_relaxed);
	bool woken;

	request->received_ns = px_wall_ns();
	px_journal_add(client->journal, request);
	result->requests[result->count - left].nth = (uint32_t)(request - result->requests);
	/* SYNC request.done: release; partner: px_request_is_done(). */
	atomic_store_explicit(&request->done, 1, memory_order_release);
	/* SYNC result.pending: release; partner: px_result_finished(). */
	atomic_store_explicit(&result->pending, --left, memory_order_release);
	/* One that could not begin has not left by itself; deaths are seen, and told of, by the others. */
	if (result->barrier && request->code < 0 && request->code != PX_EENGINE)
		px_barrier_leave(result->barrier->at, (uint32_t)(request - result->requests));
	if (!left)
		finish(result);
	woken = (!left || result->completion.each) && px_completions_add(result);
	if (!woken && client->followers && (!left || result->entry_waiters))
		px_client_changed(client);
}

/* It is out of its queue. */
static void request_finish(struct px_client *client, struct px_request *request)
{
	if (!request->aborted)
		px_request_done(client, request);
	px_result_release_locked(request->result);
}

/* How its engine's process has ended, before the slot is another's. */
static void note_death(const struct px_client *client, struct px_request *request)
{
	struct px_member member;

	if (request->code != PX_EENGINE || !request->member.epoch ||
	    px_member_read(client->endpoint->segment, request->member.slot, &member) < 0 ||
	    member.id.epoch != request->member.epoch || member.state == PX_SLOT_LIVE)
		return;
	request->died = true;
	request->exit_signal = member.exit_signal;
	request->exit_code = member.exit_code;
}

void px_request_fail(struct px_client *client, struct px_request *request, int code,
		     const char *words)
{
	if (!request->aborted) {
		request->code = code;
		request->words = strdup(words);
		note_death(client, request);
	}
	request_finish(client, request);
}

static void queue_fail(struct px_client *client, struct px_queue *queue, int code,
		       const char *words)
{
	while (queue->head) {
		struct px_request *request = queue->head;

		queue_remove(queue, request);
		px_request_fail(client, request, code, words);
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

/* Each request that is out has a hold of its result, and whoever has the result another one. */
static bool nobody_holds(const struct px_result *result)
{
	uint32_t pending = atomic_load_explicit(&result->pending, memory_order_relaxed);
	uint32_t out =
		pending - (result->count - result->sent); /* the others are still to be sent */

	return atomic_load_explicit(&result->holds, memory_order_relaxed) <= out;
}

static int output_append(struct px_request *request, const struct px_incoming *in)
{
	if (in->lost)
		return px_fail(PX_ENOMEM, "no private memory for an engine's output");
	if (in->flags >= PX_STREAMS)
		return px_fail(PX_ECORRUPT, "engine %u sent output of no known kind (%u)",
			       request->engine, in->flags);
	if (nobody_holds(request->result) || request->result->quiet)
		return 0;
	if (!request->output)
		request->output = calloc(1, sizeof(*request->output));
	if (!request->output)
		return px_fail(PX_ENOMEM, "no private memory for an engine's output");
	/* An engine bounds it (engine/outlet.h), and may have gone mad. */
	if (in->flags <= PX_STREAM_STDERR &&
	    request->output->texts[in->flags].length > 2 * PX_OUTPUT_HEAD_BYTES)
		return px_fail(PX_ECORRUPT, "engine %u sent output without end", request->engine);
	atomic_fetch_add_explicit(&request->result->client->outputs, 1, memory_order_relaxed);
	return px_output_append(request->output, (enum px_stream)in->flags, in->body,
				in->body_bytes);
}

/* Makes the reply the request's own. The body leaves the frame. */
static int reply_take(struct px_request *request, struct px_incoming *in)
{
	void *body = request->small;

	if (in->lost)
		return px_fail(PX_ENOMEM, "no private memory for what came with a reply");
	if (!in->body_loan && in->body_bytes > sizeof(request->small)) {
		body = request->long_body = malloc(in->body_bytes);
		if (!body)
			return px_fail(PX_ENOMEM, "no private memory for a reply");
	}
	request->reply = *in;
	if (!in->body_loan)
		request->reply.body = memcpy(body, in->body, in->body_bytes);
	request->code = in->code;
	/* The user was told that it would not be ready, also of what did not heed the interrupt. */
	if (request->late && (in->code == PX_EREMOTE || in->code == 0)) {
		request->code = PX_ETIMEDOUT;
		request->words = strdup("it did not end before its time limit was over");
	}
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

/* Of a task that is done already, this is a second run's, after a mad engine made it lost. */
static int handle_task(struct px_client *client, struct px_queue *queue, struct px_incoming *in)
{
	struct px_request *request = px_tasks_find(client, in->id);
	int rc = 0;

	if (request) {
		request->engine = queue->engine;
		request->member = queue->link->peer;
	}
	if (request && in->kind == PX_STREAM) {
		rc = output_append(request, in);
	} else if (request && !px_task_again(request, in)) {
		rc = reply_take(request, in);
		if (rc == 0) {
			request_finish(client, request);
			return 0;
		}
		px_request_fail(client, request, rc, px_last_error());
		rc = 0;
	}
	px_incoming_free(in);
	return rc;
}

static int handle_message(struct px_client *client, struct px_queue *queue, struct px_incoming *in)
{
	struct px_request *request = queue_find(queue, in->id);
	int rc;

	if (px_task_is_id(in->id) && (in->kind == PX_REPLY || in->kind == PX_STREAM))
		return handle_task(client, queue, in);

	if (!request || (in->kind != PX_REPLY && in->kind != PX_STREAM)) {
		bool probed = in->kind == PX_REPLY && px_tasks_probed(client, queue, in->id);

		px_incoming_free(in);
		if (probed)
			return 0;
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
		px_request_fail(client, request, rc, px_last_error());
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
	const uint8_t *crash = px_segment_block(client->endpoint->segment, slot)->crash;
	size_t length = 0;

	while (length + 1 < out_bytes && length < PX_CRASH_BYTES && crash[length])
		length++;
	memcpy(out, crash, length);
	out[length] = '\0';
	/* It ends with the names of all that is loaded, which drown the stack. */
	out = strstr(out, "\n\nExtension modules:");
	if (out)
		*out = '\0';
}

/* " in the native function NAME of FILE", "" if it ran none. Returns the length. */
static int native_words(const struct px_client *client, uint32_t slot, char *out, size_t out_bytes)
{
	const struct px_function_shm *function =
		&px_segment_block(client->endpoint->segment, slot)->function;

	out[0] = '\0';
	/* Relaxed: the engine is dead, and that was read with acquire. */
	if (!atomic_load_explicit(&function->runs, memory_order_relaxed))
		return 0;
	return snprintf(out, out_bytes, " in the native function %.*s",
			(int)sizeof(function->words), function->words);
}

/* "exited with code 3" and the like. */
static int end_words(int exit_signal, int exit_code, char *out, size_t out_bytes)
{
	if (exit_signal)
		return snprintf(out, out_bytes, "was killed by SIG%s (signal %d)",
				signal_word(exit_signal), exit_signal);
	if (exit_code == PX_EXIT_UNKNOWN)
		return snprintf(out, out_bytes, "ended, how is not known");
	return snprintf(out, out_bytes, "exited with code %d", exit_code);
}

/* Of an engine that was taken along. */
static int cause_words(const struct px_cause *cause, char *out, size_t out_bytes)
{
	char how[80];

	end_words(cause->exit_signal, cause->exit_code, how, sizeof(how));
	if (cause->engine < 0)
		return snprintf(out, out_bytes,
				"was ended with its MPI world: mpiexec (process %d) %s%s",
				cause->pid, how,
				cause->exit_code > 0 ? ", as after MPI_Abort()" : "");
	return snprintf(out, out_bytes, "was ended with its MPI world: engine %d (process %d) %s",
			cause->engine, cause->pid, how);
}

static void death_words(const struct px_client *client, const struct px_queue *queue, char *out,
			size_t out_bytes)
{
	struct px_member member = { 0 };
	char crash[8192];
	int n;

	(void)px_member_read(client->endpoint->segment, queue->link->peer.slot, &member);
	n = snprintf(out, out_bytes, "engine %u (process %d) ", queue->engine, member.pid);
	out += n;
	out_bytes -= (size_t)n;
	if (member.oom_killed)
		n = snprintf(out, out_bytes,
			     "was killed by the kernel's out-of-memory killer (SIGKILL): it "
			     "needs more memory than there is");
	else if (member.expected)
		n = snprintf(out, out_bytes, "was stopped");
	else if (member.cause.pid)
		n = cause_words(&member.cause, out, out_bytes);
	else
		n = end_words(member.exit_signal, member.exit_code, out, out_bytes);
	out += n;
	out_bytes -= (size_t)n;
	n = native_words(client, queue->link->peer.slot, out, out_bytes);
	crash_text(client, queue->link->peer.slot, crash, sizeof(crash));
	if (crash[0])
		snprintf(out + n, out_bytes - (size_t)n, "\n%s", crash);
}

int px_client_stopping(const struct px_client *client)
{
	const struct px_header_shm *header = client->endpoint->segment->header;

	/* SYNC pool.closing: acquire; partner: the release in the supervisor's stop(). */
	if (!atomic_load_explicit(&header->closing, memory_order_acquire))
		return 0;
	return px_fail(PX_EPOOL, "the pool was stopped, and its engines with it");
}

/* Why the engine of a queue is no more. */
static int death(const struct px_client *client, const struct px_queue *queue, char *words,
		 size_t words_bytes)
{
	struct px_member member = { 0 };

	(void)px_member_read(client->endpoint->segment, queue->link->peer.slot, &member);
	if (member.expected && px_client_stopping(client) < 0) {
		snprintf(words, words_bytes, "%s", px_last_error());
		return PX_EPOOL;
	}
	death_words(client, queue, words, words_bytes);
	return PX_EENGINE;
}

void px_queue_engine_died(struct px_client *client, struct px_queue *queue)
{
	int code = PX_EENGINE;
	char words[12000];

	/* What it published before it died still counts. */
	if (queue_read(client, queue) == 0)
		code = death(client, queue, words, sizeof(words));
	else
		snprintf(words, sizeof(words), "%s", px_last_error());
	queue_fail(client, queue, code, words);
	px_tasks_engine_died(client, queue, code, words);
	queue_drop(client, queue);
}

/* Somebody came or went: our engines may be among them. */
static void look_for_deaths(struct px_client *client)
{
	for (uint32_t engine = 0; engine < PX_ENGINES_MAX; engine++) {
		struct px_link *link = client->engine_links[engine];

		if (link && !px_member_alive(client->endpoint->segment, link->peer))
			px_queue_engine_died(client, link->user);
	}
}

/* The pool is gone, or this handle is: nobody answers any more. */
void px_client_fail_all(struct px_client *client, int code, const char *words)
{
	while (client->active)
		queue_fail(client, client->active, code, words);
	px_tasks_fail_all(client, code, words);
}

int px_client_lost(const struct px_client *client)
{
	if (client->lost == PX_ECLOSED)
		return px_fail(PX_ECLOSED,
			       "code in this process has closed this client's descriptors, as "
			       "os.closerange() does: close only what is your own, and attach a "
			       "new client");
	if (px_client_stopping(client) < 0)
		return PX_EPOOL;
	return px_fail(PX_EPOOL, "the pool's supervisor is gone, and its engines with it");
}

int px_client_lose(struct px_client *client, int code)
{
	char words[200];

	if (!client->lost) {
		client->lost = code;
		(void)px_client_lost(client);
		snprintf(words, sizeof(words), "%s", px_last_error());
		px_client_fail_all(client, code, words);
		px_client_changed(client);
		if (client->finished.notifier)
			px_notifier_alarm(client->finished.notifier);
	}
	return px_client_lost(client);
}

/*
 * An engine that lives, and is not asked again: the ring's rest cannot be read, and opening the link
 * anew would read it from its beginning.
 */
static void give_up(struct px_client *client, struct px_queue *queue, int code)
{
	char words[1000];

	snprintf(words, sizeof(words), "%s", px_last_error());
	client->given_up[queue->engine] = queue->link->peer;
	queue_fail(client, queue, code, words);
	px_tasks_engine_died(client, queue, code, words);
	queue_drop(client, queue);
}

/* Reads what one engine has said; PX_ECORRUPT and PX_ENOMEM are its end. */
static void read_or_give_up(struct px_client *client, struct px_queue *queue)
{
	int rc = queue_read(client, queue);

	if (rc < 0)
		give_up(client, queue, rc);
}

/* Any engine may have run a task. */
static void read_tasks(struct px_client *client)
{
	for (uint32_t engine = 0; engine < PX_ENGINES_MAX; engine++) {
		struct px_link *link = client->engine_links[engine];

		if (link && px_link_ready(link))
			read_or_give_up(client, link->user);
	}
	px_tasks_place(client);
}

/* With the lock. */
void px_client_read_all(struct px_client *client)
{
	struct px_queue *queue, *next;
	/* SYNC members.seq: acquire; partner: the release in px_member_announce(). */
	uint64_t seq = atomic_load_explicit(&client->endpoint->segment->header->members_seq,
					    memory_order_acquire);

	if (seq != client->seen_members_seq) {
		client->seen_members_seq = seq;
		look_for_deaths(client);
		px_tasks_members_changed(client);
	}
	for (queue = client->active; queue; queue = next) {
		next = queue->next;
		read_or_give_up(client, queue);
	}
	if (px_tasks_any(client))
		read_tasks(client);
	/* What has just been read may leave memory that an engine needs for the next reply. */
	px_endpoint_heed(client->endpoint);
}
