/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wait.c - waits for replies: one thread reads all rings, the others follow it.
 */
#include <time.h>

#include "client/internal.h"
#include "shm/error.h"
#include "shm/os.h"

#define FOLLOWER_NAP_NS UINT64_C(50000000)

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
	if (!px_client_ended(client) && !client->lost)
		px_client_read_all(client);
	rc = px_client_ended(client) || client->lost ? 1 : w->done(w->ctx);
	pthread_mutex_unlock(&client->lock);
	return rc;
}

static int pump_nap(void *ctx)
{
	struct waiting *w = ctx;

	if (!px_endpoint_orphaned(w->client->endpoint))
		return 0;
	pthread_mutex_lock(&w->client->lock);
	/* What engines published before they went still counts. */
	px_client_read_all(w->client);
	(void)px_client_lose(w->client);
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

/*
 * The lurker sleeps, and engines shall not wake it for what we wait for. It may also be about to
 * sleep: then one reply wakes it, for nothing.
 */
static void take_bell(struct px_client *client)
{
	if (client->lurking)
		px_doorbell_cancel(client->endpoint->bell);
}

/* The lurker sleeps on where it is, announced again by us; or wakes, if it has missed something. */
static void give_bell_back(struct px_client *client)
{
	if (!client->lurking || px_client_ended(client) || client->lost)
		return;
	(void)px_doorbell_announce(client->endpoint->bell, PX_BELL_FRAME);
	px_client_read_all(client);
	if (client->finished != client->lurker_seen)
		px_doorbell_ring(client->endpoint->bell, PX_BELL_FRAME);
}

/* Reads all rings until w->done; with the lock before and after. As px_doorbell_wait(). */
static int lead(struct waiting *w, uint64_t timeout_ns, uint32_t why, bool lurk)
{
	struct px_client *client = w->client;
	bool *role = lurk ? &client->lurking : &client->pumping;
	int rc;

	*role = true;
	if (!lurk)
		take_bell(client);
	pthread_mutex_unlock(&client->lock);
	rc = px_endpoint_wait(client->endpoint, why, timeout_ns, pump, pump_nap, w);
	pthread_mutex_lock(&client->lock);
	*role = false;
	if (!lurk)
		give_bell_back(client);
	if (client->waiters)
		pthread_cond_broadcast(&client->changed);
	return rc;
}

/* px_client_wait_locked(); lurk: of lower rank than others. */
static int wait_locked(struct waiting *w, uint64_t timeout_ns, uint32_t why, bool lurk)
{
	struct px_client *client = w->client;
	uint64_t now = timeout_ns == PX_FOREVER ? 0 : px_os.now_ns();
	uint64_t deadline = timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
	int rc = 0;

	while (!w->done(w->ctx) && !px_client_ended(client) && !client->lost && rc == 0) {
		if (client->pumping || (lurk && client->lurking)) {
			rc = follow(client, deadline);
			continue;
		}
		if (deadline != UINT64_MAX) {
			now = px_os.now_ns();
			timeout_ns = deadline > now ? deadline - now : 0;
		}
		rc = lead(w, timeout_ns, why, lurk);
		rc = rc > 0 ? 0 : rc;
	}
	return w->done(w->ctx) ? 0 : rc;
}

int px_client_wait_locked(struct px_client *client, int (*done)(void *ctx), void *ctx,
			  uint64_t timeout_ns, uint32_t why)
{
	return wait_locked(&(struct waiting){ client, done, ctx }, timeout_ns, why, false);
}

struct wanted {
	struct px_result *const *results;
	size_t count;
};

static int all_done(void *ctx)
{
	const struct wanted *wanted = ctx;

	/* SYNC result.pending: acquire; partner: px_request_done(). */
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
	rc = px_client_enter(client);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	rc = px_client_wait_locked(client, all_done, &wanted, timeout_ns, PX_BELL_FRAME);
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
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
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	client->any_waiters++;
	atomic_store_explicit(&client->any_waited, true, memory_order_relaxed);
	client->lurker_seen = *seen;
	rc = wait_locked(&(struct waiting){ client, any_finished, &any }, timeout_ns, PX_BELL_FRAME,
			 true);
	client->any_waiters--;
	*seen = client->finished;
	if (rc == 0 && *seen == any.seen)
		rc = px_client_usable(client);
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return rc;
}

/* What was aborted is done for its user, though it is in its queue. */
static int idle(void *ctx)
{
	const struct px_client *client = ctx;

	for (const struct px_queue *queue = client->active; queue; queue = queue->next)
		for (const struct px_request *request = queue->head; request;
		     request = request->next)
			if (!request->aborted)
				return 0;
	return 1;
}

int px_client_wait_idle(struct px_client *client, uint64_t timeout_ns)
{
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	rc = px_client_usable(client);
	if (rc == 0)
		rc = px_client_wait_locked(client, idle, client, timeout_ns, PX_BELL_FRAME);
	if (rc == 0)
		rc = px_client_usable(client);
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return rc;
}

int px_result_wait(struct px_result *result, uint64_t timeout_ns)
{
	int rc = px_handle_check(&result->handle, PX_HANDLE_RESULT, "result");

	return rc < 0 ? rc : px_client_wait(result->client, &result, 1, timeout_ns);
}

void px_result_keep_quiet(struct px_result *result, bool quiet)
{
	struct px_client *client = result->client;

	/* Quick, for the blocking call of most clients. */
	if (quiet && !atomic_load_explicit(&client->any_waited, memory_order_relaxed))
		return;
	/* Closed: nobody waits. */
	if (px_client_enter(client) < 0)
		return;
	pthread_mutex_lock(&client->lock);
	if (result->quiet && !quiet &&
	    !atomic_load_explicit(&result->pending, memory_order_relaxed)) {
		client->finished++;
		pthread_cond_broadcast(&client->changed);
		px_doorbell_ring(client->endpoint->bell, PX_BELL_FRAME);
	}
	result->quiet = quiet;
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
}

int px_result_ready(struct px_result *result)
{
	int rc = px_handle_check(&result->handle, PX_HANDLE_RESULT, "result");

	if (rc < 0)
		return rc;
	/* SYNC result.pending: acquire; partner: px_request_done(). */
	if (atomic_load_explicit(&result->pending, memory_order_acquire) == 0)
		return 1;
	(void)px_client_poll(result->client);
	return atomic_load_explicit(&result->pending, memory_order_acquire) == 0;
}
