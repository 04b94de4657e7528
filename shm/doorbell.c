/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doorbell.c - an eventcount on a futex.
 */
#include "shm/doorbell.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/os.h"

#define NAP_MAX_NS UINT64_C(50000000)
#define NAP_IDLE_NS UINT64_C(1600000000)

/*
 * A pipe beside the futex, whose wake-ups are synchronous ones, would wake no nearer: measured on two
 * virtual processors, after rests of 5 ms, a ping-pong takes 15 to 21 us over futexes and 22 over pipes
 * where the scheduler places both sides, since it starts a sleeper whose processor has halted on the waker's.
 * Over futexes between two pinned processors it takes 47 to 76, most of it the interrupt.
 *
 * Of the 45 us of a no-op call from C that follows such a rest, 7 pass until it is sent, 25 to 30 until the
 * engine has it, 7 until the answer is back: it is the same code that takes 1.2 us in all when caches are
 * warm. That a woken engine sleeps again at once, to leave the processor to its caller, does not pay: the way
 * back then takes 10.
 */
void px_doorbell_wake(struct px_doorbell_shm *bell)
{
	/* SYNC bell.seq: release; partner: px_doorbell_announce(). */
	atomic_fetch_add_explicit(&bell->seq, 1, memory_order_release);
	/* Dead here: the sleeper wakes at the end of its nap. */
	PX_KILLPOINT("doorbell.ring.counted");
	px_os.futex_wake(&bell->seq);
}

/*
 * Whoever is woken may have to wait for a processor. The first to wake it takes its announcement, so that
 * others, who publish more meanwhile, do not make a system call each: with four engines on two
 * processors that was a call for every third answer.
 */
