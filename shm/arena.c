/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena.c - extents cut into blocks, all bookkeeping in private memory.
 *
 * Every extent is a list of blocks in the order of their addresses; free ones are also in a bin
 * of their size, four bins for each doubling. Freeing joins a block with free neighbours and puts
 * it in front of its bin, so that the block used last is used next: its pages are warm. Blocks in
 * use are found by their offset in a hash table.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "shm/arena_parts.h"
#include "shm/error.h"
#include "shm/killpoint.h"

#define BINS PX_ARENA_BINS
#define EXTENT_MAX_BYTES (UINT64_C(64) << 20) /* a larger one only for a larger region */
#define HASH_START 64

static uint64_t up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

/* --- bins --- */

/* Four for each doubling: the two bits behind the highest one. */
static unsigned bin_of(uint64_t bytes)
{
	unsigned high = 63 - (unsigned)__builtin_clzll(bytes);

	return high * 4 + (unsigned)(bytes >> (high - 2) & 3);
}

static void bin_push(struct px_arena *arena, struct px_arena_block *block)
{
	unsigned bin = bin_of(block->bytes);

	block->used = false;
	block->bin_before = NULL;
	block->bin_behind = arena->bins[bin];
	if (block->bin_behind)
		block->bin_behind->bin_before = block;
	arena->bins[bin] = block;
	arena->bin_map[bin / 64] |= UINT64_C(1) << bin % 64;
}

static void bin_remove(struct px_arena *arena, struct px_arena_block *block)
{
	unsigned bin = bin_of(block->bytes);

	if (block->bin_before)
		block->bin_before->bin_behind = block->bin_behind;
	else
		arena->bins[bin] = block->bin_behind;
	if (block->bin_behind)
		block->bin_behind->bin_before = block->bin_before;
	if (!arena->bins[bin])
		arena->bin_map[bin / 64] &= ~(UINT64_C(1) << bin % 64);
}

/* The first bin at or above `bin` that is not empty; BINS if none. */
static unsigned bin_next(const struct px_arena *arena, unsigned bin)
{
	for (unsigned word = bin / 64; word < BINS / 64; word++) {
		uint64_t map = arena->bin_map[word];

		if (word == bin / 64)
			map &= ~UINT64_C(0) << bin % 64;
		if (map)
			return word * 64 + (unsigned)__builtin_ctzll(map);
	}
	return BINS;
}

static bool fits(const struct px_arena_block *block, uint64_t bytes, uint64_t align)
{
	uint64_t start = up(block->offset, align);

	return start + bytes <= block->offset + block->bytes;
}

/* The first that fits of at most `looks` blocks of each bin. */
static struct px_arena_block *search(const struct px_arena *arena, uint64_t bytes, uint64_t align,
				     uint64_t looks)
{
	for (unsigned bin = bin_next(arena, bin_of(bytes)); bin < BINS;
	     bin = bin_next(arena, bin + 1)) {
		struct px_arena_block *block = arena->bins[bin];

		for (uint64_t i = 0; i < looks && block; i++, block = block->bin_behind)
			if (fits(block, bytes, align))
				return block;
	}
	return NULL;
}

/* Many blocks of a bin may be a little too short: all of them are tried only as a last resort. */
static struct px_arena_block *find_free(const struct px_arena *arena, uint64_t bytes,
					uint64_t align)
{
	struct px_arena_block *block = search(arena, bytes, align, 8);

	return block ? block : search(arena, bytes, align, UINT64_MAX);
}

/* --- blocks in use, by offset --- */

static struct px_arena_block **hash_place(const struct px_arena *arena, uint64_t offset)
{
	return &arena->hash[(offset / PX_LINE_BYTES * UINT64_C(0x9e3779b97f4a7c15)) >> 32 &
			    (arena->hash_size - 1)];
}

static void hash_add(struct px_arena *arena, struct px_arena_block *block)
{
	struct px_arena_block **place = hash_place(arena, block->offset);

	block->used = true;
	block->hashed = *place;
	*place = block;
	arena->used_count++;
}

/* The word that points to the used block that begins there. A wrong offset is our own bug. */
static struct px_arena_block **hash_find(const struct px_arena *arena, uint64_t offset)
{
	struct px_arena_block **place = hash_place(arena, offset);

	while (*place && (*place)->offset != offset)
		place = &(*place)->hashed;
	assert(*place);
	return place;
}

static struct px_arena_block *hash_take(struct px_arena *arena, uint64_t offset)
{
	struct px_arena_block **place = hash_find(arena, offset), *block = *place;

	*place = block->hashed;
	arena->used_count--;
	return block;
}

