/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pending.h - requests of clients that start or stop engines, until they are answered.
 *
 * Who:     the supervisor.
 * Blocks:  never: an answer is sent at the end of the turn in which the last engine of the request
 *          came up or is gone.
 * Death:   of the client: its requests are forgotten with its connection.
 */
#ifndef PX_PENDING_H
#define PX_PENDING_H

#include <stdbool.h>
#include <stdint.h>

struct px_supervisor;
struct px_connection;
struct px_control;

struct px_pending {
	struct px_pending *next;
	struct px_connection *connection;
	uint32_t serial;
	uint16_t type;
	uint32_t first, count; /* engine ids */
	char failure[1024];    /* "": none so far */
};

/* Remembers a request for these ids. False, after answering it, if there is no memory. */
bool px_pending_add(struct px_connection *connection, const struct px_control *head, uint32_t first,
		    uint32_t count);
/*
 * Answers those whose engines are all up or gone; an engine that is gone is a failure, unless its
 * removal was asked for. To be called before the engines' `settled` is reset.
 */
void px_pending_answer(struct px_supervisor *s);
/* Forgets the requests of a connection that is dropped. */
void px_pending_forget(struct px_supervisor *s, const struct px_connection *connection);

#endif
