/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ahead.c - touches a unit at a time, between events.
 */
#include "supervisor/ahead.h"

#include "supervisor/engine.h"
#include "supervisor/supervision.h"
#include "supervisor/supervisor.h"

#define FIRST_NS                                                                                   \
	UINT64_C(500000000) /* who starts a pool to use it at once has the processors until then */
#define LAST_NS UINT64_C(16000000000)
#define NEXT_NS UINT64_C(1000000) /* as long as touching a unit: events come first */

static bool all_idle(const struct px_supervisor *s)
{
	for (uint32_t i = 0; i < s->engines_count; i++) {
		const struct px_engine *e = s->engines[i];
		const struct px_block_shm *block;

		if (e->life == PX_LIFE_GONE)
			continue;
		if (e->life != PX_LIFE_UP)
			return false;
		block = px_segment_block(s->segment, e->member.slot);
		/* Relaxed: as in a status, a moment ago will do. */
		if (atomic_load_explicit(&block->activity.client_epoch, memory_order_relaxed))
			return false;
	}
	return true;
}

/* Touching is all that it does, so it need not wait for a phase of the turn. */
static void touch(void *ctx)
{
	struct px_supervisor *s = ctx;
	uint64_t most = px_settings_number(s->options->settings, PX_SETTING_PREFAULT);

	if (s->closing)
		return;
	if (!all_idle(s)) {
		s->ahead.delay_ns *= 2;
		if (s->ahead.delay_ns <= LAST_NS)
			px_loop_timer_set(s->loop, &s->ahead.timer, s->ahead.delay_ns, touch, s);
		return;
	}
	s->ahead.delay_ns = FIRST_NS;
	if (px_extents_touch(&s->extents, most))
		px_loop_timer_set(s->loop, &s->ahead.timer, NEXT_NS, touch, s);
}

void px_ahead_mark(struct px_supervisor *s)
{
	s->ahead.delay_ns = FIRST_NS;
	if (s->ready)
		px_loop_timer_set(s->loop, &s->ahead.timer, FIRST_NS, touch, s);
}
