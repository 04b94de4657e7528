/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * barrier.h - a meeting point of the engines that work on one request.
 *
 * Who:     the members, each with a rank and a place of its own, which it alone writes; and whoever
 *          sends the request to them, who says which process has which place.
 * Where:   a region of the sender's that is lent live with the request; each place is a cache line.
 * Blocks:  px_barrier_wait() only: until all have arrived, or the barrier is broken.
 * Death:   of a member that has not arrived: the others notice in naps of some ms, and the barrier is
 *          broken for them. Of one that had arrived: those that wait pass, and find it broken the next
 *          time. Of the sender: likewise. Of a sleeper: its announcement stays, so that who arrives last
 *          makes a system call in vain.
 *
 * A member counts its arrivals in its place, and a meeting is over once every count has reached its
 * number. Counts only grow, so a meeting that is over is so for everybody, and is never broken
 * afterwards: who arrived may go on, meet again, leave or die, while another one still wakes up. That
 * is why the counts are looked at first, and what breaks a barrier only if one is missing.
 *
 * Two calls may reach their engines in different orders, and then each waits for the other. So who sleeps
 * says where, for all to read; who has slept for some naps follows from those who are missing, each to
 * the barrier at which it sleeps and to those who are missing there. If that leads back to itself, it is
 * a ring of barriers that nobody leaves, and the one of them that lies highest is broken: the others go
 * on once its members are gone from it.
 *
 * Sleepers announce themselves, then look once more; who arrives counts, then looks whether all are
 * there and somebody sleeps. Of the two looks one sees the other's write (Dekker), for which there are
 * the sequentially consistent fences; and so of two that arrive last, one sees both.
 */
#ifndef PX_BARRIER_H
#define PX_BARRIER_H

#include <stdbool.h>
#include <stddef.h>

#include "shm/layout.h"
#include "shm/member.h"

/* A member's place. */
struct px_barrier_place_shm {
	_Atomic uint32_t arrived; /* the member: how often */
	_Atomic uint32_t left; /* 1: it will not arrive any more, or was never sent the request */
	_Atomic uint64_t
		member; /* the sender: slot << 32 | epoch of the process; 0: not known yet */
	uint8_t reserved[PX_LINE_BYTES - 16];
};
_Static_assert(sizeof(struct px_barrier_place_shm) == PX_LINE_BYTES, "one line");

struct px_barrier_shm {
	_Atomic uint32_t seq;    /* the futex */
	_Atomic uint32_t asleep; /* how many are about to sleep, or do */
	_Atomic uint32_t count;  /* of the places; the sender */
	uint8_t reserved[PX_LINE_BYTES - 12];
	struct px_barrier_place_shm places[];
};
_Static_assert(sizeof(struct px_barrier_shm) == PX_LINE_BYTES, "one line before the places");

/* --- the sender --- */

static inline uint64_t px_barrier_bytes(uint32_t count)
{
	return sizeof(struct px_barrier_shm) + count * sizeof(struct px_barrier_place_shm);
}
/* Nobody has it yet. */
void px_barrier_init(struct px_barrier_shm *shared, uint32_t count);
/* Says which process has a place. */
void px_barrier_assign(struct px_barrier_shm *shared, uint32_t rank, struct px_member_id id);

/* --- a member; or the sender, for one that it could not send the request to --- */

/* It will not arrive any more. */
void px_barrier_leave(struct px_barrier_shm *shared, uint32_t rank);

/* --- a member --- */

/* What a member knows of it, privately. */
struct px_barrier {
	struct px_barrier_shm *shared;
	const struct px_segment *segment;
	struct px_member_id sender, self;
	uint64_t offset;         /* of shared in the segment */
	_Atomic uint64_t *where; /* our word that says at which barrier we sleep */
	uint32_t rank, count;
	uint32_t arrived;          /* so often */
	const _Atomic int *cancel; /* not 0: it shall not wait any longer; a signal ends its nap */
	uint64_t spin_ns;          /* how long to look before sleeping */
	uint32_t missing;          /* the rank that broke it */
};

/*
 * Arrives, and waits for all others. PX_EABORTED: one has left; PX_EENGINE: one, or the sender, has
 * died; PX_EAGAIN: one waits at another barrier for this member; PX_EINTR: it was cancelled. Then, but for
 * the last, `missing` is the one; and the member has to leave.
 */
int px_barrier_wait(struct px_barrier *barrier);

/* --- barrier_ring.c --- */

/* Whether this barrier is the highest of a ring, as far as can be seen in one look. */
bool px_barrier_in_ring(const struct px_barrier *barrier);

#endif
