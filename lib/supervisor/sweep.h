/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweep.h - frees what the dead have left.
 *
 * A slot stays while a living member has a link open to it; that member says
 * PX_CONTROL_SWEEP when it closes the link. In case that it died before it
 * could say so, the sweep is tried again, more and more rarely, as long as
 * something lingers.
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
