/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mending.c - finds tasks that nobody will run, after a mad engine wrote to the claims, and posts
 * them again.
 *
 * All of it with the client's lock, at naps: who is answered in time never comes here.
 *
 * A claim names an engine, but any may have written it. If no engine of that name answers us, nobody
 * has the task. If one does, it publishes what it works on; where that is something else, it is asked
 * to do nothing, by a request in its ring. It claims, runs and answers one thing after the other, and
 * reads its ring only when all that it had claimed of ours is answered. So when it has answered that
 * request, it has none of the tasks that were claimed in its name before that was sent.
 */
#include <stdio.h>

#include "client/internal.h"
#include "client/placing.h"
#include "shm/os.h"

/* How often claims are looked through. */
#define MEND_NS UINT64_C(50000000)

/* The engine of that name from which nothing is read any more, though it lives; PX_NO_ENGINE: none. */
static uint32_t given_up(const struct px_client *client, struct px_member_id claimer)
{
	for (uint32_t engine = 0; engine < PX_ENGINES_MAX; engine++)
		if (client->given_up[engine].epoch &&
		    px_board_same(claimer, client->given_up[engine]))
			return engine;
	return PX_NO_ENGINE;
}

/* Nothing comes by a link. */
static void nobody_answers(struct px_client *client, struct px_task *task,
			   struct px_member_id claimer)
{
	uint32_t engine = given_up(client, claimer);
	char words[200];

	if (engine == PX_NO_ENGINE) {
		px_task_post_again(client, task);
		return;
	}
	snprintf(words, sizeof(words),
		 "engine %u has taken the task, but it has sent what could not be read, and is not "
		 "asked again: restart it",
		 engine);
	task->request->engine = engine;
	task->request->member = client->given_up[engine];
	px_task_engine_died(task, PX_EENGINE, words);
}

/* The queue of the engine that has claimed the task; NULL: none that is read. */
static struct px_queue *queue_of(const struct px_client *client, struct px_member_id claimer)
{
	for (uint32_t engine = 0; engine < PX_ENGINES_MAX; engine++) {
		struct px_link *link = client->engine_links[engine];

		if (link && px_board_same(claimer, link->peer))
			return link->user;
	}
	return NULL;
}

/* One that is claimed, by an engine that may not have it: posts it again, or has the engine asked. */
static void look_at_claim(struct px_client *client, struct px_task *task,
			  struct px_member_id claimer)
{
	struct px_queue *queue = queue_of(client, claimer);
	uint64_t progress;

	if (!queue) {
		nobody_answers(client, task, claimer);
	} else if (!queue->probe_id &&
		   !px_task_is_running(queue->link, task->request->id | task->entry, &progress)) {
		task->probe = queue->probes + 1;
		queue->suspected = true;
	}
}

static void send_probe(struct px_client *client, struct px_queue *queue)
{
	struct px_outgoing nothing = { .kind = PX_REQUEST_NOOP };

	nothing.id = atomic_fetch_add_explicit(&client->next_id, 1, memory_order_relaxed);
	queue->suspected = false;
	/* If there is no room, the next look comes soon. */
	if (px_link_send(queue->link, &nothing) < 0)
		return;
	queue->probe_id = nothing.id;
	queue->probes++;
}

void px_tasks_mend(struct px_client *client)
{
	struct px_tasks *tasks = client->tasks;
	struct px_member_id claimer;
	struct px_task *task, *next;
	uint64_t now;

	if (!px_tasks_any(client))
		return;
	now = px_os.now_ns();
	/* It takes a while where many are posted, and there are many naps where many are answered. */
	if (now - tasks->mended_ns < MEND_NS)
		return;
	tasks->mended_ns = now;
	px_board_mend(tasks->board);
	for (task = tasks->posted.first; task; task = next) {
		next = task->next;
		/* An engine that is late may claim it just now: then it is not lost any more. */
		if (px_board_lost(tasks->board, task->entry)) {
			if (px_board_withdraw(tasks->board, task->entry) ||
			    px_board_lost(tasks->board, task->entry))
				px_task_post_again(client, task);
		} else if (px_board_claimer(tasks->board, task->entry, &claimer)) {
			look_at_claim(client, task, claimer);
		}
	}
	for (uint32_t engine = 0; engine < PX_ENGINES_MAX; engine++) {
		struct px_link *link = client->engine_links[engine];

		if (link && ((struct px_queue *)link->user)->suspected)
			send_probe(client, link->user);
	}
}

bool px_tasks_probed(struct px_client *client, struct px_queue *queue, uint64_t id)
{
	struct px_tasks *tasks = client->tasks;
	struct px_member_id claimer;
	struct px_task *task, *next;

	if (!queue->probe_id || queue->probe_id != id)
		return false;
	queue->probe_id = 0;
	for (task = tasks->posted.first; task; task = next) {
		next = task->next;
		if (task->probe == queue->probes &&
		    px_board_claimer(tasks->board, task->entry, &claimer) &&
		    px_board_same(claimer, queue->link->peer))
			px_task_post_again(client, task);
	}
	return true;
}
