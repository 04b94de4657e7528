/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interrupt.h - an engine's signal handlers: they interrupt requests and end the loop.
 *
 * Who:     the engine's main thread; the handlers run in it.
 * Where:   SIGINT interrupts the running request, PX_SIGNAL_INTERRUPT only if it is the one that its
 *          client, or who has named it, wants interrupted (engine/aim.h); SIGTERM interrupts it and ends the loop, and two seconds later the
 *          process. A request that sends its own process SIGTERM ends it at once, as a child dies of
 *          SIGTERM that user code forked.
 * Blocks:  never.
 */
#ifndef PX_EXT_INTERRUPT_H
#define PX_EXT_INTERRUPT_H

#include "engine/loop.h"

/* Whether SIGTERM came. */
extern _Atomic int px_interrupt_stop;

/* Installs the handlers, for this engine. PX_ESYSTEM. */
int px_interrupt_watch(struct px_engine_process *engine);
/* A request begins; raises KeyboardInterrupt in it if its client has asked for that already. */
void px_interrupt_begin(void);
/* The request is over: drops an interrupt that came too late, lest it hit the next request. */
void px_interrupt_end(void);
/* After the engine has waited: runs Python's signal handlers, which may exit the process. */
void px_interrupt_idle(void);

#endif
