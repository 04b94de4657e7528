/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connections.h - the supervisor's side of the control sockets of clients.
 *
 * Who:     whoever has our uid may connect; who says hello becomes a member.
 * Where:   `control` in the runtime folder.
 * Blocks:  never: a client that does not read its answers is cut off.
 * Death:   of a client: seen by its socket and by its pidfd (a child of it may hold the
 *          socket), whichever is first; its member is buried and swept.
 */
#ifndef PX_CONNECTIONS_H
#define PX_CONNECTIONS_H

#include "event_loop.h"
#include "member.h"

struct px_supervisor;
struct px_engine_id;

struct px_connection {
	struct px_supervisor *supervisor;
	struct px_connection *next;
	int socket, pidfd; /* pidfd -1: its process is not visible from here */
	struct px_watch socket_watch, death_watch;
	struct px_member_id member; /* epoch 0: has not said hello */
	int32_t pid;
};

/* Somebody who waits until engines are up or gone. */
struct px_waiter {
	struct px_waiter *next;
	struct px_connection *connection;
	uint32_t serial;
	uint16_t type;
	uint32_t first, count; /* engine ids */
	char failure[512];     /* "": none so far */
};

struct px_connections {
	int listener, spare; /* spare: a descriptor to give up when there are no others */
	struct px_watch listener_watch;
	struct px_connection *first;
	struct px_waiter *waiters;
};

/* Listens. PX_ESYSTEM. */
int px_connections_open(struct px_supervisor *s);
/* An engine came up, or is gone for `failure`; answers those who waited for it. */
void px_connections_settled(struct px_supervisor *s, const struct px_engine_id *engine);
/* Nobody new is let in. */
void px_connections_refuse(struct px_supervisor *s);
/* Hangs up on everyone. */
void px_connections_close(struct px_supervisor *s);

#endif
