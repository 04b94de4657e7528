/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * member.c - who is on the segment, who is dead, and what may be freed.
 */
#include "shm/member.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shm/doorbell.h"
#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/os.h"

#define LOAD(word) atomic_load_explicit(&(word), memory_order_relaxed)
#define STORE(word, value) atomic_store_explicit(&(word), (value), memory_order_relaxed)

uint64_t px_member_start_time(int32_t pid)
{
	char path[32], line[1024];
	unsigned long long start = 0;
	size_t length;
	char *at;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	length = fread(line, 1, sizeof(line) - 1, file);
	fclose(file);
	line[length] = '\0';
	/* The command's name, field 2, may contain anything, lines too: count from its last ')'. */
	at = strrchr(line, ')');
	if (!at || sscanf(at + 1,
			  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			  "%*d %*d %llu",
			  &start) != 1)
		return 0;
	return start;
}

/* --- reading --- */

int px_member_read(const struct px_segment *segment, uint32_t slot, struct px_member *out)
{
	const struct px_member_shm *m;
	uint32_t epoch, state;

	if (slot >= PX_MEMBERS_MAX)
		return px_fail(PX_EINVAL, "there is no slot %u", slot);
	m = &segment->members[slot];
	do {
		/*
		 * SYNC member.state: acquire; partner: px_member_join(), px_member_live(),
		 * px_member_mark_dead(), free_slot().
		 */
		epoch = atomic_load_explicit(&m->epoch, memory_order_acquire);
		state = atomic_load_explicit(&m->state, memory_order_acquire);
		*out = (struct px_member){
			.id = { slot, epoch },
			.state = (enum px_member_state)state,
			.kind = (enum px_member_kind)LOAD(m->kind),
			.pid = LOAD(m->pid),
			.engine_id = LOAD(m->engine_id),
			.start_time = LOAD(m->start_time),
			.exit_signal = LOAD(m->exit_signal),
			.exit_code = LOAD(m->exit_code),
			.oom_killed = LOAD(m->oom_killed),
			.expected = LOAD(m->expected),
			.cause = { LOAD(m->cause_engine), LOAD(m->cause_pid), LOAD(m->cause_signal),
				   LOAD(m->cause_code) },
			.joined_ns = LOAD(m->joined_ns),
			.died_ns = LOAD(m->died_ns),
		};
		/* SYNC member.epoch: copied, then compared; partner: the fence in px_member_join(). */
		atomic_thread_fence(memory_order_acquire);
	} while (LOAD(m->epoch) != epoch || LOAD(m->state) != state);
	return 0;
}

bool px_member_alive(const struct px_segment *segment, struct px_member_id id)
{
	const struct px_member_shm *m = &segment->members[id.slot];

	/* SYNC member.dead: acquire; partner: the release in px_member_mark_dead(). */
	return atomic_load_explicit(&m->dead_epoch, memory_order_acquire) != id.epoch &&
	       atomic_load_explicit(&m->epoch, memory_order_acquire) == id.epoch;
}

/* --- links --- */

bool px_member_link_open(struct px_segment *segment, struct px_link_shm *own,
			 struct px_member_id peer)
{
	STORE(own->consumed_seq, PX_SEQ_START);
	STORE(own->released_seq, 0);
	STORE(own->begun_id, 0);
	STORE(own->read_seq, PX_SEQ_START);
	for (unsigned i = 0; i < PX_LEASES_MAX; i++)
		STORE(own->released[i], 0);
	/*
	 * SYNC link.epoch: release of all that the link holds; partner: retire_consumed(),
	 * producer_open(), px_producer_drained(), holder_knows_us(), begun_id(), open_link().
	 */
	atomic_store_explicit(&own->epoch, peer.epoch, memory_order_release);
	PX_KILLPOINT("member.link.stored"); /* dead here: links of the dead do not count */
	/*
	 * SYNC link.open: the link before the look whether the peer lives; partner: the
	 * fence in px_member_sweep(). One of the two sees the other.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	if (px_member_alive(segment, peer))
		return true;
	px_member_link_close(own);
	return false;
}

void px_member_link_close(struct px_link_shm *own)
{
	/* SYNC link.close: release of our last use; partner: link_to(). */
	atomic_store_explicit(&own->epoch, 0, memory_order_release);
	PX_KILLPOINT("member.link.closed"); /* dead here: links of the dead do not count */
}

