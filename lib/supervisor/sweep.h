/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweep.h - frees slots and memory of dead members.
 *
 * Who:     the supervisor.
 * Blocks:  never.
 * Death:   px_member_sweep() may be repeated at any time.
 *
 * A slot stays while a living member has a link open to it; that member sends PX_CONTROL_SWEEP when
 * it closes the link. In case it dies before it can, the sweep is repeated, with growing delays, as
 * long as there are dead members that could not be freed.
 */
#ifndef PX_SWEEP_H
#define PX_SWEEP_H

#include "supervisor/event_loop.h"

struct px_supervisor;

struct px_sweep {
	struct px_timer timer;
	uint64_t delay_ns;
	uint32_t lingering; /* dead members that could not be freed yet */
};

/* Marks a sweep: somebody has died, or a link to a dead member was closed. */
void px_sweep_mark(struct px_supervisor *s);
/* The phase of the turn. */
void px_sweep(struct px_supervisor *s);

#endif
