/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extents.c - hands out units of the arena.
 */
#include "supervisor/extents.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include "machine/budget.h"
#include "shm/error.h"
#include "shm/killpoint.h"

#define UNIT ((uint64_t)PX_UNIT_BYTES)

static uint64_t units_count(const struct px_extents *extents)
{
	return extents->segment->arena_bytes / UNIT;
}

static uint32_t owner_of(const struct px_extents *extents, uint64_t unit)
{
	/* Our own writes: no order is needed. */
	return atomic_load_explicit(&extents->segment->rw.units[unit], memory_order_relaxed);
}

uint64_t px_extents_used(const struct px_extents *extents, uint64_t *by_slot)
{
	uint64_t used = 0;

	for (uint64_t unit = 0; unit < units_count(extents); unit++) {
		uint32_t owner = owner_of(extents, unit);

		if (!owner)
			continue;
		used += UNIT;
		if (by_slot)
			by_slot[owner - 1] += UNIT;
	}
	return used;
}

uint64_t px_extents_default_bytes(const char *root)
{
	struct px_budget budget;

	px_budget_begin(&budget, UINT64_MAX, UINT64_MAX);
	px_budget_memory(&budget, root, 0);
	/* If the kernel does not say: assume a small machine. */
	if (budget.have == UINT64_MAX)
		return UINT64_C(1) << 30;
	return budget.have / 2 > UNIT ? budget.have / 2 : UNIT;
}

static uint64_t ahead_bytes(const struct px_extents *extents)
{
	return (extents->ahead_end - extents->ahead) * UNIT;
}

/*
 * Bytes that were granted but not reserved yet, by comparison with what the file occupies. That
 * includes the head and the blocks, so this is wrong by their few MiB.
 */
static uint64_t promised(const struct px_extents *extents, uint64_t used)
{
	struct stat st;
	uint64_t reserved;

	if (fstat(extents->segment->fd, &st) < 0)
		return 0;
	reserved = (uint64_t)st.st_blocks * 512;
	used += ahead_bytes(extents);
	return used > reserved ? used - reserved : 0;
}

void px_extents_budget(const struct px_extents *extents, struct px_budget *out)
{
	uint64_t used = px_extents_used(extents, NULL);
	uint64_t owed = promised(extents, used);
	struct statvfs fs;

	px_budget_begin(out, extents->segment->arena_bytes - used, extents->segment->arena_bytes);
	px_budget_memory(out, extents->root, owed);
	/* A memfd is on the kernel's own mount, which has no size limit. */
	if (!extents->segment->memfd && fstatvfs(extents->segment->fd, &fs) == 0 && fs.f_blocks) {
		uint64_t have = (uint64_t)fs.f_bavail * fs.f_frsize;

		px_budget_mount(out, have > owed ? have - owed : 0,
				(uint64_t)fs.f_blocks * fs.f_frsize);
	}
}

/* The lowest free run of `want` units; *longest is the longest that was seen. */
static bool find_run(const struct px_extents *extents, uint64_t want, uint64_t *first,
		     uint64_t *longest)
{
	uint64_t run = 0;

	*longest = 0;
	for (uint64_t unit = 0; unit < units_count(extents); unit++) {
		run = owner_of(extents, unit) ? 0 : run + 1;
		if (run > *longest)
			*longest = run;
		if (run == want) {
			*first = unit + 1 - want;
			return true;
		}
	}
	return false;
}

static void set_owner(struct px_extents *extents, uint64_t first, uint64_t count, uint32_t word)
{
	for (uint64_t unit = first; unit < first + count; unit++)
		/* SYNC extent.owner: release; partner: the acquire in px_segment_owned(). */
		atomic_store_explicit(&extents->segment->rw.units[unit], (uint16_t)word,
				      memory_order_release);
}

/* --- what is touched ahead */

/* A unit of it, as its owner will do; it stays unmapped here. */
static int make_pages(struct px_extents *extents, uint64_t unit)
{
	uint64_t offset = extents->segment->arena_offset + unit * UNIT;
	void *at;
	int rc = px_segment_map(extents->segment, offset, UNIT, &at);

	if (rc < 0)
		return rc;
	rc = px_segment_reserve_mapped(extents->segment, offset, UNIT, at);
	px_segment_unmap(at, UNIT);
	return rc;
}

