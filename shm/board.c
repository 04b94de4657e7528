/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * board.c - posts tasks, and claims them.
 */
#include "shm/board.h"

#include <stdlib.h>
#include <string.h>

#include "shm/error.h"
#include "shm/killpoint.h"

/* Who has an entry: the low half of its word. Engines are slot + 1, and 20 bits of their epoch. */
#define READY UINT32_C(0)
#define WITHDRAWN UINT32_MAX
#define SLOT_BITS 12
#define SLOT_MASK ((UINT32_C(1) << SLOT_BITS) - 1)
_Static_assert(PX_MEMBERS_MAX < SLOT_MASK, "WITHDRAWN is no member");
#define GENERATION_START ((uint32_t)PX_SEQ_START)
#define PIECES (PX_TASKS_MAX / PX_TASKS_PIECE)

static uint64_t word(uint32_t generation, uint32_t holder)
{
	return (uint64_t)generation << 32 | holder;
}

static uint32_t holder_of(struct px_member_id id)
{
	return (id.epoch << SLOT_BITS) | (id.slot + 1);
}

/* --- the client --- */

/* A region that starts with a page and shares none: zeroed. */
static int make(struct px_board *board, uint64_t bytes, struct px_region **out)
{
	int rc;

	if (bytes < PX_REGION_LARGE_BYTES)
		bytes = PX_REGION_LARGE_BYTES;
	rc = px_region_new(board->arena, bytes, out);
	if (rc == 0)
		memset((*out)->at, 0, bytes);
	return rc;
}

static void release(struct px_region *region)
{
	if (region)
		px_region_release(region);
}

int px_board_open(struct px_segment *segment, struct px_arena *arena, struct px_block_shm *block,
		  struct px_board **out)
{
	struct px_board *board = calloc(1, sizeof(*board));
	int rc;

	if (!board)
		return px_fail(PX_ENOMEM, "no private memory for a task board");
	board->segment = segment;
	board->arena = arena;
	board->shared = &block->board;
	for (uint32_t i = 0; i < PX_TASKS_MAX; i++)
		board->generation[i] = GENERATION_START;
	rc = make(board, sizeof(struct px_claims_shm), &board->claims_region);
	if (rc < 0) {
		free(board);
		return rc;
	}
	board->claims = board->claims_region->at;
	/* Relaxed: the release of the first lane publishes this too. */
	atomic_store_explicit(&board->shared->claims, board->claims_region->offset,
			      memory_order_relaxed);
	*out = board;
	return 0;
}

void px_board_close(struct px_board *board)
{
	if (!board)
		return;
	release(board->claims_region);
	for (uint32_t i = 0; i < PX_LANES_MAX; i++)
		release(board->lane_regions[i]);
	for (uint32_t i = 0; i < PIECES; i++)
		release(board->pieces[i]);
	free(board);
}

static struct px_task_shm *task_at(const struct px_board *board, uint32_t entry)
{
	struct px_task_shm *piece = board->pieces[entry / PX_TASKS_PIECE]->at;

	return &piece[entry % PX_TASKS_PIECE];
}

static int make_piece(struct px_board *board)
{
	uint32_t number = board->made / PX_TASKS_PIECE;
	int rc;

	if (board->made == PX_TASKS_MAX)
		return PX_EAGAIN;
	rc = make(board, PX_TASKS_PIECE * sizeof(struct px_task_shm), &board->pieces[number]);
	if (rc < 0)
		return rc;
	/* Relaxed: an engine looks here once it has claimed an entry of it. */
	atomic_store_explicit(&board->shared->pieces[number], board->pieces[number]->offset,
			      memory_order_relaxed);
	for (uint32_t i = PX_TASKS_PIECE; i-- > 0;)
		board->free[board->free_count++] = board->made + i;
	board->made += PX_TASKS_PIECE;
	return 0;
}

int px_board_get(struct px_board *board, uint32_t *entry, struct px_task_shm **task)
{
	int rc = board->free_count ? 0 : make_piece(board);

	if (rc < 0)
		return rc;
	*entry = board->free[--board->free_count];
	*task = task_at(board, *entry);
	return 0;
}

void px_board_put(struct px_board *board, uint32_t entry)
{
	board->free[board->free_count++] = entry;
}

