/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena.h - a member's own array memory: extents cut into regions.
 *
 * Who:     one member, any of its threads (a private mutex).
 * Where:   pages in the segment; all bookkeeping in private memory, so that no
 *          peer can damage it and a death leaves nothing half done.
 * Blocks:  while the supervisor grants an extent.
 * Death:   the extents are freed by the supervisor's sweep.
 *
 * Extents are whole units, reserved when they are got, so that a full /dev/shm is an error here and
 * never SIGBUS later. Sizes double from one unit. Where there is no more memory, wholly free extents
 * are given back and it is tried again; then it is asked for in earnest. Freed regions are used again
 * last-in first-out, warm. A region is aligned to 64 bytes, from PX_REGION_LARGE_BYTES on to a page,
 * and padded alike.
 */
#ifndef PX_ARENA_H
#define PX_ARENA_H

#include "shm/segment.h"

/* How to get extents. The supervisor keeps the budget; the text of its refusal is passed on. */
struct px_extent_source {
	/*
	 * A range of whole units, >= bytes, now owned by us in the extent map. PX_ENOMEM. Only what is
	 * needed, and in no other way to be had, is asked for in earnest: others may be asked to give
	 * memory back for it.
	 */
	int (*get)(void *ctx, uint64_t bytes, bool earnest, uint64_t *offset, uint64_t *got);
	void (*put)(void *ctx, uint64_t offset, uint64_t bytes);
	/* Frees regions that peers have let go of, if there are any: before it is asked in earnest. NULL. */
	void (*reclaim)(void *ctx);
	void *ctx;
};

struct px_arena;

/* usage: where it publishes its counters, in shared memory or anywhere else. */
int px_arena_new(struct px_segment *segment, struct px_extent_source source,
		 struct px_usage_shm *usage, struct px_arena **out);
/* Frees its books; extents are not given back, since the process is about to end. */
void px_arena_free(struct px_arena *arena);
/*
 * Around a fork. Regions that are shown and not live become private in parent and child: as with
 * any memory, neither sees what the other writes from now on. Nothing is copied.
 */
void px_arena_before_fork(struct px_arena *arena);
void px_arena_after_fork(struct px_arena *arena);

enum px_arena_how {
	PX_ARENA_TRY,     /* other memory will do: nobody is asked for this in earnest */
	PX_ARENA_EARNEST, /* for a caller with a lock that the source's reclaim() needs */
	PX_ARENA_RECLAIM, /* after the source has reclaimed what it could, in earnest */
};
/* For rings: the same memory without the handle. */
int px_arena_get(struct px_arena *arena, uint64_t bytes, enum px_arena_how how, uint64_t *offset,
		 void **at);
void px_arena_put(struct px_arena *arena, uint64_t offset, uint64_t bytes);

/*
 * Gives wholly free extents back to the source, but keeps `keep_bytes` of them warm; if that is 0, free units at
 * the end of others as well. Returns the bytes given back.
 */
uint64_t px_arena_trim(struct px_arena *arena, uint64_t keep_bytes);
/* All of them; but nothing if another thread has the arena: it may be asking the source, which can take long. */
void px_arena_trim_if_idle(struct px_arena *arena);

/* Bytes from an address to the end of the extent that it lies in, 0: in none. Takes no lock. */
uint64_t px_arena_mapped(const struct px_arena *arena, const void *at);

struct px_arena_usage {
	uint64_t extents, extent_bytes, used_bytes, given_back_bytes, regions;
};
void px_arena_usage(struct px_arena *arena, struct px_arena_usage *out);

#endif
