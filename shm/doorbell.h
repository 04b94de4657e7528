/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doorbell.h - tells a sleeping member that one of its rings has news.
 *
 * Who:     any member may ring. The member whose bell it is sleeps: mostly one thread. Several have
 *          one announcement, so who leaves takes it back for all and has to wake those that sleep on
 *          (lib/client/wait.c).
 * Where:   one cache line in the segment, writable for all.
 * Blocks:  px_doorbell_sleep() only, never past its nap.
 * Death:   a ringer killed between publishing and ringing loses one wake-up, and until the nap ends
 *          other ringers wake nobody either; the supervisor wakes all after each sweep, and
 *          naps are bounded.
 *
 * An eventcount. The ringer publishes, then looks whether somebody sleeps; the
 * sleeper announces itself, then looks once more for what was published. Of the
 * two looks one sees the other's write (Dekker), which is what the two
 * sequentially consistent fences are for. A bell nobody sleeps at costs one
 * fence and one load, and so does one whose sleeper was woken a moment ago.
 */
#ifndef PX_DOORBELL_H
#define PX_DOORBELL_H

#include <stdbool.h>

#include "shm/layout.h"

#define PX_BELL_FRAME 1u   /* a ring has a new frame, or a member came or went */
#define PX_BELL_RELEASE 2u /* a lease is over */
#define PX_BELL_ROOM 4u    /* a chunk of a ring is read to its end */
#define PX_BELL_TASK 8u    /* a board has tasks (board.h) */

/* Wakes the sleeper if it waits for any of `why`; whether it had to. Call after publishing. */
bool px_doorbell_ring(struct px_doorbell_shm *bell, uint32_t why);
/* Wakes all threads that sleep there, announced or not: for who shares the bell with them. */
void px_doorbell_wake(struct px_doorbell_shm *bell);
/*
 * Announces that this thread is about to sleep until `why`. Returns the ticket for
 * px_doorbell_sleep(). Look at the rings between the two.
 */
uint32_t px_doorbell_announce(struct px_doorbell_shm *bell, uint32_t why);
/* Sleeps until rung since the ticket, at most nap_ns; takes the announcement back. 0 or PX_EINTR. */
int px_doorbell_sleep(struct px_doorbell_shm *bell, uint32_t ticket, uint64_t nap_ns);
/* Takes the announcement back without sleeping. */
void px_doorbell_cancel(struct px_doorbell_shm *bell);

/*
 * Waits until ready(ctx) is not 0 (its value is returned: 1, or an error), for at
 * most timeout_ns (UINT64_MAX: for ever): PX_ETIMEDOUT. PX_EINTR if a signal
 * handler ran while asleep. Spins with sched_yield for spin_ns first. Between two
 * naps of at most 50 ms, and when a signal ends one, on_nap(ctx) is called if given:
 * not 0 ends the wait with its value; that is where a lost supervisor is noticed.
 */
int px_doorbell_wait(struct px_doorbell_shm *bell, uint32_t why, uint64_t spin_ns,
		     uint64_t timeout_ns, int (*ready)(void *ctx), int (*on_nap)(void *ctx),
		     void *ctx);
/*
 * The same for who waits for work, and keeps nobody waiting: each of its naps is twice as long as the
 * one before, up to 1.6 s. A ringer that is killed before it rings costs one nap at most, and less where
 * somebody wakes all after a death.
 */
int px_doorbell_idle(struct px_doorbell_shm *bell, uint32_t why, uint64_t spin_ns,
		     uint64_t timeout_ns, int (*ready)(void *ctx), int (*on_nap)(void *ctx),
		     void *ctx);
/*
 * How long to spin next time, after a wait of waited_ns that began with spinning for spin_ns:
 * longer if a little more spinning would have avoided the sleep, base_ns again after a long
 * pause.
 */
uint64_t px_doorbell_spin_next(uint64_t spin_ns, uint64_t base_ns, uint64_t waited_ns);
/*
 * The same for who has just woken whoever is to answer: the answer cannot come before a wake-up and
 * the work, so it spins for as long as such waits took lately (lately_ns, 0: not known), and a little
 * more. If that would be too long, it sleeps soon.
 */
uint64_t px_doorbell_spin_woken(uint64_t lately_ns, uint64_t base_ns);
/* Times a wake-up of a thread on another processor: the budget for spinning. Some ms. */
uint64_t px_doorbell_measure_ns(void);

#endif
