/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tasks.c - posts tasks, follows them to their end, and does again what dead engines had claimed.
 */
#include "client/tasks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/how.h"
#include "client/internal.h"
#include "client/placing.h"
#include "machine/wall_clock.h"
#include "shm/error.h"

/* --- engines --- */

int px_engine_set(const uint32_t *ids, size_t count, struct px_engine_set *out)
{
	*out = (struct px_engine_set){ 0 };
	for (size_t i = 0; i < count; i++) {
		if (ids[i] >= PX_ENGINES_MAX)
			return px_fail(PX_EENGINE, "there is no engine %u", ids[i]);
		out->bits[ids[i] / 64] |= UINT64_C(1) << ids[i] % 64;
	}
	return 0;
}

/* PX_EENGINE in words; PX_EPOOL. */
static int nobody(const struct px_client *client, const struct px_task *task)
{
	int rc = px_client_stopping(client);
	char list[256] = "";
	size_t used = 0;
	uint32_t id;

	if (rc < 0)
		return rc;
	if (px_client_live(client, &id, 1) == 0)
		return px_fail(PX_EENGINE, "the pool has no engines, so nobody runs the task");
	for (id = 0; id < PX_ENGINES_MAX && !task->any; id++) {
		const char *before = used ? ", " : ": ";

		if (!px_engine_set_has(&task->engines, id))
			continue;
		if (used + 16 > sizeof(list)) {
			(void)snprintf(list + used, sizeof(list) - used, ", …");
			break;
		}
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%u", before, id);
	}
	return px_fail(PX_EENGINE, "none of the engines is left that may run the task%s", list);
}

/* Those that are there, or about to be. */
static struct px_engine_set live(const struct px_client *client)
{
	struct px_engine_set set = { 0 };
	uint32_t ids[PX_ENGINES_MAX];
	int count = px_client_live(client, ids, PX_ENGINES_MAX);

	for (int i = 0; i < count; i++)
		set.bits[ids[i] / 64] |= UINT64_C(1) << ids[i] % 64;
	return set;
}

static bool overlap(const struct px_engine_set *a, const struct px_engine_set *b)
{
	uint64_t common = 0;

	for (size_t i = 0; i < sizeof(a->bits) / sizeof(a->bits[0]); i++)
		common |= a->bits[i] & b->bits[i];
	return common;
}

/*
 * If members came or went: which engines there are, and links to them. An engine takes tasks of those
 * clients only that have a link to it, by which it answers.
 */
static void look_at_engines(struct px_client *client)
{
	struct px_tasks *tasks = client->tasks;
	/* SYNC members.seq: acquire; partner: the release in px_member_announce(). */
	uint64_t seq = atomic_load_explicit(&client->endpoint->segment->header->members_seq,
					    memory_order_acquire);
	struct px_queue *queue;
	struct px_member_id id;

	if (tasks->looked && seq == tasks->members_seq)
		return;
	tasks->looked = true;
	tasks->members_seq = seq;
	tasks->there = live(client);
	for (uint32_t engine = 0; engine < PX_ENGINES_MAX; engine++)
		if (px_engine_set_has(&tasks->there, engine) &&
		    px_client_engine_state(client, engine) == PX_ENGINE_UP &&
		    px_queue_of(client, engine, &id, &queue) == PX_ENOMEM)
			tasks->looked = false; /* tried again with the next task */
}

static void fail(struct px_request *request, int code, const char *words)
{
	px_task_end(request);
	px_request_fail(request->result->client, request, code, words);
}

void px_tasks_place(struct px_client *client)
{
	struct px_tasks *tasks = client->tasks;
	struct px_task *task;
	int rc;

	while (tasks && (task = tasks->waiting.first) != NULL) {
		px_task_list_remove(&tasks->waiting, task);
		rc = px_task_place(client, task);
		if (rc == 0) {
			px_board_wake(client->endpoint->segment, task->engines.bits);
			continue;
		}
		px_task_list_add_first(&tasks->waiting, task);
		if (rc == PX_EAGAIN || tasks->posted.first)
			return;
		/* Nobody is about to give back what is missing. */
		fail(task->request, rc, px_last_error());
	}
}