/* --- the supervisor's side --- */

static uint64_t link_offset(const struct px_segment *segment, uint32_t of, uint32_t to)
{
	return px_segment_block_offset(segment, of) + offsetof(struct px_block_shm, links) +
	       (uint64_t)to * sizeof(struct px_link_shm);
}

/* Clients speak to engines only. */
static bool have_links(const struct px_segment *segment, uint32_t slot, enum px_member_kind kind)
{
	const struct px_member_shm *m = &segment->members[slot];

	return LOAD(m->state) != PX_SLOT_FREE && LOAD(m->kind) != (uint32_t)kind;
}

/* Whether it runs, and so may still read what a dead member left. */
static bool runs(const struct px_segment *segment, uint32_t slot)
{
	uint32_t state = LOAD(segment->members[slot].state);

	return state == PX_SLOT_LIVE || state == PX_SLOT_JOINING;
}

/*
 * Reserves the links between a member and its present peers. It will not open a link to a dead
 * peer, but px_member_sweep() reads that link to see whether it is open.
 */
static int reserve_links(struct px_segment *segment, uint32_t slot, enum px_member_kind kind,
			 uint32_t *peer)
{
	int rc = 0;

	for (*peer = 0; *peer < PX_MEMBERS_MAX; (*peer)++) {
		if (*peer == slot || !have_links(segment, *peer, kind))
			continue;
		rc = px_segment_reserve(segment, link_offset(segment, slot, *peer),
					sizeof(struct px_link_shm));
		if (rc == 0 && runs(segment, *peer))
			rc = px_segment_reserve(segment, link_offset(segment, *peer, slot),
						sizeof(struct px_link_shm));
		if (rc < 0)
			break;
	}
	return rc;
}

/* Whether a page among the links of a member holds a part of one that is in use. */
static bool page_in_use(const struct px_segment *segment, uint32_t of, uint64_t page)
{
	uint64_t links = link_offset(segment, of, 0);
	uint64_t first = (page - links) / sizeof(struct px_link_shm);
	uint64_t last = (page - links + PX_PAGE_BYTES - 1) / sizeof(struct px_link_shm);
	enum px_member_kind kind = (enum px_member_kind)LOAD(segment->members[of].kind);

	for (uint64_t to = first; to <= last && to < PX_MEMBERS_MAX; to++)
		if (have_links(segment, (uint32_t)to, kind))
			return true;
	return false;
}

/* What reserve_links() did up to `end`. The caller's slot is free. */
static void unreserve_links(struct px_segment *segment, uint32_t slot, enum px_member_kind kind,
			    uint32_t end)
{
	/*
	 * A peer that had a link to an earlier occupant may write to its own half once more
	 * before it learns of the death, so that half stays reserved, for the next occupant.
	 */
	if (LOAD(segment->members[slot].epoch) != 0)
		return;
	for (uint32_t peer = 0; peer <= end && peer < PX_MEMBERS_MAX; peer++) {
		uint64_t at = link_offset(segment, peer, slot);
		uint64_t page = at / PX_PAGE_BYTES * PX_PAGE_BYTES;

		if (peer == slot || !have_links(segment, peer, kind))
			continue;
		for (; page < at + sizeof(struct px_link_shm); page += PX_PAGE_BYTES)
			if (!page_in_use(segment, peer, page))
				(void)px_segment_punch(segment, page, PX_PAGE_BYTES);
	}
}

static int reserve_block(struct px_segment *segment, uint32_t slot, enum px_member_kind kind)
{
	uint64_t block = px_segment_block_offset(segment, slot);
	uint32_t peer;
	int rc = px_segment_reserve(segment, block, PX_PAGE_BYTES);

	if (rc == 0 && kind == PX_MEMBER_ENGINE)
		rc = px_segment_reserve(segment, block + offsetof(struct px_block_shm, crash),
					PX_CRASH_BYTES);
	if (rc < 0)
		goto no_memory;
	rc = reserve_links(segment, slot, kind, &peer);
	if (rc == 0)
		return 0;
	unreserve_links(segment, slot, kind, peer);
no_memory:
	(void)px_segment_punch(segment, block, sizeof(struct px_block_shm));
	return rc;
}

