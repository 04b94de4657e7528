/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * barrier_ring.c - finds out whether those who are missing at a barrier wait for its member in turn.
 *
 * What is read here is others' memory, at any moment: it is checked, and may be of different moments.
 */
#include <string.h>

#include "shm/barrier.h"

/* Members that are still to be followed, each once. */
struct trail {
	uint16_t slots[PX_MEMBERS_MAX];
	uint32_t count;
	uint8_t seen[PX_MEMBERS_MAX];
};

/* Those who have not arrived that often. */
static void add_missing(struct trail *trail, const struct px_barrier_shm *shared, uint32_t count,
			uint32_t arrived)
{
	for (uint32_t rank = 0; rank < count; rank++) {
		const struct px_barrier_place_shm *place = &shared->places[rank];
		/* Relaxed, all of it: a ring is looked at several times. */
		uint64_t member = atomic_load_explicit(&place->member, memory_order_relaxed);
		uint32_t slot = (uint32_t)(member >> 32);

		if (!member || slot >= PX_MEMBERS_MAX || trail->seen[slot] ||
		    atomic_load_explicit(&place->left, memory_order_relaxed) ||
		    (int32_t)(atomic_load_explicit(&place->arrived, memory_order_relaxed) -
			      arrived) >= 0)
			continue;
		trail->seen[slot] = 1;
		trail->slots[trail->count++] = (uint16_t)slot;
	}
}

/* A barrier of a client's, with its count; NULL: there is none. */
static const struct px_barrier_shm *barrier_at(const struct px_segment *segment, uint64_t offset,
					       uint32_t client, uint32_t *count)
{
	const struct px_barrier_shm *shared;

	if (offset % PX_LINE_BYTES ||
	    !px_segment_owned(segment, offset, px_barrier_bytes(0), client))
		return NULL;
	shared = (const void *)(segment->base + offset);
	*count = atomic_load_explicit(&shared->count, memory_order_relaxed);
	if (*count > PX_ENGINES_MAX ||
	    !px_segment_owned(segment, offset, px_barrier_bytes(*count), client))
		return NULL;
	return shared;
}

/* Those for whom a member waits, if it does so at a lower barrier. */
static void follow(struct trail *trail, const struct px_barrier *b, uint32_t slot)
{
	const struct px_block_shm *block = px_segment_block(b->segment, slot);
	uint64_t offset = atomic_load_explicit(&block->function.barrier, memory_order_relaxed);
	uint32_t client = atomic_load_explicit(&block->activity.client_slot, memory_order_relaxed);
	const struct px_barrier_shm *shared;
	uint32_t count;

	if (!offset || offset >= b->offset || client >= PX_MEMBERS_MAX)
		return;
	shared = barrier_at(b->segment, offset, client, &count);
	for (uint32_t rank = 0; shared && rank < count; rank++) {
		const struct px_barrier_place_shm *place = &shared->places[rank];

		if (atomic_load_explicit(&place->member, memory_order_relaxed) >> 32 == slot)
			add_missing(trail, shared, count,
				    atomic_load_explicit(&place->arrived, memory_order_relaxed));
	}
}

bool px_barrier_in_ring(const struct px_barrier *b)
{
	struct trail trail;

	trail.count = 0;
	memset(trail.seen, 0, sizeof(trail.seen));
	add_missing(&trail, b->shared, b->count, b->arrived);
	while (trail.count) {
		uint32_t slot = trail.slots[--trail.count];

		if (slot == b->self.slot)
			return true;
		follow(&trail, b, slot);
	}
	return false;
}
