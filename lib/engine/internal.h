/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * internal.h - what the files of the loop share among themselves.
 *
 * Who:     the engine's main thread.
 * Where:   private memory.
 * Blocks:  never.
 * Death:   as loop.h.
 */
#ifndef PX_ENGINE_INTERNAL_H
#define PX_ENGINE_INTERNAL_H

#include "engine/loop.h"
#include "engine/outlet.h"
#include "shm/board.h"

/* A client as the loop sees it. */
struct px_served {
	struct px_member_id id;
	const _Atomic uint32_t *open; /* of its link to us: our epoch, once the link is open */
	struct px_link *link;         /* NULL until then */
	struct px_board_view board;   /* of its tasks */
	bool blind;                   /* there was no address space for the board's claims */
	struct px_outlet unsent[2];   /* output of the request that ran; goes before the reply */
	bool owed;                    /* a reply waits for room: outbox and waiting are set */
	struct px_outgoing outbox;
	struct px_reply waiting;
	bool dropped;       /* what it sent cannot be read: it is not served until it has gone */
	bool urgent;        /* there may be an urgent request in its ring */
	uint64_t urgent_id; /* of the last urgent request that was run */
	uint64_t stop_id;   /* EXECUTE requests up to this id are aborted: an earlier one failed */
	uint64_t room_seq;  /* px_link_room_seq() before the last attempt to send that reply */
};

struct px_loop {
	struct px_engine_process *engine;
	struct px_served *clients;
	uint32_t count, cap;
	uint32_t outboxes;
	uint32_t turn; /* whose tasks come next: an index into clients */
	uint64_t seen_seq;
	uint64_t idle_ns;   /* since when there is no work; of the clock of px_os */
	bool gave_back;     /* warm memory, since then */
	uint64_t looked_ns; /* when it last looked at its descriptors, after a request */
};

/* --- answer.c --- */

/* Sends the reply, or keeps it until there is room. Takes it. */
void px_answer(struct px_loop *loop, struct px_served *c, struct px_outgoing *out,
	       struct px_reply *reply);
/* Tries again with the one that is kept. */
void px_answer_again(struct px_loop *loop, struct px_served *c);
void px_reply_free(struct px_reply *reply);

#endif
