/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * placing.c - puts tasks into entries and lanes of the board.
 */
#include "client/placing.h"

#include <stdlib.h>
#include <string.h>

#include "client/internal.h"

/* --- lists --- */

void px_task_list_add(struct px_task_list *list, struct px_task *task)
{
	task->next = NULL;
	task->before = list->last;
	if (list->last)
		list->last->next = task;
	else
		list->first = task;
	list->last = task;
}

void px_task_list_add_first(struct px_task_list *list, struct px_task *task)
{
	task->before = NULL;
	task->next = list->first;
	if (list->first)
		list->first->before = task;
	else
		list->last = task;
	list->first = task;
}

void px_task_list_remove(struct px_task_list *list, struct px_task *task)
{
	if (task->before)
		task->before->next = task->next;
	else
		list->first = task->next;
	if (task->next)
		task->next->before = task->before;
	else
		list->last = task->before;
}

/* --- the board --- */

/* A lane for these engines. PX_EAGAIN: all are in use, by others. */
static int find_lane(struct px_client *client, const struct px_engine_set *engines, uint32_t *out)
{
	struct px_tasks *tasks = client->tasks;
	uint32_t empty = PX_LANES_MAX;
	int rc;

	for (uint32_t i = 0; i < PX_LANES_MAX && tasks->lanes[i].made; i++) {
		*out = i;
		if (!memcmp(&tasks->lanes[i].engines, engines, sizeof(*engines)))
			return 0;
		if (!tasks->lanes[i].count && empty == PX_LANES_MAX)
			empty = i;
	}
	/* Engines go through the lanes in their order until one is not made. */
	for (uint32_t i = 0; i < PX_LANES_MAX && empty == PX_LANES_MAX; i++)
		if (!tasks->lanes[i].made)
			empty = i;
	if (empty == PX_LANES_MAX)
		return PX_EAGAIN;
	rc = px_board_lane(tasks->board, empty, engines->bits);
	if (rc < 0)
		return rc;
	tasks->lanes[empty].made = true;
	tasks->lanes[empty].engines = *engines;
	*out = empty;
	return 0;
}

/* Writes the task into its entry. */
static int write_entry(struct px_client *client, struct px_task *task, uint32_t entry,
		       struct px_task_shm *place)
{
	const struct px_packed *packed = &task->packed;
	void *payload = place->inlined;
	int rc = 0;

	if (packed->payload_bytes > sizeof(place->inlined) && !task->far) {
		rc = px_region_new(client->endpoint->arena, packed->payload_bytes, &task->far);
		if (rc < 0)
			return rc;
	}
	if (task->far)
		payload = task->far->at;
	memcpy(payload, packed->payload, packed->payload_bytes);
	place->id = task->request->id | entry;
	place->kind = packed->kind;
	place->flags = packed->flags;
	place->payload_bytes = packed->payload_bytes;
	place->payload_offset = task->far ? task->far->offset : 0;
	return 0;
}

int px_task_place(struct px_client *client, struct px_task *task)
{
	struct px_tasks *tasks = client->tasks;
	struct px_task_shm *shared;
	uint32_t entry, lane;
	int rc = find_lane(client, &task->engines, &lane);

	if (rc == 0)
		rc = px_board_get(tasks->board, &entry, &shared);
	if (rc < 0)
		return rc;
	rc = write_entry(client, task, entry, shared);
	if (rc == 0)
		rc = px_board_post(tasks->board, lane, entry);
	if (rc < 0) {
		px_board_put(tasks->board, entry);
		return rc;
	}
	task->entry = entry;
	task->posted = true;
	task->probe = 0;
	tasks->requests[entry] = task->request;
	tasks->lanes[lane].count++;
	px_task_list_add(&tasks->posted, task);
	return 0;
}

/* It is on the board no more, and nobody reads what it names. */
static void unplace(struct px_client *client, struct px_task *task)
{
	struct px_tasks *tasks = client->tasks;

	px_task_list_remove(&tasks->posted, task);
	tasks->requests[task->entry] = NULL;
	tasks->lanes[tasks->board->lane[task->entry]].count--;
	px_board_put(tasks->board, task->entry);
	task->posted = false;
}

void px_task_post_again(struct px_client *client, struct px_task *task)
{
	struct px_tasks *tasks = client->tasks;

	task->request->engine = PX_NO_ENGINE;
	task->probe = 0;
	/* Where it is ready, an order of before must not find it. */
	(void)px_board_withdraw(tasks->board, task->entry);
	if (px_board_post(tasks->board, tasks->board->lane[task->entry], task->entry) == 0) {
		px_board_wake(client->endpoint->segment, task->engines.bits);
		return;
	}
	px_task_post_elsewhere(client, task);
}

void px_task_post_elsewhere(struct px_client *client, struct px_task *task)
{
	task->request->engine = PX_NO_ENGINE;
	unplace(client, task);
	px_task_list_add_first(&client->tasks->waiting, task);
}

void px_task_free(struct px_task *task)
{
	px_packed_free(&task->packed);
	if (task->far)
		px_region_release(task->far);
	free(task);
}

void px_task_end(struct px_request *request)
{
	struct px_client *client = request->result->client;
	struct px_tasks *tasks = client->tasks;
	struct px_task *task = request->task;
	uint64_t own_bytes = task->packed.own_bytes;

	if (task->posted)
		unplace(client, task);
	else
		px_task_list_remove(&tasks->waiting, task);
	request->task = NULL;
	px_task_free(task);
	tasks->ended++;
	tasks->own_bytes -= own_bytes;
	if (own_bytes && tasks->short_of_memory)
		(void)px_arena_trim(client->endpoint->arena, 0);
	if (!tasks->own_bytes)
		tasks->short_of_memory = false;
}
