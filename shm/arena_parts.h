/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_parts.h - the books of an arena: what arena.c (extents, blocks) and region.c share.
 *
 * Who:     these two files, with the arena's lock. px_arena_mapped() reads without it in a forked
 *          child, where there is no other thread.
 * Where:   private memory.
 * Blocks:  on the lock.
 * Death:   of the process: nobody else sees them; the extent map in the segment says what was its.
 */
#ifndef PX_ARENA_PARTS_H
#define PX_ARENA_PARTS_H

#include <pthread.h>

#include "shm/region.h"

#define PX_ARENA_BINS 256

struct px_extent {
	struct px_extent *next;
	uint64_t offset, bytes;
	uint8_t *at;
	struct px_arena_block *first;
	uint64_t *starts; /* a bit for each page: a large region begins there */
};

struct px_arena_block {
	struct px_extent *extent;
	uint64_t offset, bytes;
	struct px_arena_block *before, *behind;         /* by address */
	struct px_arena_block *bin_before, *bin_behind; /* free blocks of a size */
	struct px_arena_block *hashed;                  /* used blocks */
	struct px_region *region; /* of a used one that is a large region, else NULL */
	bool used;
};

struct px_arena {
	struct px_segment *segment;
	struct px_extent_source source;
	pthread_mutex_t lock;
	struct px_extent *extents;
	uint64_t next_bytes; /* of the next extent */
	bool refused;        /* by the source, the last time */
	struct px_arena_block *bins[PX_ARENA_BINS];
	uint64_t bin_map[PX_ARENA_BINS / 64];
	struct px_arena_block **hash;
	uint64_t hash_size, used_count;
	uint64_t used_bytes, given_back_bytes;
	struct px_usage_shm *usage;
	_Atomic uint64_t regions;
};

/* With the lock: the block in use that begins there. A wrong offset is our own bug. */
struct px_arena_block *px_arena_used_block(const struct px_arena *arena, uint64_t offset);

#endif
