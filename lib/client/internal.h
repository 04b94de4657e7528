/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * internal.h - what the files of this folder share among themselves.
 */
#ifndef PX_CLIENT_INTERNAL_H
#define PX_CLIENT_INTERNAL_H

#include "client/client.h"

/* --- from here on with the client's lock --- */

/* PX_ECLOSED, PX_EPOOL. */
int px_client_usable(const struct px_client *client);
/* It is closed, and there is nothing to wait for. */
static inline bool px_client_ended(const struct px_client *client)
{
	return atomic_load_explicit(&client->ended, memory_order_relaxed);
}
/* Reads what has come, and looks whether the pool is there if nothing is to come. As it. */
int px_client_look(struct px_client *client);
/* px_client_engines() of a client that was entered; needs no lock. */
int px_client_live(const struct px_client *client, uint32_t *ids, size_t cap);

/* --- replies.c --- */

void px_queue_push(struct px_client *client, struct px_queue *queue, struct px_request *request);
/* Reads what a dead engine has left, fails the rest in words, and forgets its process. */
void px_queue_engine_died(struct px_client *client, struct px_queue *queue);
/* The request is its user's, who may see its code and words. It may stay in its queue. */
void px_request_done(struct px_client *client, struct px_request *request);
/* Ends a request that is in no queue. Copies words. */
void px_request_fail(struct px_client *client, struct px_request *request, int code,
		     const char *words);
/* Reads every engine's ring, after a look at who has died. */
void px_client_read_all(struct px_client *client);
/* With the lock, of one in a list, where its last holder takes it out: false if that is about to. */
bool px_result_hold(struct px_result *result);
/* px_result_release(), with the lock. */
void px_result_release_locked(struct px_result *result);
void px_client_fail_all(struct px_client *client, int code, const char *words);
/*
 * px_endpoint_look() has returned this code: every request fails, and every later call. Returns the
 * code.
 */
int px_client_lose(struct px_client *client, int code);
/*
 * The error of who is lost: PX_EPOOL, and whether the pool was stopped or its supervisor has died; or
 * PX_ECLOSED.
 */
int px_client_lost(const struct px_client *client);
/* PX_EPOOL in words if the pool is being stopped, and its engines with it. Needs no lock. */
int px_client_stopping(const struct px_client *client);

/* --- wait.c --- */

/*
 * Leaves and retakes the lock until done(ctx), which has it. 0, PX_ETIMEDOUT, PX_EINTR. why:
 * PX_BELL_…
 */
int px_client_wait_locked(struct px_client *client, int (*done)(void *ctx), void *ctx,
			  uint64_t timeout_ns, uint32_t why);
/* The same for who waits for a list, or with NULL only reads for others (wait.c: behind). */
int px_client_wait_behind_locked(struct px_client *client, const struct px_completions *list,
				 int (*done)(void *ctx), void *ctx, uint64_t timeout_ns);
/* Wakes those that follow, and those that wait for the end of a close. */
void px_client_changed(struct px_client *client);
/* What somebody waits for may have become ready without an engine: who sleeps as its leader looks. */
void px_client_wake_leader(struct px_client *client);
/* A list has got its first result: whoever waits for it looks, but the caller. */
void px_client_wake(struct px_client *client, const struct px_completions *list);

/* --- send.c --- */

/*
 * The queue of the engine's current process, and which that is; with the lock. PX_EENGINE: it has
 * died, and its state will change in a moment. PX_ECORRUPT: it was given up. PX_ENOMEM.
 */
int px_queue_of(struct px_client *client, uint32_t engine, struct px_member_id *id,
		struct px_queue **out);
/* enum px_engine_state. Needs no lock. */
uint32_t px_client_engine_state(const struct px_client *client, uint32_t engine);

/* --- result.c; no lock --- */

/* Whether it is a result and has such an entry: PX_EINVAL, PX_ECLOSED. */
int px_result_check_entry(const struct px_result *result, size_t index);

/* --- supervisor.c; no lock --- */

/* px_client_stop_pool() of a client that nobody can enter any more. */
int px_client_stop_private(struct px_client *client, uint64_t timeout_ns);

/* --- supervisor.c; with the lock --- */

/*
 * PX_EENGINE in the supervisor's words, if the engine is gone for good. PX_EPOOL: the pool stops, or
 * is gone. 0 also if nobody can tell just now, for another thread asks something that takes long.
 */
int px_client_ask_why(struct px_client *client, uint32_t engine);

#endif
