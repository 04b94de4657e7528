/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * request.c - what can be done about a request that was sent: abort it, interrupt it, ask for its
 * progress and output, and whether its engine still uses the memory that was sent with it.
 */
#include <string.h>

#include "client/internal.h"
#include "client/tasks.h"

/* --- abort, interrupt, progress --- */

/*
 * With the lock: the link to the process that the request was sent to; NULL if that process is dead
 * or the request is done.
 */
static struct px_link *link_of(struct px_request *request)
{
	struct px_client *client = request->result->client;
	struct px_link *link =
		request->engine < PX_ENGINES_MAX ? client->engine_links[request->engine] : NULL;

	if (!link || link->peer.slot != request->member.slot ||
	    link->peer.epoch != request->member.epoch)
		return NULL;
	return atomic_load_explicit(&request->done, memory_order_relaxed) ? NULL : link;
}

/*
 * Enters the client of a request that is not done, and takes its lock: 1, and leave() ends it. 0: it
 * is done, as all are of a client that is closed.
 */
static int enter(struct px_request *request, struct px_link **link)
{
	struct px_client *client = request->result->client;
	int rc;

	if (px_request_is_done(request))
		return 0;
	rc = px_client_enter(client);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	*link = link_of(request);
	return 1;
}

static void leave_client(struct px_client *client)
{
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
}

static void leave(struct px_request *request)
{
	leave_client(request->result->client);
}

int px_request_abort(struct px_request *request)
{
	struct px_client *client = request->result->client; /* the request may go with its end */
	struct px_link *link;
	int rc = enter(request, &link);

	if (rc <= 0)
		return rc;
	if (request->task) {
		rc = px_task_abort(request);
		if (rc)
			px_client_wake_leader(client);
		leave_client(client);
		return rc;
	}
	rc = link && !request->urgent && px_link_abort(link, &request->ticket, request->id);
	if (rc) {
		request->code = request->late ? PX_ETIMEDOUT : PX_EABORTED;
		request->words = strdup(request->late ? "its time limit was over before it ran" :
							"the request was aborted before it ran");
		px_request_done(request->result->client, request);
		request->aborted = true;
		((struct px_queue *)link->user)->waiting--;
		px_client_wake_leader(client);
	}
	leave(request);
	return rc;
}

int px_request_interrupt(struct px_request *request)
{
	struct px_client *client = request->result->client;
	struct px_link *link;
	uint32_t engine;
	uint64_t id;
	int rc = enter(request, &link);

	if (rc <= 0)
		return rc;
	engine = request->engine;
	id = request->id;
	if (request->task) {
		px_task_stop(request);
		link = px_task_taken(request, &engine, &id);
	}
	if (link)
		px_link_interrupt(link, id);
	pthread_mutex_unlock(&client->lock);
	rc = link ? px_client_signal(client, engine, PX_SIGNAL_INTERRUPT, 0) : 0;
	px_client_leave(client);
	return rc;
}

uint32_t px_request_engine(struct px_request *request)
{
	struct px_client *client = request->result->client; /* the request may go with its end */
	struct px_link *link;
	uint32_t engine;
	uint64_t id;

	/* That of a task may change until it is done. */
	if (!px_task_is_id(request->id) || enter(request, &link) <= 0)
		return request->engine;
	engine = request->engine;
	if (request->task && !px_task_taken(request, &engine, &id))
		engine = PX_NO_ENGINE;
	leave_client(client);
	return engine;
}

/* Whether the engine that has taken a task has begun it, and how far it is. */
static int task_running(const struct px_request *request, uint64_t *progress)
{
	uint32_t engine;
	uint64_t id;
	const struct px_link *link = px_task_taken(request, &engine, &id);

	return link && px_task_is_running(link, id, progress);
}

int px_request_running(struct px_request *request, uint64_t *progress)
{
	struct px_link *link;
	int rc = enter(request, &link);

	*progress = 0;
	if (rc <= 0)
		return rc;
	if (request->task)
		rc = task_running(request, progress);
	else
		rc = link && px_link_running(link, request->id, progress);
	leave(request);
	if (!rc)
		*progress = 0;
	return rc;
}

/* When the engine at the other end began that request of ours, if it works on it; else 0. */
static uint64_t begun_at(const struct px_link *link, uint64_t id)
{
	const struct px_activity_shm *activity =
		&px_segment_block(link->endpoint->segment, link->peer.slot)->activity;
	uint64_t progress;

	/* For displays: these words need not be of the same moment. */
	if (!px_task_is_running(link, id, &progress))
		return 0;
	return atomic_load_explicit(&activity->started_ns, memory_order_relaxed);
}

uint64_t px_request_began_ns(struct px_request *request)
{
	const struct px_link *link;
	struct px_link *sent_by;
	uint64_t id = request->id, began = 0;
	uint32_t engine;

	if (px_request_is_done(request))
		return request->reply.started_ns;
	if (enter(request, &sent_by) <= 0)
		return 0;
	link = request->task ? px_task_taken(request, &engine, &id) : sent_by;
	if (link)
		began = begun_at(link, id);
	leave(request);
	return began;
}

