/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * region.h - a piece of a member's own array memory, counted, and found by any address in it.
 *
 * Who:     the arena's member, any of its threads (the arena's mutex; the count is atomic).
 * Where:   the bytes in the segment; the handle in private memory.
 * Blocks:  px_region_new(), while the supervisor grants an extent.
 * Death:   of the owner: the supervisor's sweep frees its extents, and the region with them.
 */
#ifndef PX_REGION_H
#define PX_REGION_H

#include "shm/arena.h"
#include "shm/sizes.h"

/* A piece of array memory. Counted privately: 1 at birth, one more with each lease. */
struct px_region {
	uint64_t offset, bytes; /* in the segment; bytes as asked for */
	void *at;               /* writable */
	struct px_arena *arena;
	_Atomic uint32_t holds;
	_Atomic bool shown; /* its owner's code can write to it: what is lent may change */
	bool live;          /* receivers write into this very memory, too */
	bool ordinary; /* its owner's code does not know it to be shared: it is sent as a copy */
	bool forked;   /* private since a fork: what is written there is not in the segment */
};

/* A new region of bytes > 0, held once. PX_ENOMEM in the source's words. */
int px_region_new(struct px_arena *arena, uint64_t bytes, struct px_region **out);
/* The same where other memory will do: nobody is asked to give some back. */
int px_region_try(struct px_arena *arena, uint64_t bytes, struct px_region **out);
/*
 * The large region in which `bytes` bytes at that address lie, held once more, and where in it
 * they begin; NULL: none of this arena. The caller must be using that memory, so that the region
 * cannot go meanwhile.
 */
struct px_region *px_region_find(struct px_arena *arena, const void *at, uint64_t bytes,
				 uint64_t *skip);
/* Whether it may be lent as it is, rather than as a copy. */
static inline bool px_region_lendable(const struct px_region *region)
{
	return !region->ordinary && !region->forked;
}
void px_region_hold(struct px_region *region);
/* The last release gives the memory back to the arena, warm. */
void px_region_release(struct px_region *region);

#endif