/* Keeps the chains short; if there is no memory for that, they stay long. */
static void hash_grow(struct px_arena *arena)
{
	struct px_arena_block **old = arena->hash;
	uint64_t old_size = arena->hash_size;
	struct px_arena_block **grown;

	if (arena->used_count < old_size)
		return;
	grown = calloc(2 * old_size, sizeof(struct px_arena_block *));
	if (!grown)
		return;
	arena->hash = grown;
	arena->hash_size = 2 * old_size;
	arena->used_count = 0;
	for (uint64_t i = 0; i < old_size; i++)
		while (old[i]) {
			struct px_arena_block *block = old[i];

			old[i] = block->hashed;
			hash_add(arena, block);
		}
	free(old);
}

struct px_arena_block *px_arena_used_block(const struct px_arena *arena, uint64_t offset)
{
	return *hash_find(arena, offset);
}

/* --- extents --- */

/* Of the map of starts. */
static uint64_t words_of(uint64_t bytes)
{
	return (bytes / PX_PAGE_BYTES + 63) / 64;
}

static int extent_map(struct px_arena *arena, struct px_extent *extent)
{
	void *at = NULL;
	int rc = px_segment_map_arrays(arena->segment, extent->offset, extent->bytes, &at);

	if (rc == 0)
		rc = px_segment_reserve_mapped(arena->segment, extent->offset, extent->bytes, at);
	PX_KILLPOINT("arena.extent.reserved"); /* dead here: the sweep punches it */
	if (rc < 0) {
		rc = px_fail(PX_ENOMEM, "%s", px_last_error());
		if (at)
			px_segment_unmap(at, extent->bytes);
		return rc;
	}
	extent->at = at;
	return 0;
}

static int extent_get(struct px_arena *arena, uint64_t bytes, bool earnest)
{
	struct px_extent *extent = calloc(1, sizeof(*extent));
	struct px_arena_block *whole = calloc(1, sizeof(*whole));
	int rc;

	if (!extent || !whole) {
		rc = px_fail(PX_ENOMEM, "no private memory for an extent's books");
		goto fail;
	}
	rc = arena->source.get(arena->source.ctx, bytes, earnest, &extent->offset, &extent->bytes);
	arena->refused = rc == PX_ENOMEM;
	if (rc < 0)
		goto fail;
	extent->starts = calloc(words_of(extent->bytes), sizeof(uint64_t));
	PX_KILLPOINT("arena.extent.got"); /* dead here: the sweep takes it back */
	rc = extent->starts ? extent_map(arena, extent) :
			      px_fail(PX_ENOMEM, "no private memory for an extent's books");
	if (rc < 0) {
		arena->source.put(arena->source.ctx, extent->offset, extent->bytes);
		goto fail;
	}
	whole->extent = extent;
	whole->offset = extent->offset;
	whole->bytes = extent->bytes;
	extent->first = whole;
	extent->next = arena->extents;
	arena->extents = extent;
	bin_push(arena, whole);
	return 0;

fail:
	free(whole);
	if (extent)
		free(extent->starts);
	free(extent);
	return rc;
}

/*
 * Twice the last extent, or what is needed if that is more; only what is needed if that much
 * cannot be had.
 */
static int extents_grow(struct px_arena *arena, uint64_t bytes)
{
	uint64_t need = up(bytes, PX_UNIT_BYTES);
	uint64_t want = arena->next_bytes > need ? arena->next_bytes : need;
	int rc = extent_get(arena, want, false);

	if (rc == PX_ENOMEM && want > need)
		rc = extent_get(arena, need, false);
	if (rc == 0 && arena->next_bytes < EXTENT_MAX_BYTES)
		arena->next_bytes *= 2;
	return rc;
}

/* The books; the memory stays mapped. */
static void extent_free(struct px_extent *extent)
{
	while (extent->first) {
		struct px_arena_block *block = extent->first;

		extent->first = block->behind;
		free(block);
	}
	free(extent->starts);
	free(extent);
}

/* Whole units that no block covers any more. */
static uint64_t give_back(struct px_arena *arena, uint64_t offset, uint8_t *at, uint64_t bytes)
{
	(void)px_segment_punch_mapped(at, bytes);
	px_segment_unmap(at, bytes);
	PX_KILLPOINT("arena.trim.punched"); /* dead here: the sweep takes it back */
	arena->source.put(arena->source.ctx, offset, bytes);
	return bytes;
}

/* The free units at the end of an extent in use: a few small blocks, for rings, would keep all of a large one. */
static uint64_t trim_tail(struct px_arena *arena, struct px_extent *extent)
{
	struct px_arena_block *tail = extent->first;
	uint64_t keep, bytes;

	while (tail->behind)
		tail = tail->behind;
	if (tail->used)
		return 0;
	keep = up(tail->offset - extent->offset, PX_UNIT_BYTES);
	if (keep >= extent->bytes)
		return 0;
	bytes = extent->bytes - keep;
	bin_remove(arena, tail);
	tail->bytes -= bytes;
	if (tail->bytes) {
		bin_push(arena, tail);
	} else {
		tail->before->behind = NULL;
		free(tail);
	}
	extent->bytes = keep;
	return give_back(arena, extent->offset + keep, extent->at + keep, bytes);
}

