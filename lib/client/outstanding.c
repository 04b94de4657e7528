/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * outstanding.c - finds results that are not ready, also those that their user has freed already.
 */
#include <stdlib.h>

#include "client/internal.h"
#include "shm/error.h"

static bool is_done(const struct px_request *request)
{
	return atomic_load_explicit(&request->done, memory_order_relaxed);
}

/* Whether it is the first unanswered request of its result: so each result is counted once. */
static bool is_first_of_result(const struct px_request *request)
{
	const struct px_request *first = request->result->requests;

	while (first < request && is_done(first))
		first++;
	return first == request && !is_done(request);
}

/* With the lock: there each unanswered request has a hold of its result, so the result is there. */
static struct px_result *hold(struct px_result *result)
{
	atomic_fetch_add_explicit(&result->holds, 1, memory_order_relaxed);
	return result;
}

static size_t collect(struct px_client *client, struct px_result **into)
{
	size_t count = 0;

	for (const struct px_queue *queue = client->active; queue; queue = queue->next)
		for (const struct px_request *request = queue->head; request;
		     request = request->next) {
			if (!is_first_of_result(request))
				continue;
			if (into)
				into[count] = hold(request->result);
			count++;
		}
	return count;
}

int px_client_outstanding(struct px_client *client, struct px_result ***results, size_t *count)
{
	int rc = px_client_poll(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	*count = collect(client, NULL);
	*results = calloc(*count + 1, sizeof(struct px_result *));
	if (*results)
		(void)collect(client, *results);
	pthread_mutex_unlock(&client->lock);
	return *results ? 0 : px_fail(PX_ENOMEM, "no private memory for a list of results");
}

static struct px_result *find(const struct px_client *client, uint64_t id)
{
	for (const struct px_queue *queue = client->active; queue; queue = queue->next)
		for (const struct px_request *request = queue->head; request;
		     request = request->next)
			if (px_result_id(request->result) == id && !is_done(request))
				return hold(request->result);
	return NULL;
}

int px_client_find(struct px_client *client, uint64_t id, struct px_result **result)
{
	int rc = px_client_poll(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	*result = find(client, id);
	pthread_mutex_unlock(&client->lock);
	return 0;
}

uint64_t px_result_id(const struct px_result *result)
{
	return result->requests[0].id;
}
