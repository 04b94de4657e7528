/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aim.h - whether the request that an engine runs is the one that somebody wants interrupted.
 *
 * Who:     the engine's main thread, and its signal handlers.
 * Where:   private memory, but for what the request's client says in its link.
 * Blocks:  never.
 * Death:   as of any engine.
 *
 * A request's client names it by its id (px_link_interrupt()). Anybody else has seen it in the engine's block, and
 * names it by the time when it began, which comes with the signal: no other request of the engine has the same.
 */
#ifndef PX_AIM_H
#define PX_AIM_H

#include <signal.h>
#include <stdbool.h>

#include "engine/loop.h"

/* PX_SIGNAL_INTERRUPT has come. */
void px_aim_take(struct px_engine_process *engine, const siginfo_t *info);
bool px_aim_hits(const struct px_engine_process *engine);

#endif
