/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place.c - keeps engines that spin off the processor of whoever calls them.
 */
#include "link/place.h"

#include <sched.h>

/*
 * An engine looks at its place after so many calls that came hot, and no more often than that: to move
 * costs as much as being in a bad place does in ten calls, and the scheduler may have moved us on purpose.
 */
#define CALLS 16
#define HOT 4 /* a crowd on one processor takes several times what its members spin for */
#define LOOKS_APART_NS UINT64_C(5000000)

struct crowd {
	cpu_set_t ours;         /* where we may run */
	uint32_t processors;    /* of them */
	uint32_t here, callers; /* our processor, and that of whom we serve */
	uint32_t awake;         /* engines that spin or work */
	uint32_t before_here,
		before_apart;     /* of lower ids: on our processor; not on the caller's */
	uint16_t on[CPU_SETSIZE]; /* all of them, by processor */
};

/* Engines that sleep are not counted: nobody calls them. Hints: the words need not be of one moment. */
static void count_awake(struct crowd *crowd, const struct px_segment *segment,
			const struct px_doorbell_shm *ours)
{
	uint32_t count =
		atomic_load_explicit(&segment->header->engines_count, memory_order_relaxed);
	bool passed = false;

	for (uint32_t id = 0; id < count && id < PX_ENGINES_MAX; id++) {
		uint32_t slot =
			atomic_load_explicit(&segment->engines[id].slot, memory_order_relaxed);
		const struct px_doorbell_shm *bell = &segment->bells[slot % PX_MEMBERS_MAX];
		uint32_t place = atomic_load_explicit(&bell->place, memory_order_relaxed);

		passed |= bell == ours;
		if (!place || place > CPU_SETSIZE ||
		    atomic_load_explicit(&bell->asleep, memory_order_relaxed))
			continue;
		place--;
		crowd->awake++;
		crowd->on[place]++;
		crowd->before_here += !passed && place == crowd->here;
		crowd->before_apart += !passed && place != crowd->callers;
	}
}

/*
 * How many may share the caller's processor: an even share of the processes, less one, for the caller has
 * more to do than each of them. Four engines on two processors answer a no-op in 5.5 us with one of them
 * there, in 7.2 with none, 9 with two, 11 with three and 20 with all.
 */
static uint32_t welcome(const struct crowd *crowd)
{
	uint32_t share = (crowd->awake + 1) / crowd->processors;

	return share ? share - 1 : 0;
}

/* The processor that the fewest share, but not ours; of equal ones the next after ours. */
static int find_free(const struct crowd *crowd)
{
	int found = -1;

	for (uint32_t i = 1; i < CPU_SETSIZE; i++) {
		uint32_t at = (crowd->here + i) % CPU_SETSIZE;

		if (CPU_ISSET(at, &crowd->ours) && (found < 0 || crowd->on[at] < crowd->on[found]))
			found = (int)at;
	}
	return found;
}

/* Where to go; -1: nowhere. All awake engines decide by the same rule, the lowest ids stay with the caller. */
static int choose(const struct crowd *crowd)
{
	uint32_t near = welcome(crowd);

	if (crowd->here == crowd->callers)
		return crowd->before_here < near ? -1 : find_free(crowd);
	return crowd->on[crowd->callers] < near && !crowd->before_apart &&
			       CPU_ISSET(crowd->callers, &crowd->ours) ?
		       (int)crowd->callers :
		       -1;
}

/* Moves there, and is as free as before to be moved on: a long computation is the scheduler's business. */
static void move(const cpu_set_t *ours, int to)
{
	cpu_set_t there, now;

	CPU_ZERO(&there);
	CPU_SET(to, &there);
	if (sched_setaffinity(0, sizeof(there), &there) < 0)
		return;
	/* What somebody else has set meanwhile, by taskset(1) for instance, stays. */
	if (sched_getaffinity(0, sizeof(now), &now) == 0 && !CPU_EQUAL(&now, &there))
		return;
	if (sched_setaffinity(0, sizeof(*ours), ours) == 0)
		return;
	/* Somebody has taken these processors from us at this moment: those that are left. */
	for (int i = 0; i < CPU_SETSIZE; i++)
		CPU_SET(i, &there);
	(void)sched_setaffinity(0, sizeof(there), &there);
}

static void look(const struct px_segment *segment, const struct px_doorbell_shm *bell,
		 uint32_t here, uint32_t callers)
{
	struct crowd crowd = { .here = here, .callers = callers };
	int to;

	if (callers >= CPU_SETSIZE || sched_getaffinity(0, sizeof(crowd.ours), &crowd.ours) < 0)
		return;
	crowd.processors = (uint32_t)CPU_COUNT(&crowd.ours);
	if (crowd.processors < 2)
		return;
	count_awake(&crowd, segment, bell);
	to = choose(&crowd);
	if (to >= 0)
		move(&crowd.ours, to);
}

void px_place_begin(struct px_place *place, const struct px_segment *segment,
		    struct px_doorbell_shm *bell, uint64_t now_ns, uint64_t short_ns)
{
	uint32_t here = (uint32_t)sched_getcpu() + 1, callers;

	/* All hints, which others need not see in any order: relaxed. */
	if (atomic_load_explicit(&bell->place, memory_order_relaxed) != here)
		atomic_store_explicit(&bell->place, here, memory_order_relaxed);
	if (!place->caller)
		return;
	callers = atomic_load_explicit(&place->caller->place, memory_order_relaxed);
	/* In a crowd some calls take long, for nobody's work but to get the processor back. */
	if (!place->hot || now_ns - place->ended_ns > short_ns || !callers) {
		place->calls -= place->calls > 0;
		return;
	}
	if (++place->calls < CALLS || now_ns - place->looked_ns < LOOKS_APART_NS)
		return;
	place->calls = 0;
	place->looked_ns = now_ns;
	look(segment, bell, here - 1, callers - 1);
}

void px_place_end(struct px_place *place, uint64_t began_ns, uint64_t now_ns, uint64_t short_ns)
{
	if (!place->caller)
		return; /* a client's, in which several threads may wait */
	place->ended_ns = now_ns;
	place->hot = now_ns - began_ns <= HOT * short_ns;
}