/* --- posting --- */

static int open_board(struct px_client *client)
{
	struct px_endpoint *endpoint = client->endpoint;
	int rc;

	if (client->tasks)
		return 0;
	client->tasks = calloc(1, sizeof(*client->tasks));
	if (!client->tasks)
		return px_fail(PX_ENOMEM, "no private memory for tasks");
	rc = px_board_open(endpoint->segment, endpoint->arena, endpoint->block,
			   &client->tasks->board);
	if (rc < 0) {
		free(client->tasks);
		client->tasks = NULL;
	}
	return rc;
}

static uint64_t next_id(struct px_client *client)
{
	return TASK_BIT | atomic_fetch_add_explicit(&client->next_id, 1, memory_order_relaxed)
				  << ENTRY_BITS;
}

static int post(struct px_client *client, struct px_task *task)
{
	struct px_request *request = task->request;
	int rc = px_client_usable(client);

	if (rc == 0)
		rc = open_board(client);
	if (rc < 0)
		return rc;
	look_at_engines(client);
	if (!overlap(&client->tasks->there, &task->engines))
		return nobody(client, task);
	request->task = task;
	request->id = next_id(client);
	client->tasks->own_bytes += task->packed.own_bytes;
	px_task_list_add(&client->tasks->waiting, task);
	px_tasks_place(client);
	return 0;
}

int px_result_new_tasks(struct px_client *client, uint32_t count, struct px_result **out)
{
	uint32_t *engines = malloc((count ? count : 1) * sizeof(*engines));
	int rc;

	if (!engines)
		return px_fail(PX_ENOMEM, "no private memory for %u tasks", count);
	for (uint32_t i = 0; i < count; i++)
		engines[i] = PX_NO_ENGINE;
	rc = px_result_new(client, engines, count, false, out);
	free(engines);
	return rc;
}

int px_client_post(struct px_client *client, const struct px_engine_set *set, uint32_t n,
		   px_message_maker *make, void *ctx, const struct px_how *how,
		   struct px_result **out)
{
	struct px_result *result;
	int rc = px_result_new_tasks(client, n, &result);

	if (rc < 0)
		return rc;
	result->completion.list = out ? &client->finished : NULL;
	rc = px_how_apply(how, true, result);
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		struct px_outgoing message = { 0 };

		rc = make(ctx, result, i, &message);
		if (rc < 0)
			break;
		px_how_mark(how, &message);
		rc = px_tasks_post(result, &message, set, NULL, how->retries);
	}
	if (rc < 0)
		px_tasks_give_up(result);
	if (rc == 0 && out)
		*out = result;
	else
		px_result_release(result);
	return rc;
}

int px_result_new_done(struct px_client *client, struct px_result **out)
{
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	rc = px_result_new_tasks(client, 1, out);
	if (rc == 0) {
		pthread_mutex_lock(&client->lock);
		(*out)->requests[0].id = next_id(client);
		px_request_done(client, &(*out)->requests[0]);
		pthread_mutex_unlock(&client->lock);
	}
	px_client_leave(client);
	return rc;
}

static struct px_task *task_new(const struct px_engine_set *engines,
				const struct px_engine_set *refused, uint32_t retries)
{
	struct px_task *task = calloc(1, sizeof(*task));

	if (!task)
		return NULL;
	memset(&task->engines, 0xff, sizeof(task->engines));
	task->any = !engines;
	if (engines)
		task->engines = *engines;
	for (size_t i = 0; refused && i < PX_ENGINES_MAX / 64; i++)
		task->engines.bits[i] &= ~refused->bits[i];
	task->retries = retries;
	return task;
}

