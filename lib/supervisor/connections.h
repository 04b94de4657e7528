/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connections.h - the supervisor's side of the control sockets of clients.
 *
 * Who:     the supervisor. Processes of our uid may connect; by HELLO they become members.
 * Where:   `control` in the runtime folder.
 * Blocks:  never.
 * Death:   of a client: seen by its socket or its pidfd, whichever is first (a child of it may
 *          keep the socket open); its member is marked dead and swept.
 */
#ifndef PX_CONNECTIONS_H
#define PX_CONNECTIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "supervisor/event_loop.h"

struct px_supervisor;
struct px_connection;

struct px_connections {
	int listener, spare; /* spare: a descriptor to give up when there are no others */
	struct px_watch listener_watch;
	dev_t device; /* of the socket's name */
	ino_t inode;
	struct px_connection *first;
};

/* Listens. PX_ESYSTEM. */
int px_connections_open(struct px_supervisor *s);
/* Listens anew, as the socket's name was deleted; who has connected is served. PX_ESYSTEM. */
int px_connections_listen(struct px_supervisor *s);
/* Whether the socket has its name, by which clients find it. */
bool px_connections_reachable(const struct px_supervisor *s);
/* Phases of the turn: drops those that are gone; accepts one that wants to connect. */
void px_connections_reap(struct px_supervisor *s);
void px_connections_admit(struct px_supervisor *s);
/* Accepts no more connections. */
void px_connections_refuse(struct px_supervisor *s);
/* Closes all connections. */
void px_connections_close(struct px_supervisor *s);

#endif
