/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_wait.c - waits for replies: one thread reads all rings, the others follow it.
 */
#include <time.h>

#include "client_parts.h"
#include "error.h"
#include "os.h"

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
	if (!client->closed && !client->lost)
		px_client_read_all(client);
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

/* Waits, with the lock held before and after, until done(ctx). 0, PX_ETIMEDOUT, PX_EINTR. */
int px_client_wait_locked(struct px_client *client, int (*done)(void *ctx), void *ctx,
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
	rc = px_client_own(client);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	rc = px_client_wait_locked(client, all_done, &wanted, timeout_ns, PX_BELL_FRAME);
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
	int rc = px_client_own(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	client->any_waiters++;
	rc = px_client_wait_locked(client, any_finished, &any, timeout_ns, PX_BELL_FRAME);
	client->any_waiters--;
	*seen = client->finished;
	if (rc == 0 && *seen == any.seen)
		rc = px_client_usable(client);
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