int px_board_lane(struct px_board *board, uint32_t lane, const uint64_t *engines)
{
	bool is_new = !board->lanes[lane];
	int rc = is_new ? make(board, sizeof(struct px_lane_shm), &board->lane_regions[lane]) : 0;

	if (rc < 0)
		return rc;
	board->lanes[lane] = board->lane_regions[lane]->at;
	/* Relaxed: a task that is posted there later publishes it. Until then it says nothing. */
	for (uint32_t i = 0; i < PX_ENGINES_MAX / 64; i++)
		atomic_store_explicit(&board->lanes[lane]->engines[i], engines[i],
				      memory_order_relaxed);
	if (is_new) {
		/* SYNC board.lane: release; partner: look_at_lanes(). */
		atomic_store_explicit(&board->shared->lanes[lane],
				      board->lane_regions[lane]->offset, memory_order_release);
		PX_KILLPOINT("board.lane.made"); /* dead here: engines find an empty lane */
	}
	return 0;
}

static bool is_ready(const struct px_claims_shm *claims, uint64_t order)
{
	return atomic_load_explicit(&claims->words[order % PX_TASKS_MAX], memory_order_relaxed) ==
	       word((uint32_t)(order >> 32), READY);
}

/* Goes past what is not ready, as engines do. Whether there is room for one more. */
static bool has_room(struct px_board *board, uint32_t lane)
{
	struct px_lane_shm *l = board->lanes[lane];
	_Atomic uint64_t *hint = &board->claims->lanes[lane].next;
	uint64_t posted = atomic_load_explicit(&l->posted, memory_order_relaxed);
	uint64_t next = atomic_load_explicit(hint, memory_order_relaxed);

	/* A hint that cannot be was scribbled, and is mended later. */
	while (posted - next == PX_TASKS_MAX) {
		if (is_ready(board->claims, atomic_load_explicit(&l->order[next % PX_TASKS_MAX],
								 memory_order_relaxed)))
			return false;
		next++;
		atomic_store_explicit(hint, next, memory_order_relaxed);
	}
	return true;
}

int px_board_post(struct px_board *board, uint32_t lane, uint32_t entry)
{
	struct px_lane_shm *l = board->lanes[lane];
	uint64_t posted = atomic_load_explicit(&l->posted, memory_order_relaxed);
	uint32_t generation = board->generation[entry] + 1;

	if (!has_room(board, lane))
		return PX_EAGAIN;
	board->generation[entry] = generation;
	board->place[entry] = posted;
	board->lane[entry] = (uint8_t)lane;
	/* SYNC board.word: release, of the task; partner: claim_in(). */
	atomic_store_explicit(&board->claims->words[entry], word(generation, READY),
			      memory_order_release);
	PX_KILLPOINT("board.post.ready"); /* dead here: it is in no lane, and goes with us */
	/*
	 * SYNC board.order: release, of the word: an engine that is late may read this as the place
	 * of an older entry; partner: claim_in().
	 */
	atomic_store_explicit(&l->order[posted % PX_TASKS_MAX], word(generation, entry),
			      memory_order_release);
	/* SYNC board.posted: release, of the order; partner: ready_in(). */
	atomic_store_explicit(&l->posted, posted + 1, memory_order_release);
	PX_KILLPOINT("board.post.posted"); /* dead here: posted, nobody woken */
	return 0;
}

bool px_board_withdraw(struct px_board *board, uint32_t entry)
{
	uint64_t ready = word(board->generation[entry], READY);

	/* Relaxed: nothing of the engine's is read if it fails, nor published if it does not. */
	return atomic_compare_exchange_strong_explicit(&board->claims->words[entry], &ready,
						       word(board->generation[entry], WITHDRAWN),
						       memory_order_relaxed, memory_order_relaxed);
}

bool px_board_claimer(const struct px_board *board, uint32_t entry, struct px_member_id *who)
{
	/* Relaxed: what the engine says of the task comes by its ring. */
	uint32_t holder =
		(uint32_t)atomic_load_explicit(&board->claims->words[entry], memory_order_relaxed);

	if (holder == READY || holder == WITHDRAWN)
		return false;
	who->slot = (holder & SLOT_MASK) - 1;
	who->epoch = holder >> SLOT_BITS;
	return true;
}

