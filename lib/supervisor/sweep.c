/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweep.c - frees slots and memory of dead members, and tries again if they are still in use.
 */
#include "supervisor/sweep.h"

#include "shm/member.h"
#include "supervisor/supervision.h"

#define DELAY_MIN_NS UINT64_C(100000000)
#define DELAY_MAX_NS UINT64_C(5000000000)

static void freed(void *ctx, uint32_t slot, uint64_t units)
{
	bool *changed = ctx;

	(void)slot;
	(void)units;
	*changed = true;
}

static bool sweep(struct px_supervisor *s)
{
	bool changed = false;

	s->sweep.lingering = (uint32_t)px_member_sweep(s->segment, freed, &changed);
	if (changed) {
		s->extents.returned++;
		px_member_announce(s->segment);
	}
	return changed;
}

static void again(void *ctx)
{
	struct px_supervisor *s = ctx;

	s->turn.sweep = true;
}

void px_sweep_mark(struct px_supervisor *s)
{
	s->sweep.delay_ns = 0;
	s->turn.sweep = true;
}

void px_sweep(struct px_supervisor *s)
{
	struct px_sweep *state = &s->sweep;

	px_loop_timer_stop(s->loop, &state->timer);
	/*
	 * Clients may use arrays after the pool's end; the kernel frees the memory with the last
	 * of them.
	 */
	if (s->closing)
		return;
	if (sweep(s) || !state->delay_ns)
		state->delay_ns = DELAY_MIN_NS;
	else if (state->delay_ns < DELAY_MAX_NS)
		state->delay_ns *= 2;
	if (state->delay_ns > DELAY_MAX_NS)
		state->delay_ns = DELAY_MAX_NS;
	if (state->lingering)
		px_loop_timer_set(s->loop, &state->timer, state->delay_ns, again, s);
}
