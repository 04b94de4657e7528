/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signals.c - turns signals into marks.
 */
#include "supervisor/signals.h"

#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "shm/error.h"
#include "supervisor/process.h"
#include "supervisor/supervision.h"

static const int meaningless[] = {
	SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR,
};

static void ready(void *ctx)
{
	struct px_supervisor *s = ctx;
	struct signalfd_siginfo info;
	char name[32], why[64];

	if (read(s->signals.fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		s->turn.reap = true;
		return;
	}
	(void)px_exit_words(&(struct px_process_exit){ .signal = (int)info.ssi_signo }, name, sizeof(name));
	snprintf(why, sizeof(why), "%s from process %d", name, (int)info.ssi_pid);
	if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT || info.ssi_signo == SIGHUP)
		px_turn_stop(&s->turn, why);
	else
		px_log(&s->log, "%s is ignored", why);
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
	/* Their default is to end the process, without a word and without a stop of the engines. */
	for (size_t i = 0; i < sizeof(meaningless) / sizeof(meaningless[0]); i++)
		sigaddset(set, meaningless[i]);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		sigaddset(set, number);
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
