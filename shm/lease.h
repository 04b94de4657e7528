/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lease.h - the right of a peer to read one of our regions.
 *
 * Who:     the owner grants and collects, one thread at a time; the holder
 *          releases from any thread.
 * Where:   what is granted stands in the owner's private memory and in the
 *          frame that lends it; what is released in the holder's link to the owner.
 *          One writer each, no shared count.
 * Blocks:  never. A tracker sleeps on the owner's bell (PX_BELL_RELEASE).
 * Death:   a lease is over when released equals granted or the holder is dead.
 *          A dead owner's extents stay while a live member has a link open
 *          to it, and a holder closes its link after its last release.
 *
 * A full table: a holder may keep a lasting lease as long as it likes, and it may be waiting for
 * the very message that finds no free row, so nobody may wait for a lasting lease to end.
 * Therefore PX_LEASES_BRIEF rows are used for brief leases only. The holder of a brief lease
 * copies the region when it reads the message, and releases it before it reads on. If up to
 * PX_LEASES_BRIEF rows are wanted and not free, then some brief lease is out, and so its message
 * is unread: the holder frees the row by reading on, for which it needs nothing from the owner.
 * A live region, which both sides write, cannot be copied: it gets lasting leases only.
 */
#ifndef PX_LEASE_H
#define PX_LEASE_H

#include "shm/member.h"
#include "shm/region.h"

/*
 * Counts the leases of one message that are not over. It is held by each lease and by whoever
 * wants to ask; any thread may ask and release. Closing the table ends its leases.
 */
struct px_tracker {
	_Atomic uint32_t leases, holds;
};

/* Held once; NULL: no private memory. */
struct px_tracker *px_tracker_new(void);
/* NULL is fine. */
void px_tracker_release(struct px_tracker *tracker);
/* Whether all are over: the owner may write there again. px_leases_collect() finds out. */
bool px_tracker_over(const struct px_tracker *tracker);

/* As it is named in the frame. */
struct px_lease {
	uint16_t row, generation;
	bool brief;
};

/* Owner's private table for one peer. */
struct px_leases {
	const struct px_segment *segment;
	struct px_member_id holder;
	const struct px_link_shm *theirs; /* the holder's link to us */
	uint32_t own_epoch;
	uint64_t seen_seq; /* theirs->released_seq when last collected */
	uint32_t count;    /* outstanding … */
	uint32_t lasting;  /* … and of them, those that are not brief */
	uint16_t free_head;
	struct px_lease_row {
		struct px_region *region;   /* NULL: free */
		struct px_tracker *tracker; /* NULL: nobody asks when it is over */
		uint16_t generation;
		uint16_t next; /* in the list of free or outstanding rows */
		bool brief;
	} * rows; /* [PX_LEASES_MAX], allocated with the first grant */
	uint16_t used_head;
};

void px_leases_open(struct px_leases *leases, const struct px_segment *segment,
		    struct px_member_id holder, const struct px_link_shm *theirs,
		    uint32_t own_epoch);
/* Every lease is over (the holder is dead, or the pool has ended): releases the regions. */
void px_leases_close(struct px_leases *leases);
/*
 * Lends the region: holds it, and the tracker (or NULL), until the lease is over. Grant before
 * publishing the frame. PX_EAGAIN: no row is free until the holder has read what waits for it.
 * PX_ENOMEM: the region is live, and all lasting leases are out.
 */
int px_lease_grant(struct px_leases *leases, struct px_region *region, struct px_tracker *tracker,
		   struct px_lease *out);
/* Takes back a grant that was never published. */
void px_lease_revoke(struct px_leases *leases, uint16_t lease);
/* The regions that are lent, one for each lease. Returns their number; out may be NULL. */
size_t px_leases_regions(const struct px_leases *leases, const struct px_region **out);
/* Whether the holder has a lease of the region, as far as was collected. */
bool px_leases_have(const struct px_leases *leases, const struct px_region *region);
/* Ends the leases that are over. Returns how many. One load if nothing changed. */
uint32_t px_leases_collect(struct px_leases *leases);

/*
 * Holder: ends its lease. own: our link to the owner, writable; bell: the owner's.
 * PX_ECORRUPT if lease is out of range. Thread-safe.
 */
int px_lease_release(struct px_link_shm *own, uint16_t lease, uint16_t generation,
		     struct px_doorbell_shm *bell);

#endif
