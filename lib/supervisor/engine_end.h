/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine_end.h - what is done when an engine's process is gone.
 *
 * Who:     the supervisor.
 * Blocks:  never.
 * Death:   this is it: the member is buried and announced first, everything else comes after.
 */
#ifndef PX_ENGINE_END_H
#define PX_ENGINE_END_H

struct px_engine;

/* If it has ended: buries it, tells the log how, and decides whether another follows. */
void px_engine_reap(struct px_engine *engine);

#endif
