/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native_signals.h - the signal handlers of an engine without an interpreter.
 *
 * Who:     the engine's main thread; the handlers run in whichever thread a signal comes to.
 * Where:   SIGINT cancels the function that runs, PX_SIGNAL_INTERRUPT only if it is aimed at that (aim.h); SIGTERM
 *          cancels it and ends the loop, and two seconds later the process. A crash writes its native
 *          stack to a descriptor, and ends the process as it would.
 * Blocks:  never.
 * Death:   is what the stack is for: the supervisor copies it to where clients look.
 */
#ifndef PX_NATIVE_SIGNALS_H
#define PX_NATIVE_SIGNALS_H

#include "engine/loop.h"

/* Whether SIGTERM came. */
extern _Atomic int px_native_stop;

/* In the template: loads what a stack trace needs. */
void px_native_signals_prepare(void);
/* Installs the handlers, for this engine; crash: the descriptor, lent. PX_ESYSTEM, PX_ENOMEM. */
int px_native_signals_watch(struct px_engine_process *engine, int crash);

#endif
