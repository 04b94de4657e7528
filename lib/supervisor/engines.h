/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engines.h - what concerns all engines at once.
 */
#ifndef PX_ENGINES_H
#define PX_ENGINES_H

#include <stdbool.h>
#include <sys/types.h>

struct px_supervisor;

/* Phases of the turn: deals with those that have ended; starts those that wait. */
void px_engines_reap(struct px_supervisor *s);
void px_engines_start(struct px_supervisor *s);
/* If the pid is an engine's, whose end has been seen: it is to be reaped in the next turn. */
bool px_engines_ended(struct px_supervisor *s, pid_t pid);
/* Whether a process may exist whose pid is not known yet. */
bool px_engines_unknown(const struct px_supervisor *s);

#endif