bool px_board_same(struct px_member_id claimer, struct px_member_id member)
{
	return claimer.slot == member.slot && holder_of(member) >> SLOT_BITS == claimer.epoch;
}

bool px_board_lost(const struct px_board *board, uint32_t entry)
{
	const struct px_claims_shm *claims = board->claims;
	/* SYNC board.next: acquire, of the claims of what was passed; partner: claim_in(). */
	uint64_t next =
		atomic_load_explicit(&claims->lanes[board->lane[entry]].next, memory_order_acquire);
	uint64_t now = atomic_load_explicit(&claims->words[entry], memory_order_relaxed);

	if (now == word(board->generation[entry], READY))
		return next > board->place[entry];
	/* Words that we did not write and no engine would. */
	return now >> 32 != board->generation[entry] || (uint32_t)now == WITHDRAWN;
}

void px_board_mend(struct px_board *board)
{
	for (uint32_t lane = 0; lane < PX_LANES_MAX && board->lanes[lane]; lane++) {
		_Atomic uint64_t *hint = &board->claims->lanes[lane].next;
		uint64_t posted =
			atomic_load_explicit(&board->lanes[lane]->posted, memory_order_relaxed);

		if (posted - atomic_load_explicit(hint, memory_order_relaxed) > PX_TASKS_MAX)
			atomic_store_explicit(hint, posted, memory_order_relaxed);
	}
}

/* --- an engine --- */

void px_board_view_open(struct px_board_view *view, struct px_segment *segment, uint32_t slot)
{
	*view = (struct px_board_view){
		.segment = segment,
		.slot = slot,
		.shared = &px_segment_block(segment, slot)->board,
	};
}

void px_board_view_close(struct px_board_view *view)
{
	if (view->claims)
		px_segment_unmap(view->claims, sizeof(struct px_claims_shm));
	*view = (struct px_board_view){ 0 };
}

/* Takes notice of lanes that were made. One that cannot be is not looked at. */
static void look_at_lanes(struct px_board_view *view)
{
	while (view->count < PX_LANES_MAX) {
		/* SYNC board.lane: acquire; partner: px_board_lane(). */
		uint64_t offset = atomic_load_explicit(&view->shared->lanes[view->count],
						       memory_order_acquire);

		if (offset == 0 || offset % PX_LINE_BYTES ||
		    !px_segment_owned(view->segment, offset, sizeof(struct px_lane_shm),
				      view->slot))
			return;
		view->lanes[view->count++] = (const void *)(view->segment->base + offset);
	}
}

/* The claims as everybody may read them; NULL: they cannot be. */
static const struct px_claims_shm *claims_of(const struct px_board_view *view, uint64_t *offset)
{
	*offset = atomic_load_explicit(&view->shared->claims, memory_order_relaxed);
	if (*offset % PX_PAGE_BYTES ||
	    !px_segment_owned(view->segment, *offset, sizeof(struct px_claims_shm), view->slot))
		return NULL;
	return (const void *)(view->segment->base + *offset);
}

static bool may_take(const struct px_lane_shm *lane, uint32_t engine_id)
{
	return atomic_load_explicit(&lane->engines[engine_id / 64], memory_order_relaxed) >>
		       engine_id % 64 &
	       1;
}

/* Whether something is posted in a lane that is not taken yet, as next says. */
static bool ready_in(const struct px_board_view *view, uint32_t lane, uint64_t *next,
		     uint64_t *posted)
{
	const struct px_lane_shm *l = view->lanes[lane];
	const struct px_claims_shm *claims = view->claims;
	uint64_t offset;

	/* SYNC board.posted: acquire; partner: px_board_post(). */
	*posted = atomic_load_explicit(&l->posted, memory_order_acquire);
	if (!claims)
		claims = claims_of(view, &offset);
	if (!claims)
		return false;
	*next = atomic_load_explicit(&claims->lanes[lane].next, memory_order_relaxed);
	return *next != *posted && *posted - *next <= PX_TASKS_MAX;
}

bool px_board_view_ready(struct px_board_view *view, uint32_t engine_id)
{
	uint64_t next, posted;

	look_at_lanes(view);
	for (uint32_t lane = 0; lane < view->count; lane++)
		if (may_take(view->lanes[lane], engine_id) && ready_in(view, lane, &next, &posted))
			return true;
	return false;
}

