/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limits.h - requests with a time limit, and who stops them.
 *
 * Who:     the client's own thread (completions.c) stops what is late; any thread adds and removes.
 * Where:   private memory. The list goes through the results, and does not hold them: a result leaves it
 *          when it is ready, or when the last hold of it ends.
 * Blocks:  px_limits_enforce(), while the supervisor sends signals.
 * Death:   of an engine: its requests are ready.
 */
#ifndef PX_LIMITS_H
#define PX_LIMITS_H

#include <stdbool.h>

#include "client/pxrun.h"

struct px_client;
struct px_result;

/* A result's place in its client's list. */
struct px_limit {
	struct px_result *before, *next;
	uint64_t at_ns; /* CLOCK_MONOTONIC; 0: there is no limit. Set before anything is sent */
	bool listed;    /* with the client's lock */
};

/* From now on it has so much time; 0: any. PX_ESYSTEM, PX_ENOMEM: there is no thread for it. */
int px_limits_add(struct px_result *result, uint64_t timeout_ns);
/*
 * What is left of it, 0: nothing; PX_FOREVER: there is no limit. Who sends looks with the lock: what he finds
 * in time is stopped when it is late.
 */
uint64_t px_limits_left_ns(const struct px_result *result);
/* PX_ETIMEDOUT in words: there is nothing left of it, so that what comes next need not be made. */
int px_limits_check(const struct px_result *result);
/* Stops those that are late. Without the lock, of a client that was entered. */
void px_limits_enforce(struct px_client *client);

/* --- with the client's lock --- */

/* Does nothing if it is in no list. */
void px_limits_remove(struct px_result *result);
/* How long until the first is late; PX_FOREVER: there is none. */
uint64_t px_limits_next_ns(const struct px_client *client);

#endif
