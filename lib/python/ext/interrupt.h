/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interrupt.h - signals of an engine become KeyboardInterrupt in the request that runs, or end the loop.
 *
 * SIGINT interrupts whatever runs, PX_SIGNAL_INTERRUPT only the request that its client means, SIGTERM
 * what runs and then the engine.
 */
#ifndef PX_EXT_INTERRUPT_H
#define PX_EXT_INTERRUPT_H

#include "engine/loop.h"

/* Whether SIGTERM came. */
extern _Atomic int px_interrupt_stop;

/* From now on signals are the engine's, until NULL is given. PX_ESYSTEM. */
int px_interrupt_watch(struct px_engine_process *engine);
/* A request begins: it may have been interrupted just before. */
void px_interrupt_begin(void);
/* It is over. An interrupt that came too late must not hit the next one. */
void px_interrupt_end(void);

#endif