/* With the lock. As px_arena_trim(). */
static uint64_t trim(struct px_arena *arena, uint64_t keep_bytes)
{
	uint64_t kept = 0, given = 0;
	struct px_extent **place;

	for (place = &arena->extents; *place;) {
		struct px_extent *extent = *place;
		uint64_t offset = extent->offset, bytes = extent->bytes;
		uint8_t *at = extent->at;

		if (extent->first->used || extent->first->behind) {
			given += keep_bytes ? 0 : trim_tail(arena, extent);
			place = &extent->next;
			continue;
		}
		if (kept + bytes <= keep_bytes) {
			kept += bytes;
			place = &extent->next;
			continue;
		}
		*place = extent->next;
		bin_remove(arena, extent->first);
		extent_free(extent);
		given += give_back(arena, offset, at, bytes);
	}
	if (!arena->extents)
		arena->next_bytes = PX_UNIT_BYTES;
	arena->given_back_bytes += given;
	return given;
}

/* --- blocks --- */

static void insert_behind(struct px_arena_block *block, struct px_arena_block *fresh)
{
	fresh->extent = block->extent;
	fresh->before = block;
	fresh->behind = block->behind;
	if (block->behind)
		block->behind->before = fresh;
	block->behind = fresh;
}

/* Cuts a free block at offset; the block keeps the front, the rest is free too. */
static int cut(struct px_arena *arena, struct px_arena_block *block, uint64_t offset,
	       struct px_arena_block **rest)
{
	struct px_arena_block *fresh = calloc(1, sizeof(*fresh));

	if (!fresh)
		return px_fail(PX_ENOMEM, "no private memory for a region's books");
	bin_remove(arena, block);
	fresh->offset = offset;
	fresh->bytes = block->offset + block->bytes - offset;
	block->bytes = offset - block->offset;
	insert_behind(block, fresh);
	bin_push(arena, block);
	bin_push(arena, fresh);
	*rest = fresh;
	return 0;
}

/* Joins a block that is in no bin with the one behind it, likewise. */
static void absorb_behind(struct px_arena_block *block)
{
	struct px_arena_block *gone = block->behind;

	block->bytes += gone->bytes;
	block->behind = gone->behind;
	if (gone->behind)
		gone->behind->before = block;
	free(gone);
}

/* Makes a block that is in no bin a free one, as long as it can be. */
static void set_free(struct px_arena *arena, struct px_arena_block *block)
{
	block->used = false;
	if (block->behind && !block->behind->used) {
		bin_remove(arena, block->behind);
		absorb_behind(block);
	}
	if (block->before && !block->before->used) {
		block = block->before;
		bin_remove(arena, block);
		absorb_behind(block);
	}
	bin_push(arena, block);
}

/* For displays: the two words need not be of the same moment. */
static void publish_usage(struct px_arena *arena)
{
	atomic_store_explicit(&arena->usage->used, arena->used_bytes, memory_order_relaxed);
	atomic_store_explicit(&arena->usage->given_back, arena->given_back_bytes,
			      memory_order_relaxed);
}

static int take(struct px_arena *arena, uint64_t bytes, uint64_t align, bool earnest,
		struct px_arena_block **out)
{
	struct px_arena_block *block = find_free(arena, bytes, align), *rest;
	uint64_t start;
	int rc;

	if (!block) {
		rc = extents_grow(arena, bytes);
		if (rc == PX_ENOMEM && trim(arena, 0) > 0)
			rc = extents_grow(arena, bytes);
		if (rc == PX_ENOMEM && arena->refused && earnest)
			rc = extent_get(arena, up(bytes, PX_UNIT_BYTES), true);
		if (rc < 0)
			return rc;
		block = find_free(arena, bytes, align);
		assert(block); /* an extent begins with a page */
	}
	start = up(block->offset, align);
	if (start > block->offset) {
		rc = cut(arena, block, start, &block);
		if (rc < 0)
			return rc;
	}
	if (block->bytes > bytes) {
		rc = cut(arena, block, start + bytes, &rest);
		if (rc < 0) {
			bin_remove(arena, block);
			set_free(arena, block);
			return rc;
		}
	}
	bin_remove(arena, block);
	hash_grow(arena);
	hash_add(arena, block);
	arena->used_bytes += bytes;
	block->region = NULL;
	*out = block;
	return 0;
}

