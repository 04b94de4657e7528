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
#include "supervisor/process.h"
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

static bool ignored(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void px_signals_take(struct px_signals *signals)
{
	bool nohup = ignored(SIGHUP);
	sigset_t *set = &signals->set;

	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGCHLD);
	/* That it is ignored is the wish of nohup(1); of all others it is an accident. */
	if (!nohup)
		sigaddset(set, SIGHUP);
	px_process_reset_signals(set);
	if (nohup)
		(void)signal(SIGHUP, SIG_IGN);
	/* These are errors of the call as well. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
}

int px_signals_watch(struct px_supervisor *s)
{
	s->signals.fd = signalfd(-1, &s->signals.set, SFD_CLOEXEC | SFD_NONBLOCK);
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
