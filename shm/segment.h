/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment.h - the one piece of shared memory of a pool.
 *
 * Who:     the supervisor creates it, members attach by descriptor.
 * Where:   a file in /dev/shm that never had a name (O_TMPFILE: shm_open(3) would have one until
 *          it is unlinked); a sealed memfd where /dev/shm is smaller than the arena; a file on a
 *          mount of its own for huge pages. Nothing is left behind, whichever process is killed
 *          at whatever moment.
 * Blocks:  never.
 * Death:   the kernel frees the pages with the last descriptor and mapping.
 *
 * Code of users may truncate any descriptor that it finds open for writing, and who reads pages of a
 * file that has become shorter dies of SIGBUS; a file in /dev/shm cannot be sealed against that. So
 * the supervisor alone, which runs no such code, keeps a descriptor that can write. Who attaches
 * maps the whole segment by it, and keeps one that can only read. Writable windows are duplicates
 * of parts of that map (mremap(2) with an old size of 0), and the pages of a window are reserved and
 * given back by madvise(2), which needs no descriptor.
 *
 * What needs the descriptor is PX_ECLOSED, in words, once code of the user has closed it.
 *
 * Writable maps of blocks and bells are MADV_DONTFORK, and the read-only map as
 * well: a child of a member has neither.
 */
#ifndef PX_SEGMENT_H
#define PX_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "shm/descriptor.h"
#include "shm/huge.h"
#include "shm/layout.h"

struct px_segment {
	int fd;        /* to read, or also to write: */
	bool writable; /* of the creator, and of who attached where the kernel leaves no choice */
	struct px_descriptor_id file; /* what fd is, until code of the user closes it */
	const uint8_t *base;          /* the whole segment, read-only */
	/* Copies made when the header was checked; sizes are never read from there again. */
	uint64_t total_bytes, arena_offset, arena_bytes, blocks_offset;
	const struct px_header_shm *header;
	const struct px_member_shm *members; /* [PX_MEMBERS_MAX] */
	const struct px_engine_shm *engines; /* [PX_ENGINES_MAX] */
	const _Atomic uint16_t *units; /* [arena_bytes / PX_UNIT_BYTES]: owner's slot + 1, or 0 */
	struct px_doorbell_shm *bells; /* [PX_MEMBERS_MAX], writable */
	struct px_head_rw {            /* the supervisor's writable map of the head, else NULL */
		struct px_header_shm *header;
		struct px_member_shm *members;
		struct px_engine_shm *engines;
		_Atomic uint16_t *units;
	} rw;
	bool memfd;
	bool no_duplicates; /* mremap(2) makes none: windows are mapped by the descriptor */
	enum px_huge huge;
};

/* What to make it of. Without huge pages it is as SHM, and where /dev/shm is too small as MEMFD. */
enum px_segment_kind { PX_SEGMENT_SHM, PX_SEGMENT_MEMFD, PX_SEGMENT_HUGE };

/*
 * Makes a segment with arena_bytes (rounded up to units) of address space for
 * arrays. Returns a new segment in *out: detach it.
 * PX_ENOMEM, PX_ESYSTEM.
 */
int px_segment_create(uint64_t arena_bytes, enum px_segment_kind kind, struct px_segment **out);
/*
 * Maps what someone else created; takes fd, which can write, on success, and keeps a descriptor with
 * a high number that can only read. PX_EVERSION if magic,
 * version, sizes or layout are not ours (the words say which), PX_ESYSTEM.
 */
int px_segment_attach(int fd, struct px_segment **out);
/* Unmaps and closes; NULL is fine. */
void px_segment_detach(struct px_segment *segment);

/* Maps [offset, offset + bytes) writable (whole pages), not to be inherited. PX_ESYSTEM. */
int px_segment_map(struct px_segment *segment, uint64_t offset, uint64_t bytes, void **out);
/* The same for memory of the arena, which children inherit: their parent's arrays lie there. */
int px_segment_map_arrays(struct px_segment *segment, uint64_t offset, uint64_t bytes, void **out);
/* Maps the range MAP_PRIVATE: writable, and what is written stays here. PX_ESYSTEM. */
int px_segment_map_private(struct px_segment *segment, uint64_t offset, uint64_t bytes, void **out);
/*
 * Makes memory that px_segment_map_arrays() mapped private at the same address, and shared again:
 * what is written while it is private stays in this process, as after a fork, and is lost when it
 * is shared again. PX_ESYSTEM.
 */
int px_segment_make_private(struct px_segment *segment, uint64_t offset, uint64_t bytes, void *at);
int px_segment_make_shared(struct px_segment *segment, uint64_t offset, uint64_t bytes, void *at);
/* Drops what was written to a private map: it shows the segment again. PX_ESYSTEM. */
int px_segment_clean_private(void *at, uint64_t bytes);
void px_segment_unmap(void *at, uint64_t bytes);
/* PX_ECLOSED if code of the user has closed the descriptor. */
int px_segment_check(const struct px_segment *segment);

/* --- pages.c --- */

/*
 * Reserves pages, so that touching them cannot fail. PX_ENOMEM in words that name the mount and its
 * size when /dev/shm (or memory) is full. Needs a writable descriptor.
 */
int px_segment_reserve(struct px_segment *segment, uint64_t offset, uint64_t bytes);
/*
 * The same for whole units of the arena that px_segment_map_arrays() has mapped at `at`, none of
 * which is reserved; huge pages where the segment may have them. Needs no descriptor. On failure
 * nothing is reserved.
 */
int px_segment_reserve_mapped(struct px_segment *segment, uint64_t offset, uint64_t bytes,
			      void *at);
/* Gives the pages back; they read as zero when reserved again. Needs a writable descriptor. */
int px_segment_punch(struct px_segment *segment, uint64_t offset, uint64_t bytes);
/* The same for pages mapped at `at`. Needs none. */
int px_segment_punch_mapped(void *at, uint64_t bytes);
/*
 * Has the kernel map reserved pages, as writing to each of them would, but in one go: 64 MiB of small pages
 * are mapped in 6 ms, and one by one in 19. What cannot be mapped so is mapped when it is written to.
 */
void px_segment_touch(void *at, uint64_t bytes);

/* --- what lies where --- */

static inline uint64_t px_segment_block_offset(const struct px_segment *segment, uint32_t slot)
{
	return segment->blocks_offset + (uint64_t)slot * sizeof(struct px_block_shm);
}
/* A peer's block, read-only. */
static inline const struct px_block_shm *px_segment_block(const struct px_segment *segment,
							  uint32_t slot)
{
	return (const void *)(segment->base + px_segment_block_offset(segment, slot));
}
/*
 * Whether [offset, offset + bytes) lies in the arena, bytes > 0, and every unit
 * of it belongs to `owner`. What another member names is checked by this.
 */
bool px_segment_owned(const struct px_segment *segment, uint64_t offset, uint64_t bytes,
		      uint32_t owner);

#endif
