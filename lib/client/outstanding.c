/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * outstanding.c - finds results that are not ready, also those that their user has freed already.
 */
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"
#include "client/tasks.h"
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

/* Calls each for every unanswered request, until it is not 0. */
static void each_request(const struct px_client *client,
			 int (*each)(void *ctx, struct px_request *request), void *ctx)
{
	int rc = 0;

	for (const struct px_queue *queue = client->active; queue && !rc; queue = queue->next)
		for (struct px_request *request = queue->head; request && !rc;
		     request = request->next)
			rc = each(ctx, request);
	if (!rc)
		(void)px_tasks_each(client, each, ctx);
}

struct collection {
	struct px_result **into; /* NULL: they are only counted */
	size_t count;
};

static int collect(void *ctx, struct px_request *request)
{
	struct collection *collection = ctx;

	if (!is_first_of_result(request))
		return 0;
	if (collection->into)
		collection->into[collection->count] = hold(request->result);
	collection->count++;
	return 0;
}

int px_client_outstanding(struct px_client *client, struct px_result ***results, size_t *count)
{
	struct collection counted = { 0 }, collected = { 0 };
	int rc = px_client_poll(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	each_request(client, collect, &counted);
	collected.into = *results = calloc(counted.count + 1, sizeof(struct px_result *));
	if (*results)
		each_request(client, collect, &collected);
	*count = collected.count;
	pthread_mutex_unlock(&client->lock);
	return *results ? 0 : px_fail(PX_ENOMEM, "no private memory for a list of results");
}

struct search {
	uint64_t id;
	struct px_result *found;
};

static int find(void *ctx, struct px_request *request)
{
	struct search *search = ctx;

	if (px_result_id(request->result) != search->id || is_done(request))
		return 0;
	search->found = hold(request->result);
	return 1;
}

int px_client_find(struct px_client *client, uint64_t id, struct px_result **result)
{
	struct search search = { .id = id };
	int rc = px_client_poll(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	each_request(client, find, &search);
	pthread_mutex_unlock(&client->lock);
	*result = search.found;
	return 0;
}

static int count_task(void *ctx, struct px_request *request)
{
	uint32_t engine;
	uint64_t id;
	bool taken = px_task_taken(request, &engine, &id);

	((uint32_t *)ctx)[taken ? engine : PX_ENGINES_MAX]++;
	return 0;
}

int px_client_queued(struct px_client *client, uint32_t *requests, uint32_t *tasks)
{
	int rc = px_client_poll(client);

	memset(requests, 0, PX_ENGINES_MAX * sizeof(*requests));
	memset(tasks, 0, (PX_ENGINES_MAX + 1) * sizeof(*tasks));
	if (rc < 0)
		return rc;
	/* Private memory, and the board while it is not closed. */
	pthread_mutex_lock(&client->lock);
	for (const struct px_queue *queue = client->active; queue; queue = queue->next)
		requests[queue->engine] += queue->waiting;
	(void)px_tasks_each(client, count_task, tasks);
	pthread_mutex_unlock(&client->lock);
	return 0;
}

uint64_t px_result_id(const struct px_result *result)
{
	return result->requests[0].id;
}