int px_request_output(struct px_request *request, struct px_output *out)
{
	struct px_client *client = request->result->client;
	int rc = px_client_own(client);

	if (rc < 0)
		return rc;
	/* What has been read can be had also when the client is closed. */
	(void)px_client_poll(client);
	memset(out, 0, sizeof(*out));
	pthread_mutex_lock(&client->lock);
	if (request->output)
		rc = px_output_copy(request->output, out);
	pthread_mutex_unlock(&client->lock);
	return rc;
}

int px_request_news(struct px_request *request, bool parts, size_t most, struct px_output *out)
{
	struct px_client *client = request->result->client;
	bool all = px_request_is_done(request) || parts;
	int rc = px_client_own(client);

	memset(out, 0, sizeof(*out));
	if (rc < 0)
		return 0; /* the parent shows it */
	pthread_mutex_lock(&client->lock);
	if (request->output)
		rc = px_output_news(request->output, all, most, out);
	pthread_mutex_unlock(&client->lock);
	if (rc < 0)
		px_output_clear(out);
	return rc;
}

size_t px_request_told(struct px_request *request)
{
	struct px_client *client = request->result->client;
	size_t told;

	if (px_client_own(client) < 0)
		return 0;
	pthread_mutex_lock(&client->lock);
	told = request->output ? px_output_told(request->output) : 0;
	pthread_mutex_unlock(&client->lock);
	return told;
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

/* --- the memory that was sent --- */

/* The same as far as it is known already. Without the lock, also when the client is closed. */
static bool is_known_released(const struct px_request *request)
{
	return !request->tracker || px_tracker_over(request->tracker);
}

/* With the lock. Whether no engine uses what was sent with it any more; true if the pool is gone. */
static bool is_released(struct px_client *client, struct px_request *request)
{
	if (client->lost || is_known_released(request))
		return true;
	px_endpoint_collect(client->endpoint, request->member);
	return is_known_released(request);
}

int px_request_sent(struct px_request *request)
{
	struct px_client *client = request->result->client;
	int rc;

	if (is_known_released(request))
		return 1;
	rc = px_client_enter(client);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	rc = is_released(client, request);
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return rc;
}

static int entry_released(void *ctx)
{
	struct px_request *request = ctx;

	return is_released(request->result->client, request);
}

static int all_released(void *ctx)
{
	struct px_result *result = ctx;

	for (uint32_t i = 0; i < result->count; i++)
		if (!is_released(result->client, &result->requests[i]))
			return 0;
	return 1;
}

static int wait_sent(struct px_client *client, int (*done)(void *ctx), void *ctx,
		     uint64_t timeout_ns)
{
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	rc = px_client_wait_locked(client, done, ctx, timeout_ns, PX_BELL_FRAME | PX_BELL_RELEASE);
	if (rc == 0 && !done(ctx))
		rc = px_client_usable(client);
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return rc;
}

int px_request_wait_sent(struct px_request *request, uint64_t timeout_ns)
{
	return is_known_released(request) ?
		       0 :
		       wait_sent(request->result->client, entry_released, request, timeout_ns);
}

int px_result_wait_sent(struct px_result *result, uint64_t timeout_ns)
{
	uint32_t i = 0;

	while (i < result->count && is_known_released(&result->requests[i]))
		i++;
	return i == result->count ? 0 : wait_sent(result->client, all_released, result, timeout_ns);
}

/* --- for pxrun.h --- */

int px_result_interrupt(struct px_result *result, size_t index)
{
	int rc = px_result_check_entry(result, index);

	return rc < 0 ? rc : px_request_interrupt(&result->requests[index]);
}

/* A task is not to be run again, whatever becomes of its engine from here on. */
static int stop_task(struct px_request *request)
{
	struct px_client *client = request->result->client;
	struct px_link *link;
	int rc = enter(request, &link);

	if (rc <= 0)
		return rc;
	if (request->task)
		px_task_stop(request);
	leave_client(client);
	return 0;
}

/* An engine that dies meanwhile has stopped as well. */
int px_request_cancel(struct px_request *request)
{
	int rc = stop_task(request);

	if (rc == 0)
		rc = px_request_abort(request);
	if (rc == 0)
		rc = px_request_interrupt(request);
	return rc > 0 || rc == PX_EENGINE ? 0 : rc;
}

int px_result_cancel(struct px_result *result, size_t index)
{
	int rc = px_result_check_entry(result, index == PX_ALL_ENTRIES ? 0 : index);

	if (rc < 0 || index != PX_ALL_ENTRIES)
		return rc < 0 ? rc : px_request_cancel(&result->requests[index]);
	for (uint32_t i = 0; i < result->count; i++) {
		int failed = px_request_cancel(&result->requests[i]);

		rc = rc < 0 ? rc : failed;
	}
	return rc;
}

size_t px_result_abort(struct px_result *result)
{
	size_t count = 0;

	if (px_handle_check(result, PX_HANDLE_RESULT, "result") < 0)
		return 0;
	for (uint32_t i = 0; i < result->count; i++)
		count += px_request_abort(&result->requests[i]) == 1;
	return count;
}