bool px_extents_touch(struct px_extents *extents, uint64_t most)
{
	uint64_t have = ahead_bytes(extents), longest;
	struct px_budget budget;

	px_extents_budget(extents, &budget);
	if (have + UNIT > most || have + UNIT > (budget.have + have) / 16)
		return false;
	if (have == 0) {
		if (!find_run(extents, most / UNIT, &extents->ahead, &longest))
			return false;
		extents->ahead_end = extents->ahead;
	}
	if (extents->ahead_end == units_count(extents) || owner_of(extents, extents->ahead_end) ||
	    make_pages(extents, extents->ahead_end) < 0)
		return false;
	extents->ahead_end++;
	return true;
}

static void give_back_ahead(struct px_extents *extents)
{
	(void)px_segment_punch(extents->segment,
			       extents->segment->arena_offset + extents->ahead * UNIT,
			       ahead_bytes(extents));
	extents->ahead = extents->ahead_end = 0;
}

/* Of the units that are given now. They begin at or below those ahead, or end before, or are above. */
static void take_from_ahead(struct px_extents *extents, uint64_t first, uint64_t count)
{
	uint64_t end = first + count;

	if (first > extents->ahead || end <= extents->ahead)
		return;
	extents->ahead = end < extents->ahead_end ? end : extents->ahead_end;
}

/* --- giving and taking back */

int px_extents_get(struct px_extents *extents, uint32_t owner, uint64_t bytes, uint64_t *offset,
		   uint64_t *got)
{
	uint64_t first = extents->ahead, longest, want, need;
	struct px_budget budget;

	if (bytes == 0)
		return px_fail(PX_EINVAL, "an extent of 0 bytes");
	px_extents_budget(extents, &budget);
	want = bytes / UNIT + (bytes % UNIT > 0);
	if (want > budget.have / UNIT && ahead_bytes(extents)) {
		give_back_ahead(extents);
		px_extents_budget(extents, &budget);
	}
	if (want > budget.have / UNIT)
		return px_budget_refuse(&budget, bytes);
	need = want * UNIT;
	if (need > ahead_bytes(extents) && !find_run(extents, want, &first, &longest))
		return px_fail(
			PX_ENOMEM,
			"needs %llu MiB in one piece, and of the %llu MiB that the arena has "
			"free the largest piece has %llu: raise arena: in the profile, or let "
			"go of arrays",
			(unsigned long long)(need >> 20), (unsigned long long)(budget.have >> 20),
			(unsigned long long)(longest * UNIT >> 20));
	take_from_ahead(extents, first, want);
	set_owner(extents, first, want, owner + 1);
	PX_KILLPOINT("supervisor.extent.granted"); /* dead here: the pool ends */
	*offset = extents->segment->arena_offset + first * UNIT;
	*got = need;
	return 0;
}

int px_extents_quota(const struct px_extents *extents, uint32_t owner, uint64_t bytes,
		     uint64_t quota)
{
	uint64_t by_slot[PX_MEMBERS_MAX] = { 0 };

	if (!quota)
		return 0;
	(void)px_extents_used(extents, by_slot);
	if (bytes <= quota && by_slot[owner] <= quota - bytes)
		return 0;
	return px_fail(
		PX_ENOMEM,
		"needs %llu MiB, and this client has %llu of the %llu MiB that one may have: let "
		"go of arrays, raise quota: in the profile, or start the pool with --quota (C: quota_bytes)",
		(unsigned long long)((bytes + (1 << 20) - 1) >> 20),
		(unsigned long long)(by_slot[owner] >> 20), (unsigned long long)(quota >> 20));
}

int px_extents_put(struct px_extents *extents, uint32_t owner, uint64_t offset, uint64_t bytes)
{
	uint64_t from = offset - extents->segment->arena_offset;

	if (!px_segment_owned(extents->segment, offset, bytes, owner) || from % UNIT ||
	    bytes % UNIT)
		return px_fail(PX_EINVAL,
			       "%llu bytes at offset %llu are not whole units of this member's",
			       (unsigned long long)bytes, (unsigned long long)offset);
	set_owner(extents, from / UNIT, bytes / UNIT, 0);
	extents->returned++;
	PX_KILLPOINT("supervisor.extent.returned"); /* dead here: the pool ends */
	return 0;
}
