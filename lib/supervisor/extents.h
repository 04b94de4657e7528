/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extents.h - which unit of the arena belongs to whom.
 *
 * Who:     the supervisor writes, at a member's request; all read.
 * Where:   one word a unit in the segment's extent map. Nothing else records it, so nothing can
 *          disagree.
 * Blocks:  never.
 * Death:   a member's units are freed by px_member_sweep().
 */
#ifndef PX_EXTENTS_H
#define PX_EXTENTS_H

#include "shm/segment.h"

struct px_extents {
	struct px_segment *segment;
	const char *root; /* of the kernel's files, as in cgroup.h */
	/* Units that are nobody's, and whose pages are there already, [ahead, ahead_end): see px_extents_touch(). */
	uint64_t ahead, ahead_end;
	uint64_t returned; /* how often any were taken back */
	/* Plus 1, when a member had all others asked to give back what they keep warm; 0: never. */
	uint64_t asked_at[PX_MEMBERS_MAX];
};

/*
 * The default size of the arena: half of the memory that is available now, at least one unit.
 */
uint64_t px_extents_default_bytes(const char *root);
/*
 * Gives whole units, at least bytes, to owner: those that were touched ahead if they suffice, else the lowest
 * that fit. The pages are not reserved yet: that is the owner's part. PX_EINVAL; PX_ENOMEM with need, have, where the limit
 * comes from and which setting changes it.
 */
int px_extents_get(struct px_extents *extents, uint32_t owner, uint64_t bytes, uint64_t *offset,
		   uint64_t *got);
/* PX_ENOMEM if a member with so many bytes more had more than the quota (0: no limit). */
int px_extents_quota(const struct px_extents *extents, uint32_t owner, uint64_t bytes,
		     uint64_t quota);
/* Takes them back, punched by the owner. PX_EINVAL: not whole units of its own; nothing is taken. */
int px_extents_put(struct px_extents *extents, uint32_t owner, uint64_t offset, uint64_t bytes);
/*
 * Has the pages of one more unit made, of those that are given next, unless `most` bytes are ahead, or a
 * sixteenth of what all limits leave. Returns whether it did. They go back when memory is refused for them.
 */
bool px_extents_touch(struct px_extents *extents, uint64_t most);
/* Bytes that belong to each slot, added to by_slot[PX_MEMBERS_MAX] unless NULL; returns the sum. */
uint64_t px_extents_used(const struct px_extents *extents, uint64_t *by_slot);
/* What an extent could have at most right now, with all limits looked at. */
struct px_budget;
void px_extents_budget(const struct px_extents *extents, struct px_budget *out);

#endif
