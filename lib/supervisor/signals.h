/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signals.h - the supervisor's signals.
 *
 * Who:     the supervisor. SIGCHLD marks the reap phase; SIGTERM, SIGINT and SIGHUP that the pool is
 *          to stop, a second one that it is to be killed.
 * Where:   a signalfd(2): no code runs in a handler.
 * Blocks:  never.
 */
#ifndef PX_SIGNALS_H
#define PX_SIGNALS_H

#include "supervisor/event_loop.h"

struct px_supervisor;

struct px_signals {
	int fd; /* -1: not taken */
	struct px_watch watch;
};

/* Takes them from now on. PX_ENOMEM, PX_ESYSTEM. */
int px_signals_take(struct px_supervisor *s);
/* They stay blocked. */
void px_signals_close(struct px_supervisor *s);

#endif
