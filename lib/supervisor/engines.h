/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engines.h - the phases of the turn for engines, and looking engines up.
 */
#ifndef PX_ENGINES_H
#define PX_ENGINES_H

#include <stdbool.h>
#include <sys/types.h>

struct px_supervisor;

/* Phases of the turn: handles engines that have ended; starts engines that wait. */
void px_engines_reap(struct px_supervisor *s);
void px_engines_start(struct px_supervisor *s);
/* Whether the pid is an engine's, which has ended; if so it is reaped in a later turn. */
bool px_engines_ended(struct px_supervisor *s, pid_t pid);
/* Whether the pid is an engine's. */
bool px_engines_have(const struct px_supervisor *s, pid_t pid);
/* Whether a process may exist whose pid is not known yet. */
bool px_engines_unknown(const struct px_supervisor *s);

#endif
