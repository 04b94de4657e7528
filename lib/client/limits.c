/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limits.c - requests with a time limit.
 */
#include "client/limits.h"

#include "client/internal.h"
#include "shm/error.h"
#include "shm/os.h"

void px_limits_remove(struct px_result *result)
{
	struct px_limit *place = &result->limit;

	if (!place->listed)
		return;
	if (place->before)
		place->before->limit.next = place->next;
	else
		result->client->limited = place->next;
	if (place->next)
		place->next->limit.before = place->before;
	place->listed = false;
}

static void insert(struct px_result *result)
{
	struct px_client *client = result->client;
	struct px_limit *place = &result->limit;

	place->listed = true;
	place->before = NULL;
	place->next = client->limited;
	if (client->limited)
		client->limited->limit.before = result;
	client->limited = result;
}

int px_limits_add(struct px_result *result, uint64_t timeout_ns)
{
	struct px_client *client = result->client;
	uint64_t now = px_os.now_ns();
	int rc;

	if (!timeout_ns || timeout_ns > UINT64_MAX - 1 - now)
		return 0;
	rc = px_client_fd(client);
	if (rc < 0)
		return rc;
	result->limit.at_ns = now + timeout_ns;
	pthread_mutex_lock(&client->lock);
	insert(result);
	/* The thread waits for nothing, or for a later one. */
	px_client_wake(client, NULL);
	pthread_mutex_unlock(&client->lock);
	return 0;
}

uint64_t px_limits_left_ns(const struct px_result *result)
{
	uint64_t now;

	if (!result->limit.at_ns)
		return PX_FOREVER;
	now = px_os.now_ns();
	return result->limit.at_ns > now ? result->limit.at_ns - now : 0;
}

int px_limits_check(const struct px_result *result)
{
	return px_limits_left_ns(result) ?
		       0 :
		       px_fail(PX_ETIMEDOUT, "its time limit was over before it was sent");
}

uint64_t px_limits_next_ns(const struct px_client *client)
{
	uint64_t first = PX_FOREVER, now;

	for (const struct px_result *r = client->limited; r; r = r->limit.next)
		if (r->limit.at_ns < first)
			first = r->limit.at_ns;
	if (first == PX_FOREVER)
		return PX_FOREVER;
	now = px_os.now_ns();
	return first > now ? first - now : 0;
}

/* Takes one that is late out of the list, held; NULL: there is none. */
static struct px_result *take_late(struct px_client *client)
{
	uint64_t now = px_os.now_ns();
	struct px_result *result;

	pthread_mutex_lock(&client->lock);
	result = client->limited;
	/* One that nobody holds any more is about to leave the list. */
	while (result && (result->limit.at_ns > now || !px_result_hold(result)))
		result = result->limit.next;
	if (result) {
		px_limits_remove(result);
		for (uint32_t i = 0; i < result->count; i++)
			result->requests[i].late = true;
	}
	pthread_mutex_unlock(&client->lock);
	return result;
}

void px_limits_enforce(struct px_client *client)
{
	struct px_result *result;

	while ((result = take_late(client)) != NULL) {
		/* A failure is the pool's end, by which it is ready, too. */
		for (uint32_t i = 0; i < result->count; i++)
			(void)px_request_cancel(&result->requests[i]);
		px_result_release(result);
	}
}
