/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rank.h - the process that stands for an engine before mpiexec.
 *
 * How a process has ended only its parent is told, and of an engine that is to be the supervisor. So what
 * mpiexec has started, and watches, forks the engine and lets the supervisor adopt it. It stays as
 * long as the engine does, and the engine does not outlive it: mpiexec ends a rank by ending it.
 *
 * Who:     `pxrun engine`, if mpiexec was started by the pool's supervisor.
 * Blocks:  in the process that stays, until the engine ends; in the engine, until it is adopted.
 * Death:   of either: the other one ends.
 */
#ifndef PX_RANK_H
#define PX_RANK_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether this process descends from that one, so that its orphans become that one's children. */
bool px_rank_descends(pid_t ancestor);
/*
 * Returns in the engine alone, once it is the supervisor's child and dies with it: so *lifeline,
 * the supervisor's, is replaced by one of the process that stays. PX_ESYSTEM, before the fork; PX_EPOOL: the
 * supervisor has died meanwhile.
 */
int px_rank_fork(pid_t supervisor, int *lifeline);
/* This process is killed when nobody has the other end of this pipe any more. PX_EPOOL: so it is already. */
int px_rank_hang_on(int lifeline);

#endif
