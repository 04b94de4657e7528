/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connection.c - answers a client, or cuts it off.
 */
#include "supervisor/connection.h"

#include <stdio.h>

#include "shm/error.h"
#include "supervisor/memory_requests.h"
#include "supervisor/supervision.h"

const char *px_connection_name(const struct px_connection *c, char *out, size_t out_bytes)
{
	snprintf(out, out_bytes, "client in process %d", (int)c->pid);
	return out;
}

void px_connection_cut(struct px_connection *c)
{
	px_loop_unwatch(c->supervisor->loop, &c->socket_watch);
	px_loop_unwatch(c->supervisor->loop, &c->death_watch);
	c->gone = true;
	c->supervisor->turn.reap = true;
}

void px_connection_reply(struct px_connection *c, const struct px_control *head, int code,
			 const char *words, uint64_t a, uint64_t b)
{
	char name[48];

	if (c->gone || px_memory_request_reply(c->socket, head, code, words, a, b) == 0)
		return;
	px_log(&c->supervisor->log, "%s is cut off: it does not read its answers",
	       px_connection_name(c, name, sizeof(name)));
	px_connection_cut(c);
}

void px_connection_refuse(struct px_connection *c, const struct px_control *head, int code)
{
	px_connection_reply(c, head, code, px_last_error(), 0, 0);
}