/* --- the arena --- */

int px_arena_new(struct px_segment *segment, struct px_extent_source source,
		 struct px_usage_shm *usage, struct px_arena **out)
{
	struct px_arena *arena = calloc(1, sizeof(*arena));

	if (arena)
		arena->hash = calloc(HASH_START, sizeof(struct px_arena_block *));
	if (!arena || !arena->hash) {
		free(arena);
		return px_fail(PX_ENOMEM, "no private memory for an arena");
	}
	arena->segment = segment;
	arena->source = source;
	arena->usage = usage;
	arena->hash_size = HASH_START;
	arena->next_bytes = PX_UNIT_BYTES;
	pthread_mutex_init(&arena->lock, NULL);
	*out = arena;
	return 0;
}

void px_arena_free(struct px_arena *arena)
{
	if (!arena)
		return;
	while (arena->extents) {
		struct px_extent *extent = arena->extents;

		arena->extents = extent->next;
		px_segment_unmap(extent->at, extent->bytes);
		extent_free(extent);
	}
	free(arena->hash);
	pthread_mutex_destroy(&arena->lock);
	free(arena);
}

/* Of a region's offset and size. */
static uint64_t alignment(uint64_t bytes)
{
	return bytes >= PX_REGION_LARGE_BYTES ? PX_PAGE_BYTES : PX_LINE_BYTES;
}

/* With the lock, but not while the source reclaims. */
static int take_in_earnest(struct px_arena *arena, uint64_t bytes, uint64_t align, bool reclaims,
			   struct px_arena_block **out)
{
	int rc;

	if (reclaims && arena->source.reclaim) {
		rc = take(arena, bytes, align, false, out);
		if (rc != PX_ENOMEM || !arena->refused)
			return rc;
		pthread_mutex_unlock(&arena->lock);
		arena->source.reclaim(arena->source.ctx);
		pthread_mutex_lock(&arena->lock);
	}
	return take(arena, bytes, align, true, out);
}

int px_arena_get(struct px_arena *arena, uint64_t bytes, enum px_arena_how how, uint64_t *offset,
		 void **at)
{
	uint64_t align = alignment(bytes);
	struct px_arena_block *block;
	int rc;

	if (bytes == 0 || bytes > arena->segment->arena_bytes)
		return px_fail(
			bytes ? PX_ENOMEM : PX_EINVAL,
			"a region of %llu MiB: the arena has %llu MiB in all; raise `arena:` "
			"in the profile, or --arena (C: arena_bytes)",
			(unsigned long long)(bytes >> 20),
			(unsigned long long)(arena->segment->arena_bytes >> 20));
	bytes = up(bytes, align);
	pthread_mutex_lock(&arena->lock);
	rc = how == PX_ARENA_TRY ?
		     take(arena, bytes, align, false, &block) :
		     take_in_earnest(arena, bytes, align, how == PX_ARENA_RECLAIM, &block);
	publish_usage(arena);
	if (rc == 0) {
		*offset = block->offset;
		*at = block->extent->at + (block->offset - block->extent->offset);
	}
	pthread_mutex_unlock(&arena->lock);
	return rc;
}

void px_arena_put(struct px_arena *arena, uint64_t offset, uint64_t bytes)
{
	struct px_arena_block *block;

	pthread_mutex_lock(&arena->lock);
	block = hash_take(arena, offset);
	assert(block->bytes == up(bytes, alignment(bytes)));
	arena->used_bytes -= block->bytes;
	set_free(arena, block);
	publish_usage(arena);
	pthread_mutex_unlock(&arena->lock);
}

uint64_t px_arena_trim(struct px_arena *arena, uint64_t keep_bytes)
{
	uint64_t given;

	pthread_mutex_lock(&arena->lock);
	given = trim(arena, keep_bytes);
	publish_usage(arena);
	pthread_mutex_unlock(&arena->lock);
	return given;
}

void px_arena_trim_if_idle(struct px_arena *arena)
{
	if (pthread_mutex_trylock(&arena->lock) != 0)
		return;
	(void)trim(arena, 0);
	publish_usage(arena);
	pthread_mutex_unlock(&arena->lock);
}

void px_arena_usage(struct px_arena *arena, struct px_arena_usage *out)
{
	*out = (struct px_arena_usage){ 0 };
	pthread_mutex_lock(&arena->lock);
	for (struct px_extent *e = arena->extents; e; e = e->next) {
		out->extents++;
		out->extent_bytes += e->bytes;
	}
	out->used_bytes = arena->used_bytes;
	out->given_back_bytes = arena->given_back_bytes;
	out->regions = atomic_load_explicit(&arena->regions, memory_order_relaxed);
	pthread_mutex_unlock(&arena->lock);
}