static int find_free_slot(const struct px_segment *segment, enum px_member_kind kind,
			  uint32_t *slot)
{
	uint32_t clients = 0, lowest = PX_MEMBERS_MAX;

	for (uint32_t i = 0; i < PX_MEMBERS_MAX; i++) {
		const struct px_member_shm *m = &segment->members[i];

		if (LOAD(m->state) != PX_SLOT_FREE)
			clients += LOAD(m->kind) == PX_MEMBER_CLIENT;
		else if (lowest == PX_MEMBERS_MAX)
			lowest = i;
	}
	if (kind == PX_MEMBER_CLIENT && clients >= PX_CLIENTS_MAX)
		return px_fail(PX_ENOMEM, "all %d places for clients are taken: close some",
			       PX_CLIENTS_MAX);
	if (lowest == PX_MEMBERS_MAX)
		return px_fail(PX_ENOMEM, "all %d places for clients and engines are taken",
			       PX_MEMBERS_MAX);
	*slot = lowest;
	return 0;
}

int px_member_join(struct px_segment *segment, enum px_member_kind kind, int32_t engine_id,
		   struct px_member_id *out)
{
	struct px_member_shm *m = segment->rw.members;
	uint32_t slot = 0, epoch;
	int rc = find_free_slot(segment, kind, &slot);

	if (rc == 0)
		rc = reserve_block(segment, slot, kind);
	if (rc < 0)
		return rc;
	m += slot;
	epoch = LOAD(m->epoch) + 1;
	if (epoch == 0) /* 0 means: no link */
		epoch = 1;
	STORE(segment->bells[slot].asleep, 0);
	/*
	 * SYNC member.epoch: changed before all else, so that no reader takes a mixture of two
	 * occupants for the last one; partner: the fence in px_member_read().
	 */
	STORE(m->epoch, epoch);
	PX_KILLPOINT("member.join.epoch"); /* dead here: so is the pool */
	atomic_thread_fence(memory_order_release);
	STORE(m->kind, kind);
	STORE(m->engine_id, engine_id);
	STORE(m->pid, 0);
	STORE(m->start_time, 0);
	STORE(m->exit_signal, 0);
	STORE(m->exit_code, 0);
	STORE(m->oom_killed, 0);
	STORE(m->expected, 0);
	STORE(m->cause_pid, 0);
	STORE(m->joined_ns, px_os.now_ns());
	STORE(m->died_ns, 0);
	/* SYNC member.state: release of all that; partner: the acquire in px_member_read(). */
	atomic_store_explicit(&m->state, PX_SLOT_JOINING, memory_order_release);
	PX_KILLPOINT("member.join.visible"); /* dead here: the pool ends */
	*out = (struct px_member_id){ slot, epoch };
	return 0;
}

void px_member_live(struct px_segment *segment, struct px_member_id id, int32_t pid)
{
	struct px_member_shm *m = &segment->rw.members[id.slot];

	if (LOAD(m->epoch) != id.epoch || LOAD(m->state) != PX_SLOT_JOINING)
		return;
	STORE(m->pid, pid);
	STORE(m->start_time, px_member_start_time(pid));
	/* SYNC member.state: release; partner: the acquire in px_member_read(). */
	atomic_store_explicit(&m->state, PX_SLOT_LIVE, memory_order_release);
	PX_KILLPOINT("member.live.visible"); /* dead here: the pool ends */
}

void px_member_mark_dead(struct px_segment *segment, struct px_member_id id,
			 const struct px_death *death)
{
	struct px_member_shm *m = &segment->rw.members[id.slot];

	if (LOAD(m->epoch) != id.epoch || !runs(segment, id.slot))
		return;
	if (LOAD(m->dead_epoch) != id.epoch) {
		STORE(m->exit_signal, death->exit_signal);
		STORE(m->exit_code, death->exit_code);
		STORE(m->oom_killed, death->oom_killed);
		STORE(m->expected, death->expected);
		STORE(m->cause_engine, death->cause.engine);
		STORE(m->cause_signal, death->cause.exit_signal);
		STORE(m->cause_code, death->cause.exit_code);
		STORE(m->cause_pid, death->cause.pid);
		STORE(m->died_ns, px_os.now_ns());
		/* SYNC member.dead: release of why; partner: the acquire in px_member_alive(). */
		atomic_store_explicit(&m->dead_epoch, id.epoch, memory_order_release);
		PX_KILLPOINT("member.dead.stored"); /* dead here: the pool ends */
	}
	/* SYNC member.state: release; partner: the acquire in px_member_read(). */
	atomic_store_explicit(&m->state, PX_SLOT_DEAD, memory_order_release);
	PX_KILLPOINT("member.dead.visible"); /* dead here: the pool ends */
}

