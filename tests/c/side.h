/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * side.h - for tests: members of one segment without a pool, several of them in one process.
 *
 * Who:     cases about what members say to each other: a side is an endpoint, or a client's handle,
 *          with a thread that stands in for the supervisor at its control socket.
 * Where:   a segment of the test's own, which also says who lives and which engines there are.
 * Blocks:  never.
 * Death:   side_kill() marks a member dead, as the supervisor does before anything else.
 */
#ifndef PX_TEST_SIDE_H
#define PX_TEST_SIDE_H

#include <pthread.h>
#include <stdbool.h>

#include "tests/c/case.h"
#include "client/client.h"
#include "link/endpoint.h"

struct side {
	struct px_segment *segment; /* the test's */
	struct px_member_id id;
	struct px_endpoint *endpoint;
	struct px_client *client; /* instead, of side_attach() */
	struct px_link *link;     /* to the other side, for the test */
	int supervisor_end;
	pthread_t supervisor;
};

/* A segment that such members can join, with so many units for arrays. */
struct px_segment *side_segment(uint64_t units);

/* Joins. An engine is engine 0. */
void side_open(struct side *side, struct px_segment *segment, enum px_member_kind kind);
/* Joins through px_client_open(). */
void side_attach(struct side *side, struct px_segment *segment);
/* The two open their links to each other: the first is the client. */
void side_meet(struct side *client, struct side *engine);
/* Leaves. */
void side_close(struct side *side);
/* The rest of it, of one whose endpoint is closed: when nothing of it is held. Its units are free again. */
void side_forget(struct side *side);
/* From now on it is dead for all others, for this reason. */
void side_kill(struct side *side, const struct px_death *death);
/* The supervisor is gone, as this side sees it. */
void side_hang_up(struct side *side);
/* Whether the arena is full, whatever it has. */
void side_refuse_memory(bool refuse);
/* Whether engines are asked to give memory back then, and how often it was asked for in earnest. */
void side_ask_for_memory(bool ask);
unsigned side_memory_asked(void);

/* What the segment says of an engine's id. */
void side_show_engine(struct side *side, uint32_t id, enum px_engine_state state);

/* The next message, which must be there. */
struct px_incoming side_receive(struct side *side);
/* The same, waiting for it. */
struct px_incoming side_await(struct side *side);

#endif
