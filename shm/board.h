/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * board.h - a client's tasks, which the next idle engine takes.
 *
 * Who:     the client writes entries and lanes, one thread at a time (its lock). Engines read them,
 *          and claim entries.
 * Where:   regions of the client's arena, which its block names. But the claims every engine
 *          writes, as they do bells.
 * Blocks:  never.
 * Death:   of the client: engines go on with what they have taken, and see no more of it. Of an
 *          engine: the entries that it has claimed name it, so there is nothing to repair; the client
 *          posts them again, or fails them.
 *
 * An entry holds one task. Beside it, among the claims, lies its word: its generation, which counts
 * the uses of the entry, and who has it: nobody (it is ready), an engine, or the client, which has
 * taken it back. Only a word that is ready is changed by others than the client, and only by
 * compare-and-swap: so each use of an entry is claimed by one engine, or taken back, and who looks
 * at an order of long ago finds another generation.
 *
 * A lane is the order in which tasks were posted that the same engines may take. Nothing but `next`
 * says how far it has been taken. It is a hint, which whoever looks moves on past what is not ready:
 * an engine killed between its claim and that leaves the step to the next one.
 *
 * The worst that a mad engine can do to claims: tasks of others run twice, or late: see px_board_lost(),
 * and lib/client/mending.c for what it claims in the name of others.
 */
#ifndef PX_BOARD_H
#define PX_BOARD_H

#include <stdbool.h>

#include "shm/member.h"
#include "shm/region.h"

#define PX_TASK_BYTES 512

/* What the client writes before it posts the entry. */
struct px_task_shm {
	uint64_t id;
	uint16_t kind, flags;
	uint32_t payload_bytes;
	uint64_t payload_offset; /* in the segment; 0: it is inlined */
	uint8_t inlined[PX_TASK_BYTES - 24];
};
_Static_assert(sizeof(struct px_task_shm) == PX_TASK_BYTES, "whole lines");

struct px_lane_shm {
	/* Who may take from it, by engine id. Set before the lane is used. */
	_Atomic uint64_t engines[PX_ENGINES_MAX / 64];
	_Atomic uint64_t posted; /* entries so far */
	uint8_t reserved[PX_LINE_BYTES - 8];
	_Atomic uint64_t order[PX_TASKS_MAX]; /* generation << 32 | entry */
};

struct px_claims_shm {
	struct {
		_Atomic uint64_t next;
		uint8_t reserved[PX_LINE_BYTES - 8];
	} lanes[PX_LANES_MAX];
	_Atomic uint64_t words[PX_TASKS_MAX]; /* generation << 32 | holder */
};

/* --- the client --- */

struct px_board {
	struct px_segment *segment;
	struct px_arena *arena;
	struct px_board_shm *shared;
	struct px_region *claims_region;
	struct px_claims_shm *claims;
	struct px_region *lane_regions[PX_LANES_MAX];
	struct px_lane_shm *lanes[PX_LANES_MAX];
	struct px_region *pieces[PX_TASKS_MAX / PX_TASKS_PIECE];
	uint32_t made; /* entries for which there is memory */
	uint32_t free_count;
	uint32_t free[PX_TASKS_MAX]; /* the last one is used first: it is warm */
	uint32_t generation[PX_TASKS_MAX];
	uint64_t place[PX_TASKS_MAX]; /* in its lane */
	uint8_t lane[PX_TASKS_MAX];
};

/* PX_ENOMEM: of the arena, or private. */
int px_board_open(struct px_segment *segment, struct px_arena *arena, struct px_block_shm *block,
		  struct px_board **out);
/* All entries are done, or nobody is left to take them: gives the memory back. NULL is fine. */
void px_board_close(struct px_board *board);
/* A free entry, to be written. PX_EAGAIN: all are in use; PX_ENOMEM. */
int px_board_get(struct px_board *board, uint32_t *entry, struct px_task_shm **task);
/* An entry that is not posted, or done, or taken back. */
void px_board_put(struct px_board *board, uint32_t entry);
/* Makes a lane for these engines, which has none posted; PX_ENOMEM. */
int px_board_lane(struct px_board *board, uint32_t lane, const uint64_t *engines);
/* Makes it ready, under a new generation. PX_EAGAIN: the lane is full. Wake somebody afterwards. */
int px_board_post(struct px_board *board, uint32_t lane, uint32_t entry);
/* Takes it back. False: an engine has claimed it, and is or was about to run it. */
bool px_board_withdraw(struct px_board *board, uint32_t entry);
/* Whether an engine has claimed it, and which; the epoch's low 20 bits. */
bool px_board_claimer(const struct px_board *board, uint32_t entry, struct px_member_id *who);
/* Whether that member is the one which px_board_claimer() gave. */
bool px_board_same(struct px_member_id claimer, struct px_member_id member);
/*
 * Sets hints right that cannot be, as a mad engine may write; what was ready there is lost then, as
 * what is before a wrong hint that can be.
 */
void px_board_mend(struct px_board *board);
/* Whether it is ready and stands where nobody will look again: post it anew. */
bool px_board_lost(const struct px_board *board, uint32_t entry);

/* --- an engine --- */

/* One client's board. */
struct px_board_view {
	struct px_segment *segment;
	uint32_t slot;
	const struct px_board_shm *shared;
	struct px_claims_shm *claims; /* NULL: not mapped yet */
	const struct px_lane_shm *lanes[PX_LANES_MAX];
	uint32_t count; /* of lanes */
};

void px_board_view_open(struct px_board_view *view, struct px_segment *segment, uint32_t slot);
void px_board_view_close(struct px_board_view *view);
/* Whether the client has a board at all; the cheapest look. */
static inline bool px_board_view_used(const struct px_board_view *view)
{
	/* Relaxed: who goes on looks again. */
	return view->count ||
	       atomic_load_explicit(&view->shared->lanes[0], memory_order_relaxed) != 0;
}
/* Whether there may be a task for that engine. A look at a few words; never fails. */
bool px_board_view_ready(struct px_board_view *view, uint32_t engine_id);
/*
 * Claims the oldest task that the engine may take, and copies it: 1, or 0 if there is none.
 * PX_ECORRUPT: the board cannot be (the words name the client's slot). PX_ESYSTEM: no address space.
 */
int px_board_claim(struct px_board_view *view, uint32_t engine_id, struct px_member_id self,
		   struct px_task_shm *out);

/*
 * If tasks are ready, wakes an engine that sleeps and may take them. Before running anything, and
 * behind a fence after our activity has said that we are busy.
 */
void px_board_pass_on(struct px_board_view *view);

/* --- both --- */

/*
 * After posting: wakes one of these engines if they sleep, but not if one that is awake has nothing
 * to do: it looks before it sleeps, and passes on what it finds if it begins something else.
 */
void px_board_wake(const struct px_segment *segment, const uint64_t *engines);

#endif