/* Posts the result's next task; the client was entered. */
static int post_next(struct px_result *result, struct px_task *task,
		     const struct px_outgoing *message)
{
	struct px_client *client = result->client;
	int rc = px_task_pack(client->endpoint, message, &task->packed);

	pthread_mutex_lock(&client->lock);
	task->request = &result->requests[result->sent];
	task->request->submitted_ns = message->started_ns;
	/* Before it is posted: it may be answered, or fail, before this returns. */
	atomic_fetch_add_explicit(&result->holds, 1, memory_order_relaxed);
	result->sent++;
	/* Whoever stops what is late may have been here meanwhile. */
	if (rc == 0)
		rc = px_limits_check(result);
	if (rc == 0)
		rc = post(client, task);
	if (rc < 0 && result->sent > 1) {
		/* Those before it are posted: the failure goes into this entry. */
		px_request_fail(client, task->request, rc, px_last_error());
		px_task_free(task);
		rc = 0;
	} else if (rc < 0) {
		atomic_fetch_sub_explicit(&result->holds, 1, memory_order_relaxed);
		result->sent--;
		px_task_free(task);
	}
	pthread_mutex_unlock(&client->lock);
	return rc;
}

int px_tasks_post(struct px_result *result, struct px_outgoing *message,
		  const struct px_engine_set *engines, const struct px_engine_set *refused,
		  uint32_t retries)
{
	struct px_task *task;
	int rc = px_client_enter(result->client);

	if (rc < 0)
		return rc;
	task = task_new(engines, refused, retries);
	message->started_ns = px_wall_ns();
	rc = task ? post_next(result, task, message) :
		    px_fail(PX_ENOMEM, "no private memory for a task");
	px_client_leave(result->client);
	return rc;
}

void px_tasks_give_up(struct px_result *result)
{
	for (uint32_t i = 0; i < result->sent; i++)
		(void)px_request_abort(&result->requests[i]);
}

/* --- ends --- */

struct px_request *px_tasks_find(struct px_client *client, uint64_t id)
{
	uint64_t entry = id & ENTRY_MASK;
	struct px_request *request =
		client->tasks && entry < PX_TASKS_MAX ? client->tasks->requests[entry] : NULL;

	return request && request->id == (id & ~ENTRY_MASK) ? request : NULL;
}

/* An engine has said that it is not for it. False: so have all; or there is no memory to note it. */
static bool move(struct px_client *client, struct px_task *task)
{
	struct px_request *request = task->request;
	uint32_t engine = request->engine;

	if (!request->refused)
		request->refused = calloc(1, sizeof(*request->refused));
	if (!request->refused)
		return false;
	request->refused->bits[engine / 64] |= UINT64_C(1) << engine % 64;
	task->engines.bits[engine / 64] &= ~(UINT64_C(1) << engine % 64);
	look_at_engines(client);
	if (!overlap(&client->tasks->there, &task->engines))
		return false;
	px_task_post_elsewhere(client, task);
	px_tasks_place(client);
	return true;
}

static bool again(struct px_client *client, struct px_task *task, const struct px_incoming *in)
{
	if (in->code != PX_EREMOTE || task->stopped)
		return false;
	task->failed = true;
	if (in->flags & PX_REPLY_UNMET)
		return move(client, task);
	if (!task->retries)
		return false;
	task->retries--;
	px_task_post_again(client, task);
	return true;
}

bool px_task_again(struct px_request *request, const struct px_incoming *in)
{
	if (again(request->result->client, request->task, in))
		return true;
	px_task_end(request);
	return false;
}

void px_task_engine_died(struct px_task *task, int code, const char *words)
{
	if (!task->retries) {
		fail(task->request, code, words);
		return;
	}
	task->retries--;
	task->failed = true;
	px_task_post_again(task->request->result->client, task);
}

