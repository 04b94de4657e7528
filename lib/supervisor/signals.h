/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signals.h - the supervisor's signals.
 *
 * Who:     the supervisor. SIGCHLD marks the reap phase; SIGTERM, SIGINT and SIGHUP that the pool is
 *          to stop, a second one that it is to be killed. SIGUSR1, SIGALRM and others that mean
 *          nothing here are logged. What the process that started the
 *          supervisor ignored or blocked does not count, except SIGHUP: nohup(1) ignores it.
 * Where:   a signalfd(2): no code runs in a handler.
 * Blocks:  never.
 */
#ifndef PX_SIGNALS_H
#define PX_SIGNALS_H

#include <signal.h>

#include "supervisor/event_loop.h"

struct px_supervisor;

struct px_signals {
	sigset_t set; /* blocked, and read from: */
	int fd;       /* -1: not yet */
	struct px_watch watch;
};

/* From now on they wait until they are read; dispositions and mask are ours. */
void px_signals_take(struct px_signals *signals);
/* Reads them from now on. PX_ENOMEM, PX_ESYSTEM. */
int px_signals_watch(struct px_supervisor *s);
/* They stay blocked. */
void px_signals_close(struct px_supervisor *s);

#endif
