/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lease.c - lends regions, and finds out that they came back.
 */
#include "shm/lease.h"

#include <stdlib.h>

#include "shm/doorbell.h"
#include "shm/error.h"
#include "shm/killpoint.h"

#define NO_ROW UINT16_MAX
#define LASTING_MAX (PX_LEASES_MAX - PX_LEASES_BRIEF)
_Static_assert(PX_LEASES_MAX < NO_ROW, "a row's number fits");

/* --- trackers --- */

struct px_tracker *px_tracker_new(void)
{
	struct px_tracker *tracker = calloc(1, sizeof(*tracker));

	if (tracker)
		atomic_init(&tracker->holds, 1);
	return tracker;
}

void px_tracker_release(struct px_tracker *tracker)
{
	/* SYNC private: who lets go last sees what the others did before they let go. */
	if (tracker && atomic_fetch_sub_explicit(&tracker->holds, 1, memory_order_acq_rel) == 1)
		free(tracker);
}

bool px_tracker_over(const struct px_tracker *tracker)
{
	/* SYNC tracker.leases: acquire; partner: the release in tracker_end(). */
	return atomic_load_explicit(&tracker->leases, memory_order_acquire) == 0;
}

static void tracker_begin(struct px_tracker *tracker)
{
	if (!tracker)
		return;
	atomic_fetch_add_explicit(&tracker->holds, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&tracker->leases, 1, memory_order_relaxed);
}

static void tracker_end(struct px_tracker *tracker)
{
	if (!tracker)
		return;
	/* SYNC tracker.leases: release, of what the holder did; partner: px_tracker_over(). */
	atomic_fetch_sub_explicit(&tracker->leases, 1, memory_order_release);
	px_tracker_release(tracker);
}

/* --- leases --- */

void px_leases_open(struct px_leases *leases, const struct px_segment *segment,
		    struct px_member_id holder, const struct px_link_shm *theirs,
		    uint32_t own_epoch)
{
	*leases = (struct px_leases){
		.segment = segment,
		.holder = holder,
		.theirs = theirs,
		.own_epoch = own_epoch,
		.free_head = NO_ROW,
		.used_head = NO_ROW,
	};
}

/* Most links never lend anything: the table is allocated with the first lease. */
static int make_rows(struct px_leases *leases)
{
	leases->rows = calloc(PX_LEASES_MAX, sizeof(*leases->rows));
	if (!leases->rows)
		return px_fail(PX_ENOMEM, "no private memory for a table of leases");
	for (uint16_t i = 0; i < PX_LEASES_MAX; i++)
		leases->rows[i].next = i + 1 < PX_LEASES_MAX ? (uint16_t)(i + 1) : NO_ROW;
	leases->free_head = 0;
	return 0;
}

int px_lease_grant(struct px_leases *leases, struct px_region *region, struct px_tracker *tracker,
		   struct px_lease *out)
{
	bool brief = leases->lasting == LASTING_MAX;
	uint16_t index;
	struct px_lease_row *row;
	int rc = leases->rows ? 0 : make_rows(leases);

	if (rc < 0)
		return rc;
	if (brief && region->live)
		return px_fail(PX_ENOMEM,
			       "member %u holds %d arrays of ours, and one that is live cannot be "
			       "sent as a copy: let go of some",
			       leases->holder.slot, LASTING_MAX);
	index = leases->free_head;
	if (index == NO_ROW)
		return px_fail(PX_EAGAIN, "all %d leases to member %u are out", PX_LEASES_MAX,
			       leases->holder.slot);
	row = &leases->rows[index];
	leases->free_head = row->next;
	row->next = leases->used_head;
	leases->used_head = index;
	row->region = region;
	row->tracker = tracker;
	row->brief = brief;
	tracker_begin(tracker);
	/* 0 means never released, so that a new table of the holder, all zero, releases nothing. */
	if (++row->generation == 0)
		row->generation = 1;
	px_region_hold(region);
	leases->count++;
	leases->lasting += !brief;
	*out = (struct px_lease){ index, row->generation, brief };
	return 0;
}