void px_tasks_engine_died(struct px_client *client, const struct px_queue *queue, int code,
			  const char *words)
{
	struct px_member_id who = queue->link->peer, claimer;
	struct px_task *task, *next;

	for (task = client->tasks ? client->tasks->posted.first : NULL; task; task = next) {
		next = task->next;
		if (!px_board_claimer(client->tasks->board, task->entry, &claimer) ||
		    !px_board_same(claimer, who))
			continue;
		task->request->engine = queue->engine;
		task->request->member = who;
		px_task_engine_died(task, code, words);
	}
}

/* One that is claimed will be answered, or its engine's death is told, or the claim is found false. */
static bool nobody_takes(const struct px_client *client, const struct px_task *task)
{
	struct px_board *board = client->tasks->board;
	struct px_member_id who;

	if (overlap(&client->tasks->there, &task->engines))
		return false;
	return !task->posted || (!px_board_claimer(board, task->entry, &who) &&
				 px_board_withdraw(board, task->entry));
}

static void fail_orphans(struct px_client *client, const struct px_task_list *list)
{
	struct px_task *task, *next;

	for (task = list->first; task; task = next) {
		next = task->next;
		if (nobody_takes(client, task)) {
			int rc = nobody(client, task);

			fail(task->request, rc, px_last_error());
		}
	}
}

void px_tasks_members_changed(struct px_client *client)
{
	if (!client->tasks)
		return;
	look_at_engines(client);
	fail_orphans(client, &client->tasks->posted);
	fail_orphans(client, &client->tasks->waiting);
}

bool px_tasks_any(const struct px_client *client)
{
	return client->tasks && (client->tasks->posted.first || client->tasks->waiting.first);
}

void px_tasks_fail_all(struct px_client *client, int code, const char *words)
{
	struct px_tasks *tasks = client->tasks;

	while (tasks && tasks->posted.first) {
		(void)px_board_withdraw(tasks->board, tasks->posted.first->entry);
		fail(tasks->posted.first->request, code, words);
	}
	while (tasks && tasks->waiting.first)
		fail(tasks->waiting.first->request, code, words);
}

bool px_task_abort(struct px_request *request)
{
	struct px_client *client = request->result->client;
	struct px_task *task = request->task;

	if (task->posted && !px_board_withdraw(client->tasks->board, task->entry))
		return false;
	fail(request, request->late ? PX_ETIMEDOUT : PX_EABORTED,
	     request->late ? "its time limit was over before it ran" :
	     task->failed  ? "the task had failed, and was aborted before it ran again" :
			     "the task was aborted before it ran");
	px_tasks_place(client);
	return true;
}

void px_task_stop(struct px_request *request)
{
	request->task->retries = 0;
	request->task->stopped = true;
}

struct px_link *px_task_taken(const struct px_request *request, uint32_t *engine, uint64_t *id)
{
	const struct px_client *client = request->result->client;
	struct px_member_id claimer;

	if (!request->task || !request->task->posted ||
	    !px_board_claimer(client->tasks->board, request->task->entry, &claimer))
		return NULL;
	*id = request->id | request->task->entry;
	for (*engine = 0; *engine < PX_ENGINES_MAX; ++*engine) {
		struct px_link *link = client->engine_links[*engine];

		if (link && px_board_same(claimer, link->peer))
			return link;
	}
	return NULL;
}

int px_tasks_each(const struct px_client *client,
		  int (*each)(void *ctx, struct px_request *request), void *ctx)
{
	struct px_task *task;
	int rc = 0;

	for (task = client->tasks ? client->tasks->posted.first : NULL; task && !rc;
	     task = task->next)
		rc = each(ctx, task->request);
	for (task = client->tasks ? client->tasks->waiting.first : NULL; task && !rc;
	     task = task->next)
		rc = each(ctx, task->request);
	return rc;
}

void px_tasks_free(struct px_client *client)
{
	if (!client->tasks)
		return;
	px_board_close(client->tasks->board);
	free(client->tasks);
	client->tasks = NULL;
}