/*
 * Whether a living member may still look at what the dead one left. Only links that are
 * reserved are looked at: reading a hole makes a page, or SIGBUS where none is left.
 */
static bool link_to(const struct px_segment *segment, uint32_t dead)
{
	uint32_t epoch = LOAD(segment->members[dead].epoch);
	enum px_member_kind kind = (enum px_member_kind)LOAD(segment->members[dead].kind);

	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		/* SYNC link.close: acquire; partner: the release in px_member_link_close(). */
		if (slot != dead && have_links(segment, slot, kind) && runs(segment, slot) &&
		    atomic_load_explicit(&px_segment_block(segment, slot)->links[dead].epoch,
					 memory_order_acquire) == epoch)
			return true;
	return false;
}

static int punch_units(struct px_segment *segment, uint32_t owner)
{
	uint64_t count = segment->arena_bytes / PX_UNIT_BYTES;
	int rc = 0;

	for (uint64_t unit = 0; unit < count && rc == 0; unit++) {
		uint64_t first = unit;

		while (unit < count && LOAD(segment->units[unit]) == owner + 1)
			unit++;
		if (unit > first)
			rc = px_segment_punch(segment,
					      segment->arena_offset + first * PX_UNIT_BYTES,
					      (unit - first) * PX_UNIT_BYTES);
	}
	return rc;
}

static uint64_t disown_units(struct px_segment *segment, uint32_t owner)
{
	uint64_t count = segment->arena_bytes / PX_UNIT_BYTES, freed = 0;

	for (uint64_t unit = 0; unit < count; unit++) {
		if (LOAD(segment->units[unit]) != owner + 1)
			continue;
		/* SYNC extent.owner: release; partner: the acquire in px_segment_owned(). */
		atomic_store_explicit(&segment->rw.units[unit], 0, memory_order_release);
		freed++;
	}
	return freed;
}

/*
 * The pages are freed before the words that say whose they were, and the words before the state:
 * a sweep that starts over after any step finds what is left to do. The next occupant relies on
 * zeros, so a slot whose pages cannot be freed stays dead.
 */
static int free_slot(struct px_segment *segment, uint32_t slot, uint64_t *units)
{
	struct px_member_shm *m = &segment->rw.members[slot];
	int rc = punch_units(segment, slot);

	if (rc == 0)
		rc = px_segment_punch(segment, px_segment_block_offset(segment, slot),
				      sizeof(struct px_block_shm));
	if (rc < 0)
		return rc;
	*units = disown_units(segment, slot);
	PX_KILLPOINT("member.sweep.units"); /* dead here: the pool ends */
	/* SYNC member.state: release; partner: the acquire in px_member_read(). */
	atomic_store_explicit(&m->state, PX_SLOT_FREE, memory_order_release);
	PX_KILLPOINT("member.sweep.freed"); /* dead here: the pool ends */
	return 0;
}

int px_member_sweep(struct px_segment *segment,
		    void (*freed)(void *ctx, uint32_t slot, uint64_t units), void *ctx)
{
	int left = 0;

	/* SYNC link.open: deaths before the look at links; partner: px_member_link_open(). */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++) {
		uint64_t units;

		if (LOAD(segment->members[slot].state) != PX_SLOT_DEAD)
			continue;
		if (link_to(segment, slot) || free_slot(segment, slot, &units) < 0) {
			left++;
			continue;
		}
		if (freed)
			freed(ctx, slot, units);
	}
	return left;
}

void px_member_wake_all(struct px_segment *segment)
{
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (LOAD(segment->members[slot].state) != PX_SLOT_FREE)
			px_doorbell_wake(&segment->bells[slot]);
}

void px_member_announce(struct px_segment *segment)
{
	/* SYNC members.seq: release; partner: look_at_members(), px_client_read_all(). */
	atomic_fetch_add_explicit(&segment->rw.header->members_seq, 1, memory_order_release);
	PX_KILLPOINT("member.announce.counted"); /* dead here: the pool ends */
	/* Announced or not: one that has died may have taken the announcement, and not rung. */
	px_member_wake_all(segment);
}
