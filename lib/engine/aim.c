/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aim.c - compares what is to be interrupted with what runs.
 */
#include "engine/aim.h"

void px_aim_take(struct px_engine_process *engine, const siginfo_t *info)
{
	if (info->si_code != SI_QUEUE)
		return;
	/* SYNC aim.began: seq_cst, as of what a client says in its link; partner: px_aim_hits(). */
	atomic_store_explicit(&engine->aimed_ns, (uint64_t)(uintptr_t)info->si_value.sival_ptr,
			      memory_order_seq_cst);
}

bool px_aim_hits(const struct px_engine_process *engine)
{
	const struct px_link *link = atomic_load_explicit(&engine->running, memory_order_relaxed);
	uint64_t began_ns;

	if (!link)
		return false;
	/* Relaxed: our own word. */
	began_ns = atomic_load_explicit(&engine->endpoint->block->activity.started_ns,
					memory_order_relaxed);
	/* SYNC aim.began: seq_cst, after the store in px_interrupt_begin(); partner: px_aim_take(). */
	return atomic_load_explicit(&engine->aimed_ns, memory_order_seq_cst) == began_ns ||
	       px_link_interrupted(link,
				   atomic_load_explicit(&engine->running_id, memory_order_relaxed));
}
