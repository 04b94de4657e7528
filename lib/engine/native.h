/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native.h - runs native functions: PX_REQUEST_NATIVE, whose author reads client/pxrun_native.h.
 *
 * Who:     the engine's main thread; px_native_interrupt() by its signal handlers.
 * Where:   private memory, and the arrays that were lent.
 * Blocks:  as long as the function runs. Its barrier: shm/barrier.h.
 * Death:   the words in our block say which function ran. Others that wait for us at a barrier notice.
 */
#ifndef PX_ENGINE_NATIVE_H
#define PX_ENGINE_NATIVE_H

#include "engine/loop.h"

struct px_native_engine;

/* Private memory that lasts as long as the engine. PX_ENOMEM. */
int px_native_new(struct px_engine_process *engine, struct px_native_engine **out);
/* Runs one, and always fills the reply. link: of its client. */
void px_native_run(struct px_native_engine *native, const struct px_link *link,
		   struct px_incoming *in, struct px_reply *reply);
/* One that is not run: those who wait for us at its barrier hear of it. */
void px_native_skip(struct px_native_engine *native, struct px_incoming *in);
/* Has the function that runs, if one does, see that it is cancelled. Async-signal-safe. */
void px_native_interrupt(void);

#endif