static int corrupt(const struct px_board_view *view, const char *what)
{
	return px_fail(PX_ECORRUPT, "the task board of member %u is invalid: %s", view->slot, what);
}

static int map_claims(struct px_board_view *view)
{
	uint64_t offset;
	void *at;
	int rc;

	if (view->claims)
		return 0;
	if (!claims_of(view, &offset))
		return corrupt(view, "its claims lie outside of that member's memory");
	rc = px_segment_map(view->segment, offset, sizeof(struct px_claims_shm), &at);
	if (rc == 0)
		view->claims = at;
	return rc;
}

static int copy_task(const struct px_board_view *view, uint32_t entry, struct px_task_shm *out)
{
	uint64_t offset = atomic_load_explicit(&view->shared->pieces[entry / PX_TASKS_PIECE],
					       memory_order_relaxed) +
			  entry % PX_TASKS_PIECE * sizeof(struct px_task_shm);

	const struct px_task_shm *task;
	uint32_t bytes;

	if (offset % PX_LINE_BYTES ||
	    !px_segment_owned(view->segment, offset, sizeof(*out), view->slot))
		return corrupt(view, "a task lies outside of that member's memory");
	task = (const void *)(view->segment->base + offset);
	memcpy(out, task, offsetof(struct px_task_shm, inlined));
	bytes = out->payload_offset ? 0 : out->payload_bytes;
	/* What it says of more than there is room for is found out by who decodes it. */
	memcpy(out->inlined, task->inlined,
	       bytes < sizeof(out->inlined) ? bytes : sizeof(out->inlined));
	return 1;
}

/* Claims the oldest of one lane. 1 and *entry, or 0. */
static int claim_in(struct px_board_view *view, uint32_t lane, uint32_t engine_id,
		    struct px_member_id self, uint32_t *entry)
{
	uint64_t next, posted, order, ready;
	bool claimed = false;

	while (!claimed && ready_in(view, lane, &next, &posted)) {
		/* SYNC board.order: acquire; partner: px_board_post(). */
		order = atomic_load_explicit(&view->lanes[lane]->order[next % PX_TASKS_MAX],
					     memory_order_acquire);
		*entry = (uint32_t)order % PX_TASKS_MAX;
		ready = word((uint32_t)(order >> 32), READY);
		/* The lane may be others' by now; if this order is, then that is visible, too. */
		if (!may_take(view->lanes[lane], engine_id))
			return false;
		/* SYNC board.word: acquire, of the task; partner: px_board_post(). */
		claimed = atomic_compare_exchange_strong_explicit(&view->claims->words[*entry],
								  &ready,
								  word((uint32_t)(order >> 32),
								       holder_of(self)),
								  memory_order_acquire,
								  memory_order_relaxed);
		PX_KILLPOINT("board.claim.visible"); /* dead here: the next to look moves on */
		/*
		 * It is only where to look, and who fails here was overtaken.
		 * SYNC board.next: release, of the claim, or that another one was seen; partner:
		 * px_board_lost().
		 */
		atomic_compare_exchange_strong_explicit(&view->claims->lanes[lane].next, &next,
							next + 1, memory_order_release,
							memory_order_relaxed);
	}
	return claimed;
}

int px_board_claim(struct px_board_view *view, uint32_t engine_id, struct px_member_id self,
		   struct px_task_shm *out)
{
	uint32_t entry;
	int rc = map_claims(view);

	for (uint32_t lane = 0; rc == 0 && lane < view->count; lane++)
		if (claim_in(view, lane, engine_id, self, &entry))
			return copy_task(view, entry, out);
	return rc;
}

void px_board_pass_on(struct px_board_view *view)
{
	uint64_t next, posted, engines[PX_ENGINES_MAX / 64];

	/* One may be new, with tasks for which we were counted as idle. */
	look_at_lanes(view);
	for (uint32_t lane = 0; lane < view->count; lane++) {
		if (!ready_in(view, lane, &next, &posted))
			continue;
		for (uint32_t i = 0; i < PX_ENGINES_MAX / 64; i++)
			engines[i] = atomic_load_explicit(&view->lanes[lane]->engines[i],
							  memory_order_relaxed);
		px_board_wake(view->segment, engines);
	}
}
