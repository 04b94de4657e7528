/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signals.c - turns signals into marks.
 */
#include "supervisor/signals.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "shm/error.h"
#include "supervisor/supervision.h"

static void ready(void *ctx)
{
	struct px_supervisor *s = ctx;
	struct signalfd_siginfo info;
	char why[64];

	if (read(s->signals.fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		s->turn.reap = true;
		return;
	}
	snprintf(why, sizeof(why), "SIG%s from process %d", sigabbrev_np((int)info.ssi_signo),
		 (int)info.ssi_pid);
	px_turn_stop(&s->turn, why);
}

int px_signals_take(struct px_supervisor *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	s->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals.fd < 0)
		return px_fail_errno("making a descriptor for signals");
	return px_loop_watch(s->loop, &s->signals.watch, s->signals.fd, ready, s);
}

void px_signals_close(struct px_supervisor *s)
{
	if (s->signals.fd < 0)
		return;
	px_loop_unwatch(s->loop, &s->signals.watch);
	close(s->signals.fd);
	s->signals.fd = -1;
}
