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

#include <stddef.h>

#include "shm/member.h"
#include "supervisor/event_loop.h"

struct px_supervisor;
struct px_control;

struct px_connection {
	struct px_supervisor *supervisor;
	struct px_connection *next;
	int socket, pidfd; /* pidfd -1: its process is not visible from here */
	struct px_watch socket_watch, death_watch;
	struct px_member_id member; /* epoch 0: has not said hello */
	int32_t pid;
};

struct px_connections {
	int listener, spare; /* spare: a descriptor to give up when there are no others */
	struct px_watch listener_watch;
	struct px_connection *first;
};

/* Listens. PX_ESYSTEM. */
int px_connections_open(struct px_supervisor *s);
/* "client in process 123"; returns out. */
const char *px_connection_name(const struct px_connection *connection, char *out, size_t out_bytes);
/*
 * Answers. A connection that does not take its answers is shut down, and its end is dealt
 * with when the loop sees it: the caller may be in the middle of a list.
 */
void px_connection_reply(struct px_connection *connection, const struct px_control *head, int code,
			 const char *words, uint64_t a, uint64_t b);
/* Nobody new is let in. */
void px_connections_refuse(struct px_supervisor *s);
/* Hangs up on everyone. */
void px_connections_close(struct px_supervisor *s);

#endif
