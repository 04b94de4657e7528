/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * region.c - counted pieces of an arena, found by any address in them, private after a fork.
 */
#include <stdlib.h>

#include "shm/arena_parts.h"
#include "shm/error.h"
#include "shm/region.h"

/* With the lock, or in a forked child. NULL: the address is in no extent. */
static struct px_extent *extent_of(const struct px_arena *arena, const void *at)
{
	struct px_extent *e = arena->extents;

	while (e && ((const uint8_t *)at < e->at || (const uint8_t *)at >= e->at + e->bytes))
		e = e->next;
	return e;
}

uint64_t px_arena_mapped(const struct px_arena *arena, const void *at)
{
	const struct px_extent *e = extent_of(arena, at);

	return e ? (uint64_t)(e->at + e->bytes - (const uint8_t *)at) : 0;
}

/* The last start at or before a page, UINT64_MAX: none. */
static uint64_t start_before(const struct px_extent *extent, uint64_t page)
{
	uint64_t word = page / 64;
	uint64_t map = extent->starts[word] & (~UINT64_C(0) >> (63 - page % 64));

	while (!map && word > 0)
		map = extent->starts[--word];
	return map ? word * 64 + 63 - (uint64_t)__builtin_clzll(map) : UINT64_MAX;
}

/* Makes px_region_find() find `to`, or nothing (NULL), for addresses in the region. */
static void set_start(struct px_region *region, struct px_region *to)
{
	struct px_arena *arena = region->arena;
	struct px_extent *extent;
	uint64_t page;

	if (region->bytes < PX_REGION_LARGE_BYTES)
		return;
	pthread_mutex_lock(&arena->lock);
	extent = extent_of(arena, region->at);
	page = (region->offset - extent->offset) / PX_PAGE_BYTES;
	extent->starts[page / 64] &= ~(UINT64_C(1) << page % 64);
	if (to)
		extent->starts[page / 64] |= UINT64_C(1) << page % 64;
	px_arena_used_block(arena, region->offset)->region = to;
	pthread_mutex_unlock(&arena->lock);
}

struct px_region *px_region_find(struct px_arena *arena, const void *at, uint64_t bytes,
				 uint64_t *skip)
{
	struct px_region *region = NULL;
	struct px_extent *extent;
	uint64_t page;

	pthread_mutex_lock(&arena->lock);
	extent = extent_of(arena, at);
	page = extent ? start_before(extent,
				     (uint64_t)((const uint8_t *)at - extent->at) / PX_PAGE_BYTES) :
			UINT64_MAX;
	if (page != UINT64_MAX)
		region = px_arena_used_block(arena, extent->offset + page * PX_PAGE_BYTES)->region;
	if (region) {
		*skip = (uint64_t)((const uint8_t *)at - (const uint8_t *)region->at);
		if (*skip < region->bytes && bytes <= region->bytes - *skip)
			px_region_hold(region);
		else
			region = NULL;
	}
	pthread_mutex_unlock(&arena->lock);
	return region;
}

static int region_get(struct px_arena *arena, uint64_t bytes, enum px_arena_how how,
		      struct px_region **out)
{
	struct px_region *region = malloc(sizeof(*region));
	int rc;

	if (!region)
		return px_fail(PX_ENOMEM, "no private memory for a region");
	rc = px_arena_get(arena, bytes, how, &region->offset, &region->at);
	if (rc < 0) {
		free(region);
		return rc;
	}
	region->bytes = bytes;
	region->arena = arena;
	region->live = region->ordinary = region->forked = false;
	atomic_init(&region->holds, 1);
	atomic_init(&region->shown, false);
	set_start(region, region);
	atomic_fetch_add_explicit(&arena->regions, 1, memory_order_relaxed);
	*out = region;
	return 0;
}

int px_region_new(struct px_arena *arena, uint64_t bytes, struct px_region **out)
{
	return region_get(arena, bytes, PX_ARENA_RECLAIM, out);
}

int px_region_try(struct px_arena *arena, uint64_t bytes, struct px_region **out)
{
	return region_get(arena, bytes, PX_ARENA_TRY, out);
}

void px_region_hold(struct px_region *region)
{
	atomic_fetch_add_explicit(&region->holds, 1, memory_order_relaxed);
}

/* Whole pages, of a large region. */
static uint64_t padded(const struct px_region *region)
{
	return (region->bytes + PX_PAGE_BYTES - 1) / PX_PAGE_BYTES * PX_PAGE_BYTES;
}

void px_arena_before_fork(struct px_arena *arena)
{
	pthread_mutex_lock(&arena->lock);
	for (struct px_extent *e = arena->extents; e; e = e->next)
		for (struct px_arena_block *block = e->first; block; block = block->behind) {
			struct px_region *region = block->used ? block->region : NULL;

			if (region && !region->live && !region->forked &&
			    atomic_load_explicit(&region->shown, memory_order_relaxed))
				region->forked =
					px_segment_make_private(arena->segment, region->offset,
								padded(region), region->at) == 0;
		}
}

void px_arena_after_fork(struct px_arena *arena)
{
	pthread_mutex_unlock(&arena->lock);
}

void px_region_release(struct px_region *region)
{
	/* SYNC private: who lets go last sees what the others did before they let go. */
	if (atomic_fetch_sub_explicit(&region->holds, 1, memory_order_acq_rel) != 1)
		return;
	atomic_fetch_sub_explicit(&region->arena->regions, 1, memory_order_relaxed);
	set_start(region, NULL);
	/* If that fails, this piece of the arena stays unused; nothing worse. */
	if (!region->forked || px_segment_make_shared(region->arena->segment, region->offset,
						      padded(region), region->at) == 0)
		px_arena_put(region->arena, region->offset, region->bytes);
	free(region);
}
