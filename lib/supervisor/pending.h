/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pending.h - clients that have asked for engines to be started or ended, and wait.
 *
 * Who:     the supervisor.
 * Blocks:  never: an answer is sent when the last engine of the request has settled.
 * Death:   of the client: its pending are forgotten with its connection.
 */
#ifndef PX_PENDING_H
#define PX_PENDING_H

#include <stdbool.h>
#include <stdint.h>

struct px_supervisor;
struct px_connection;
struct px_control;
struct px_engine;

struct px_pending {
	struct px_pending *next;
	struct px_connection *connection;
	uint32_t serial;
	uint16_t type;
	uint32_t first, count; /* engine ids */
	char failure[512];     /* "": none so far */
};

/* Waits for these ids. False, and it is answered, if there is no memory. */
bool px_pending_add(struct px_connection *connection, const struct px_control *head, uint32_t first,
		    uint32_t count);
/* Answers those whose engines are all up or gone. */
void px_pending_answer(struct px_supervisor *s);
/* An engine came up, or is gone: which is a failure for whoever did not wish it. */
void px_pending_settled(struct px_supervisor *s, const struct px_engine *engine);
void px_pending_forget(struct px_supervisor *s, const struct px_connection *connection);

#endif
