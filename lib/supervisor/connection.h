/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connection.h - one client's control socket, seen from the supervisor.
 *
 * Who:     the supervisor.
 * Blocks:  never: a client that does not read its answers is cut off.
 */
#ifndef PX_CONNECTION_H
#define PX_CONNECTION_H

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
	bool gone; /* hung up, cut off, or its process is dead: to be dropped */
};

/* "client in process 123"; returns out. */
const char *px_connection_name(const struct px_connection *connection, char *out, size_t out_bytes);
/* Answers. A connection that does not take its answers is cut off. */
void px_connection_reply(struct px_connection *connection, const struct px_control *head, int code,
			 const char *words, uint64_t a, uint64_t b);
/* The same, with the words of the last failure. */
void px_connection_refuse(struct px_connection *connection, const struct px_control *head,
			  int code);
/* Nothing more is read from it; it is dropped in the next reap phase. */
void px_connection_cut(struct px_connection *connection);

#endif
