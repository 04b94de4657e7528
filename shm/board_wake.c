/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * board_wake.c - finds an engine to wake for a task.
 */
#include "shm/board.h"
#include "shm/doorbell.h"

struct crew {
	const struct px_segment *segment;
	const uint64_t *engines;
	uint32_t count;
};

/* The slot of an engine that serves; false: it does not, or is none of these. */
static bool serves(const struct crew *crew, uint32_t id, uint32_t *slot)
{
	const struct px_engine_shm *place = &crew->segment->engines[id];

	*slot = atomic_load_explicit(&place->slot, memory_order_relaxed) % PX_MEMBERS_MAX;
	return crew->engines[id / 64] >> id % 64 & 1 &&
	       atomic_load_explicit(&place->state, memory_order_relaxed) == PX_ENGINE_UP;
}

static bool sleeps(const struct px_segment *segment, uint32_t slot)
{
	return atomic_load_explicit(&segment->bells[slot].asleep, memory_order_relaxed) &
	       PX_BELL_TASK;
}

static bool find_sleeper(const struct crew *crew, uint32_t *slot)
{
	for (uint32_t id = 0; id < crew->count; id++)
		if (serves(crew, id, slot) && sleeps(crew->segment, *slot))
			return true;
	return false;
}

/* Whether one is awake and has nothing to do. */
static bool find_idle(const struct crew *crew)
{
	const struct px_activity_shm *a;
	uint32_t slot;

	for (uint32_t id = 0; id < crew->count; id++) {
		if (!serves(crew, id, &slot) || sleeps(crew->segment, slot))
			continue;
		a = &px_segment_block(crew->segment, slot)->activity;
		if (atomic_load_explicit(&a->client_epoch, memory_order_relaxed) == 0)
			return true;
	}
	return false;
}

void px_board_wake(const struct px_segment *segment, const uint64_t *engines)
{
	/* SYNC engines.count: acquire; partner: px_engine_new(). */
	uint32_t count =
		atomic_load_explicit(&segment->header->engines_count, memory_order_acquire);
	struct crew crew = { segment, engines, count < PX_ENGINES_MAX ? count : PX_ENGINES_MAX };
	uint32_t slot;

	/*
	 * SYNC bell.look: seq_cst, what was posted before the look at who sleeps; partner:
	 * px_doorbell_announce().
	 * SYNC board.busy: seq_cst, and at who is idle; partner: pass_on().
	 */
	atomic_thread_fence(memory_order_seq_cst);
	/* Sleepers first: where nobody sleeps nothing is read that others write all the time. */
	if (find_sleeper(&crew, &slot) && !find_idle(&crew))
		px_doorbell_ring(&segment->bells[slot], PX_BELL_TASK);
}
