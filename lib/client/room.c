/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * room.c - who submits more than the arena holds waits until tasks that are out leave room.
 */
#include "client/internal.h"
#include "client/placing.h"

static bool any_holds_memory(const struct px_tasks *tasks)
{
	const struct px_task *task = tasks ? tasks->posted.first : NULL;

	while (task && !task->far && !task->packed.regions_count)
		task = task->next;
	return task;
}

struct end {
	const struct px_tasks *tasks;
	uint64_t ended; /* before */
};

static int has_ended(void *ctx)
{
	const struct end *end = ctx;

	return end->tasks->ended != end->ended;
}

static int have_room(void *ctx)
{
	const struct px_client *client = ctx;
	uint64_t half = client->endpoint->segment->arena_bytes / 2;

	return !client->tasks || client->tasks->own_bytes <= half;
}

int px_tasks_wait_for_room(struct px_client *client, uint64_t timeout_ns)
{
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	if (!have_room(client))
		client->tasks->short_of_memory = true;
	rc = px_client_wait_locked(client, have_room, client, timeout_ns, PX_BELL_FRAME);
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return rc;
}

int px_tasks_wait_for_memory(struct px_client *client, uint64_t timeout_ns)
{
	int rc = px_client_enter(client);
	struct end end;

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	if (any_holds_memory(client->tasks)) {
		client->tasks->short_of_memory = true;
		end = (struct end){ client->tasks, client->tasks->ended };
		rc = px_client_wait_locked(client, has_ended, &end, timeout_ns, PX_BELL_FRAME);
	} else {
		rc = PX_ENOMEM;
	}
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return rc;
}
