/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine_end.h - what is done when an engine's process has ended.
 *
 * Who:     the supervisor.
 * Blocks:  never.
 * Death:   of the engine: its member is marked dead and announced before all else.
 */
#ifndef PX_ENGINE_END_H
#define PX_ENGINE_END_H

struct px_engine;

/* If it has ended: marks its member dead, logs how it ended, and decides whether it is replaced. */
void px_engine_reap(struct px_engine *engine);

#endif
