/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * barrier.c - counts of arrivals, and a futex for those who wait.
 */
#include "shm/barrier.h"

#include <errno.h>
#include <string.h>

#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/os.h"

/* As doorbell.c's: looks before the first yield. */
#define LOOKS_FIRST 12
/* Until a death is noticed, and a signal that came just before the sleep. */
#define NAP_NS UINT64_C(5000000)
/* So many naps in a row, until a ring is believed. */
#define RINGS_SEEN 4

void px_barrier_init(struct px_barrier_shm *shared, uint32_t count)
{
	memset(shared, 0, px_barrier_bytes(count));
	atomic_init(&shared->count, count);
}

void px_barrier_assign(struct px_barrier_shm *shared, uint32_t rank, struct px_member_id id)
{
	/* Relaxed: it is a word by itself. */
	atomic_store_explicit(&shared->places[rank].member, (uint64_t)id.slot << 32 | id.epoch,
			      memory_order_relaxed);
	PX_KILLPOINT("barrier.assign.visible"); /* dead here: the members see that the sender is */
}

static void wake(struct px_barrier_shm *shared)
{
	if (!atomic_load_explicit(&shared->asleep, memory_order_relaxed))
		return;
	/* SYNC barrier.seq: release; partner: nap(). */
	atomic_fetch_add_explicit(&shared->seq, 1, memory_order_release);
	PX_KILLPOINT("barrier.wake.counted"); /* dead here: they wake at the end of their naps */
	px_os.futex_wake(&shared->seq);
}

void px_barrier_leave(struct px_barrier_shm *shared, uint32_t rank)
{
	/* SYNC barrier.left: release, of its arrivals before; partner: look(). */
	atomic_store_explicit(&shared->places[rank].left, 1, memory_order_release);
	PX_KILLPOINT("barrier.leave.visible"); /* dead here: they see it at the end of their naps */
	/* SYNC barrier.look: seq_cst, the leaving before the look at asleep; partner: nap(). */
	atomic_thread_fence(memory_order_seq_cst);
	wake(shared);
}

/* --- waiting --- */

static bool has_arrived(const struct px_barrier *b, uint32_t rank)
{
	/* SYNC barrier.arrived: acquire, of what it wrote before it came; partner: px_barrier_wait(). */
	uint32_t arrived =
		atomic_load_explicit(&b->shared->places[rank].arrived, memory_order_acquire);

	return (int32_t)(arrived - b->arrived) >= 0;
}

/* Goes on from the first that was missing: all before it are there for good. */
static bool all_have(struct px_barrier *b)
{
	while (b->missing < b->count && has_arrived(b, b->missing))
		b->missing++;
	return b->missing == b->count;
}

/* 1: all are there; 0: not yet; or what breaks it. */
static int look(struct px_barrier *b)
{
	if (all_have(b))
		return 1;
	for (uint32_t rank = b->missing; rank < b->count; rank++) {
		/* SYNC barrier.left: acquire, before another look at its arrivals; partner: px_barrier_leave(). */
		if (atomic_load_explicit(&b->shared->places[rank].left, memory_order_acquire) &&
		    !has_arrived(b, rank)) {
			b->missing = rank;
			return PX_EABORTED;
		}
	}
	/* Relaxed: it carries nothing with it. */
	return atomic_load_explicit(b->cancel, memory_order_relaxed) ? PX_EINTR : 0;
}

/* Whether somebody who is missing has died, or who would have sent it the request. As look(). */
static int look_for_deaths(struct px_barrier *b)
{
	for (uint32_t rank = b->missing; rank < b->count; rank++) {
		uint64_t member =
			atomic_load_explicit(&b->shared->places[rank].member, memory_order_relaxed);
		struct px_member_id id = { (uint32_t)(member >> 32), (uint32_t)member };

		if (!member)
			id = b->sender;
		/* Dead members do not arrive: if it had, it is seen now. */
		if (id.slot < PX_MEMBERS_MAX && px_member_alive(b->segment, id))
			continue;
		if (has_arrived(b, rank))
			continue;
		b->missing = rank;
		return PX_EENGINE;
	}
	/* Its other requests are not begun any more. */
	return px_member_alive(b->segment, b->sender) ? look(b) : PX_EENGINE;
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static int spin(struct px_barrier *b)
{
	uint64_t until_ns;
	int rc = 0;

	for (int i = 0; i < LOOKS_FIRST && rc == 0; i++) {
		relax();
		rc = look(b);
	}
	until_ns = rc ? 0 : px_os.now_ns() + b->spin_ns;
	while (rc == 0 && px_os.now_ns() < until_ns) {
		px_os.yield();
		rc = look(b);
	}
	return rc;
}

/* Sleeps until somebody arrives or leaves, or for a nap. As look(). */
static int nap(struct px_barrier *b)
{
	struct px_barrier_shm *shared = b->shared;
	uint32_t ticket;
	int rc;

	atomic_fetch_add_explicit(&shared->asleep, 1, memory_order_relaxed);
	/* SYNC barrier.seq: acquire; partner: wake(). */
	ticket = atomic_load_explicit(&shared->seq, memory_order_acquire);
	PX_KILLPOINT("barrier.sleep.announced"); /* dead here: who comes last wakes nobody */
	/*
	 * SYNC barrier.look: seq_cst, the announcement before the look; partner: px_barrier_wait(),
	 * px_barrier_leave().
	 */
	atomic_thread_fence(memory_order_seq_cst);
	rc = look(b);
	if (rc == 0)
		(void)px_os.futex_wait(&shared->seq, ticket, NAP_NS);
	atomic_fetch_sub_explicit(&shared->asleep, 1, memory_order_relaxed);
	return rc ? rc : look(b);
}

/* Sleeps as often as need be. As look(). */
static int sleep_on(struct px_barrier *b)
{
	uint32_t rings = 0;
	int rc = 0;

	/* Relaxed, here and below: who reads it looks again. */
	atomic_store_explicit(b->where, b->offset, memory_order_relaxed);
	while (rc == 0) {
		rc = nap(b);
		if (rc == 0)
			rc = look_for_deaths(b);
		if (rc)
			break;
		/* What is seen in one look need not be of one moment; a ring stays. */
		rings = px_barrier_in_ring(b) ? rings + 1 : 0;
		if (rings == RINGS_SEEN)
			rc = PX_EAGAIN;
	}
	atomic_store_explicit(b->where, 0, memory_order_relaxed);
	return rc;
}

int px_barrier_wait(struct px_barrier *b)
{
	struct px_barrier_shm *shared = b->shared;
	int rc;

	b->missing = 0;
	/* SYNC barrier.arrived: release, of all that was written before; partner: has_arrived(). */
	atomic_store_explicit(&shared->places[b->rank].arrived, ++b->arrived, memory_order_release);
	PX_KILLPOINT(
		"barrier.arrive.visible"); /* dead here: arrived; sleepers see it after their naps */
	/*
	 * SYNC barrier.look: seq_cst, the arrival before the looks at others' and at asleep; partner:
	 * px_barrier_wait(), nap().
	 */
	atomic_thread_fence(memory_order_seq_cst);
	rc = look(b);
	if (rc == 1)
		wake(shared); /* the last one: of several at least one sees that it is */
	if (rc == 0)
		rc = spin(b);
	if (rc == 0)
		rc = sleep_on(b);
	return rc == 1 ? 0 : rc;
}