static bool take_announcement(struct px_doorbell_shm *bell, uint32_t why)
{
	uint32_t asleep = atomic_load_explicit(&bell->asleep, memory_order_relaxed);

	while (asleep & why)
		/*
		 * Before the count: who sees the count in its ticket announces itself after this, and keeps
		 * its announcement. Who has announced itself before sees that it was counted, or is woken.
		 */
		if (atomic_compare_exchange_weak_explicit(&bell->asleep, &asleep, 0,
							  memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	return false;
}

bool px_doorbell_ring(struct px_doorbell_shm *bell, uint32_t why)
{
	/*
	 * SYNC bell.look: seq_cst, orders what was published before the look at
	 * asleep; partner: px_doorbell_announce().
	 */
	atomic_thread_fence(memory_order_seq_cst);
	if (!take_announcement(bell, why))
		return false;
	PX_KILLPOINT(
		"doorbell.ring.taken"); /* dead here: as below, and other ringers wake nobody until then */
	px_doorbell_wake(bell);
	return true;
}

uint32_t px_doorbell_announce(struct px_doorbell_shm *bell, uint32_t why)
{
	/* SYNC bell.seq: acquire; partner: the release in px_doorbell_wake(). */
	uint32_t ticket = atomic_load_explicit(&bell->seq, memory_order_acquire);

	atomic_store_explicit(&bell->asleep, why, memory_order_relaxed);
	PX_KILLPOINT("doorbell.announce.visible"); /* dead here: ringers wake nobody */
	/* SYNC bell.look: seq_cst, the announcement before the look at the rings; partner: px_doorbell_ring(). */
	atomic_thread_fence(memory_order_seq_cst);
	return ticket;
}

void px_doorbell_cancel(struct px_doorbell_shm *bell)
{
	atomic_store_explicit(&bell->asleep, 0, memory_order_relaxed);
	PX_KILLPOINT("doorbell.cancel.visible"); /* dead here: nobody is left to be woken */
}

int px_doorbell_sleep(struct px_doorbell_shm *bell, uint32_t ticket, uint64_t nap_ns)
{
	int rc = px_os.futex_wait(&bell->seq, ticket, nap_ns);

	px_doorbell_cancel(bell);
	return rc == -EINTR ? PX_EINTR : 0;
}

/*
 * A yield is a system call of some hundred ns, so a few looks without one come first, for an
 * answer that is about to arrive. Too many of them keep the processor from the process that has
 * the answer: on two processors 40 looks made a call of four engines 1.5 times as slow as 10
 * looks do, and 20 us of looking made it 20 times as slow; between 10 and 14 it takes the same
 * time. A no-op from C is answered after 10 or 11 looks: with 10 of them it takes 0.7 to 1.2 us,
 * with 12 0.5 us.
 */
#define LOOKS_FIRST 12
/*
 * With four engines on two processors, when an exchange takes a little longer than they spin, all
 * of them go to sleep, and waking them makes the exchange longer still. So the time to spin may
 * grow up to this many times its base.
 */
#define SPIN_GROWTH 4

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static int look_on(int (*ready)(void *ctx), void *ctx)
{
	int rc = 0;

	for (int i = 0; i < LOOKS_FIRST && rc == 0; i++) {
		relax();
		rc = ready(ctx);
	}
	return rc;
}

/* Looks, then yields, until something is ready or the time is over. */
static int spin(uint64_t until_ns, int (*ready)(void *ctx), void *ctx)
{
	int rc = look_on(ready, ctx);

	while (rc == 0 && px_os.now_ns() < until_ns) {
		px_os.yield();
		rc = ready(ctx);
	}
	return rc;
}

/* As px_doorbell_wait(); the naps grow up to longest_ns. */
static int wait_in_naps(struct px_doorbell_shm *bell, uint32_t why, uint64_t spin_ns,
			uint64_t timeout_ns, uint64_t longest_ns, int (*ready)(void *ctx),
			int (*on_nap)(void *ctx), void *ctx)
{
	uint64_t now, deadline, nap = NAP_MAX_NS;
	bool interrupted;
	int rc = ready(ctx);

	if (rc)
		return rc;
	now = px_os.now_ns();
	deadline = timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
	rc = spin(spin_ns < timeout_ns ? now + spin_ns : deadline, ready, ctx);
	if (rc)
		return rc;
	for (;;) {
		uint32_t ticket = px_doorbell_announce(bell, why);

		rc = ready(ctx);
		if (rc)
			break;
		now = px_os.now_ns();
		if (now >= deadline) {
			rc = PX_ETIMEDOUT;
			break;
		}
		rc = px_doorbell_sleep(bell, ticket, deadline - now < nap ? deadline - now : nap);
		interrupted = rc == PX_EINTR;
		nap = 2 * nap < longest_ns ? 2 * nap : longest_ns;
		rc = ready(ctx);
		/* Also where no nap is over: signals of a timer may end each of them. */
		if (!rc && on_nap)
			rc = on_nap(ctx);
		if (!rc && interrupted)
			rc = px_fail(PX_EINTR, "a signal arrived");
		if (rc)
			break;
	}
	px_doorbell_cancel(bell);
	return rc;
}

int px_doorbell_wait(struct px_doorbell_shm *bell, uint32_t why, uint64_t spin_ns,
		     uint64_t timeout_ns, int (*ready)(void *ctx), int (*on_nap)(void *ctx),
		     void *ctx)
{
	return wait_in_naps(bell, why, spin_ns, timeout_ns, NAP_MAX_NS, ready, on_nap, ctx);
}

int px_doorbell_idle(struct px_doorbell_shm *bell, uint32_t why, uint64_t spin_ns,
		     uint64_t timeout_ns, int (*ready)(void *ctx), int (*on_nap)(void *ctx),
		     void *ctx)
{
	return wait_in_naps(bell, why, spin_ns, timeout_ns, NAP_IDLE_NS, ready, on_nap, ctx);
}

uint64_t px_doorbell_spin_next(uint64_t spin_ns, uint64_t base_ns, uint64_t waited_ns)
{
	uint64_t most = SPIN_GROWTH * base_ns;

	if (waited_ns <= spin_ns)
		return spin_ns;
	if (waited_ns > most)
		return base_ns;
	return 2 * spin_ns < most ? 2 * spin_ns : most;
}

uint64_t px_doorbell_spin_woken(uint64_t lately_ns, uint64_t base_ns)
{
	uint64_t most = SPIN_GROWTH * base_ns, spin = (lately_ns ? lately_ns : base_ns) + base_ns;

	if (lately_ns > most)
		return base_ns;
	return spin < most ? spin : most;
}

/* --- what a wake-up costs here --- */

/*
 * Less than this saves little and costs much. A call of four engines on two processors takes 30 us:
 * with 25 us the engines fell asleep between calls, and one with an array in it took 110 us
 * instead of 55. A call to an engine that slept for 5 ms: 160 us with 25, 68 with 50.
 */
#define SPIN_MIN_NS UINT64_C(50000)
#define SPIN_MAX_NS UINT64_C(100000)
#define ROUNDS 5 /* each delays the start of a pool by 0.4 ms */
/*
 * Long enough for an idle processor to halt: waking it takes most of the time. A pair that is
 * kept busy answers in a fifth of it.
 */
#define REST_NS 300000

struct pair {
	_Atomic uint32_t ping, pong;
	int processor;
};

static void *answer(void *ctx)
{
	struct pair *pair = ctx;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(pair->processor, &set);
	(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		/* SYNC measure.ping: acquire; partner: px_doorbell_measure_ns(). */
		while (atomic_load_explicit(&pair->ping, memory_order_acquire) != i)
			px_os.futex_wait(&pair->ping, i - 1, NAP_MAX_NS);
		/* SYNC measure.pong: release; partner: px_doorbell_measure_ns(). */
		atomic_store_explicit(&pair->pong, i, memory_order_release);
		px_os.futex_wake(&pair->pong);
	}
	return NULL;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* A processor that we may use and are not on. -1: there is none. */
static int other_processor(void)
{
	int here = sched_getcpu();
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return -1;
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set) && i != here)
			return i;
	return -1;
}

uint64_t px_doorbell_measure_ns(void)
{
	struct pair pair = { .processor = other_processor() };
	struct timespec rest = { .tv_nsec = REST_NS };
	uint64_t times[ROUNDS], ns;
	pthread_t thread;

	if (pair.processor < 0 || pthread_create(&thread, NULL, answer, &pair))
		return SPIN_MIN_NS;
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		uint64_t start;

		nanosleep(&rest, NULL);
		start = px_os.now_ns();
		/* SYNC measure.ping: release; partner: answer(). */
		atomic_store_explicit(&pair.ping, i, memory_order_release);
		px_os.futex_wake(&pair.ping);
		/* SYNC measure.pong: acquire; partner: answer(). */
		while (atomic_load_explicit(&pair.pong, memory_order_acquire) != i)
			px_os.futex_wait(&pair.pong, i - 1, NAP_MAX_NS);
		times[i - 1] = px_os.now_ns() - start;
	}
	pthread_join(thread, NULL);
	qsort(times, ROUNDS, sizeof(times[0]), by_size);
	ns = times[ROUNDS / 2] / 2; /* one way */
	/*
	 * Processors that are busy now answer at once, which says nothing about waking idle ones:
	 * hence the minimum.
	 */
	return ns < SPIN_MIN_NS ? SPIN_MIN_NS : ns > SPIN_MAX_NS ? SPIN_MAX_NS : ns;
}
