/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tasks.h - a client's tasks: requests that the next idle engine takes from the client's board.
 *
 * Who:     any thread; functions from where it is said on with the client's lock.
 * Where:   private memory; those that are posted also on the board (shm/board.h).
 * Blocks:  never on an engine, but for the two that say so.
 * Death:   of an engine: what it had claimed is posted again, or fails in words.
 *
 * A task waits here until there is room on the board; whoever reads replies posts it then. An entry
 * of the board is used for one task from its first post to its end. The task's id tells which entry
 * it is, so that a reply, which may come from any engine, finds its request.
 */
#ifndef PX_TASKS_H
#define PX_TASKS_H

#include "client/client.h"
#include "link/task.h"

/* Of request->engine: nobody has taken it yet. */
#define PX_NO_ENGINE UINT32_MAX
/* Which engines may take a task; a bit for each id. */
struct px_engine_set {
	uint64_t bits[PX_ENGINES_MAX / 64];
};

/* A result of so many tasks, none of which is posted. As px_result_new(). */
int px_result_new_tasks(struct px_client *client, uint32_t count, struct px_result **out);
/*
 * Posts the result's next task, of those that are not posted. engines: NULL for any, also later
 * ones. refused: those of them that have refused it in an earlier post; NULL: none. retries: how often
 * it is run again when it fails. PX_EENGINE: there is none of these engines; PX_ENOMEM.
 */
int px_tasks_post(struct px_result *result, struct px_outgoing *message,
		  const struct px_engine_set *engines, const struct px_engine_set *refused,
		  uint32_t retries);
/*
 * Before another task that needs memory of the arena: waits while those that are out hold more than half
 * of it, so that their results have room. PX_ETIMEDOUT, PX_EINTR, PX_EPOOL, PX_ECLOSED.
 */
int px_tasks_wait_for_room(struct px_client *client, uint64_t timeout_ns);
/*
 * For who was refused memory for a task: waits until another task has ended, whose memory that may have
 * been. PX_ENOMEM: none is out that holds any. Likewise.
 */
int px_tasks_wait_for_memory(struct px_client *client, uint64_t timeout_ns);
/* Nobody will post the rest, and nobody waits for what is posted: takes back what has not begun. */
void px_tasks_give_up(struct px_result *result);
/* A list of ids, as users give them: PX_EENGINE if one cannot be. */
int px_engine_set(const uint32_t *ids, size_t count, struct px_engine_set *out);
static inline bool px_engine_set_has(const struct px_engine_set *set, uint32_t engine)
{
	return set->bits[engine / 64] >> engine % 64 & 1;
}

/* --- with the client's lock --- */

/* The request that an engine answers with that id; NULL if it is no task, or done. */
struct px_request *px_tasks_find(struct px_client *client, uint64_t id);
static inline bool px_task_is_id(uint64_t id)
{
	return id >> 63;
}
/*
 * The request is answered. True: it failed, and is posted again, after UnmetDependency for those of its
 * engines that have not said so. False: it is no task any more.
 */
bool px_task_again(struct px_request *request, const struct px_incoming *in);
/* That engine's process is dead, or given up: what it had claimed is posted again, or fails. */
void px_tasks_engine_died(struct px_client *client, const struct px_queue *queue, int code,
			  const char *words);
/* Members came or went: opens links, and fails what nobody is left to take. */
void px_tasks_members_changed(struct px_client *client);
/* Posts what waits, as far as there is room. */
void px_tasks_place(struct px_client *client);
/* Whether any is unanswered. */
bool px_tasks_any(const struct px_client *client);
/* At naps and polls: posts again what a mad engine has made invisible, or claimed for others. */
void px_tasks_mend(struct px_client *client);
/* An engine has answered that. True: it was px_tasks_mend() that asked, and now more is known. */
bool px_tasks_probed(struct px_client *client, struct px_queue *queue, uint64_t id);
void px_tasks_fail_all(struct px_client *client, int code, const char *words);
/* Takes it back, so that it has failed with PX_EABORTED. False: an engine has taken it. */
bool px_task_abort(struct px_request *request);
/* Nobody wants it any more: if it fails it is not posted again. */
void px_task_stop(struct px_request *request);
/* The link to the engine that has taken it, and its id there; NULL: nobody has. */
struct px_link *px_task_taken(const struct px_request *request, uint32_t *engine, uint64_t *id);
/* Calls each for every unanswered task, oldest first, until it is not 0. */
int px_tasks_each(const struct px_client *client,
		  int (*each)(void *ctx, struct px_request *request), void *ctx);
/* The client is closed; there is none left. */
void px_tasks_free(struct px_client *client);

#endif