/* Ends the lease that *place, a word of the list in use, names. */
static void end(struct px_leases *leases, uint16_t *place)
{
	uint16_t index = *place;
	struct px_lease_row *row = &leases->rows[index];
	struct px_region *region = row->region;

	*place = row->next;
	row->next = leases->free_head;
	leases->free_head = index;
	row->region = NULL;
	leases->count--;
	leases->lasting -= !row->brief;
	tracker_end(row->tracker);
	px_region_release(region);
}

void px_lease_revoke(struct px_leases *leases, uint16_t lease)
{
	uint16_t *place = &leases->used_head;

	while (*place != NO_ROW && *place != lease)
		place = &leases->rows[*place].next;
	if (*place != lease)
		return;
	/*
	 * The holder has not released this generation and never will, so it is used again. If it
	 * were used up, enough revocations would come round to the generation that the holder
	 * released last.
	 */
	leases->rows[lease].generation--;
	end(leases, place);
}

/* Whether the holder's list of releases is about our leases. */
static bool holder_knows_us(const struct px_leases *leases)
{
	/* SYNC link.epoch: acquire; partner: the release in px_member_link_open(). */
	return atomic_load_explicit(&leases->theirs->epoch, memory_order_acquire) ==
	       leases->own_epoch;
}

static bool released(const struct px_leases *leases, uint16_t lease, uint16_t generation)
{
	/* SYNC lease.released: acquire; partner: the release in px_lease_release(). */
	return atomic_load_explicit(&leases->theirs->released[lease], memory_order_acquire) ==
	       generation;
}

bool px_leases_have(const struct px_leases *leases, const struct px_region *region)
{
	uint16_t index = leases->used_head;

	while (index != NO_ROW && leases->rows[index].region != region)
		index = leases->rows[index].next;
	return index != NO_ROW;
}

size_t px_leases_regions(const struct px_leases *leases, const struct px_region **out)
{
	size_t count = 0;

	for (uint16_t i = leases->used_head; i != NO_ROW; i = leases->rows[i].next) {
		if (out)
			out[count] = leases->rows[i].region;
		count++;
	}
	return count;
}

uint32_t px_leases_collect(struct px_leases *leases)
{
	uint32_t before = leases->count;
	bool dead, known;
	uint64_t seq;
	uint16_t *place;

	if (!before)
		return 0;
	dead = !px_member_alive(leases->segment, leases->holder);
	known = holder_knows_us(leases);
	/* SYNC lease.seq: acquire; partner: the release in px_lease_release(). */
	seq = atomic_load_explicit(&leases->theirs->released_seq, memory_order_acquire);
	if (!dead && (!known || seq == leases->seen_seq))
		return 0;
	leases->seen_seq = seq;
	for (place = &leases->used_head; *place != NO_ROW;) {
		struct px_lease_row *row = &leases->rows[*place];

		if (dead || released(leases, *place, row->generation))
			end(leases, place);
		else
			place = &row->next;
	}
	return before - leases->count;
}

void px_leases_close(struct px_leases *leases)
{
	while (leases->rows && leases->used_head != NO_ROW)
		end(leases, &leases->used_head);
	free(leases->rows);
	leases->rows = NULL;
	leases->free_head = NO_ROW;
}

int px_lease_release(struct px_link_shm *own, uint16_t lease, uint16_t generation,
		     struct px_doorbell_shm *bell)
{
	if (lease >= PX_LEASES_MAX)
		return px_fail(PX_ECORRUPT, "there is no lease %u", lease);
	/* SYNC lease.released: release of our last use; partner: the acquire in released(). */
	atomic_store_explicit(&own->released[lease], generation, memory_order_release);
	PX_KILLPOINT("lease.release.stored"); /* dead here: over, since the holder is dead */
	/* SYNC lease.seq: release; partner: the acquire in px_leases_collect(). */
	atomic_fetch_add_explicit(&own->released_seq, 1, memory_order_release);
	PX_KILLPOINT("lease.release.counted"); /* dead here: over; the sweep rings the owner */
	px_doorbell_ring(bell, PX_BELL_RELEASE);
	return 0;
}
