/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interrupt.c - an engine's signal handlers.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "python/ext/interrupt.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "engine/aim.h"
#include "engine/native.h"
#include "shm/error.h"

/* Global, because signal handlers have no other way to find the process's one engine. */
_Atomic int px_interrupt_stop;
static _Atomic int request_runs;
static struct px_engine_process *watched;
static pid_t engine_pid;

/*
 * If a signal arrives after Python last looked for signals and before the system call that it
 * makes next, it is noticed when that call returns: never, if that is pause() or a long sleep. So
 * a timer sends one more signal a moment later, only to interrupt such a call.
 */
#define NUDGE_NS 20000000

/*
 * The time after SIGTERM for interrupting the request and for what is done at exit. Less than the
 * supervisor waits before it kills (PX_STOP_GRACE_NS).
 */
#define END_SECONDS 2

static timer_t nudge, late;
static _Atomic int nudging;

static int make_timer(timer_t *timer)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
				  .sigev_signo = PX_SIGNAL_INTERRUPT,
				  .sigev_value.sival_ptr = timer };

	event._sigev_un._tid = gettid();
	return timer_create(CLOCK_MONOTONIC, &event, timer) < 0 ?
		       px_fail_errno("making an engine's timer") :
		       0;
}

static void interrupt_python(void)
{
	static const struct itimerspec once = { .it_value.tv_nsec = NUDGE_NS };

	PyErr_SetInterruptEx(SIGINT);
	/* Relaxed: what counts is the timer, which the kernel keeps. */
	atomic_store_explicit(&nudging, 1, memory_order_relaxed);
	(void)timer_settime(nudge, 0, &once, NULL);
}

static bool runs(void)
{
	/*
	 * SYNC interrupt.runs: seq_cst; who does not see the request run here comes before the look in
	 * px_interrupt_begin() for what is wanted; partner: px_interrupt_begin().
	 */
	return atomic_load_explicit(&request_runs, memory_order_seq_cst);
}

static void on_interrupt(int number, siginfo_t *info, void *context)
{
	(void)number, (void)info, (void)context;
	px_native_interrupt();
	/* An idle engine has nothing to interrupt. */
	if (runs())
		interrupt_python();
}

static void die(int number)
{
	(void)signal(number, SIG_DFL);
	(void)kill(getpid(), number); /* is delivered when this handler returns */
}

static void on_aimed_interrupt(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	if (info->si_code == SI_TIMER) {
		if (info->si_value.sival_ptr == &late)
			die(SIGTERM);
		return;
	}
	px_aim_take(watched, info);
	if (px_aim_hits(watched)) {
		px_native_interrupt();
		if (runs())
			interrupt_python();
	}
}

static void on_terminate(int number, siginfo_t *info, void *context)
{
	static const struct itimerspec once = { .it_value.tv_sec = END_SECONDS };
	bool told =
		info->si_code == SI_USER || info->si_code == SI_QUEUE || info->si_code == SI_TKILL;
	pid_t self = getpid();

	(void)context;
	if (self != engine_pid || (told && info->si_pid == self)) {
		die(number);
		return;
	}
	if (!atomic_exchange_explicit(&px_interrupt_stop, 1, memory_order_relaxed))
		(void)timer_settime(late, 0, &once, NULL);
	px_native_interrupt();
	/* Interrupts the running request, so that the loop sees that it has to stop. */
	if (runs())
		interrupt_python();
}

static void install(int number, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

int px_interrupt_watch(struct px_engine_process *engine)
{
	int rc = watched ? 0 : make_timer(&nudge);

	if (rc == 0 && !watched)
		rc = make_timer(&late);
	if (rc < 0)
		return rc;
	watched = engine;
	engine_pid = getpid();
	install(SIGINT, on_interrupt);
	install(PX_SIGNAL_INTERRUPT, on_aimed_interrupt);
	install(SIGTERM, on_terminate);
	return 0;
}

/*
 * User code may have set handlers of its own, be it for a while only, as asyncio.run() does. Then
 * Python keeps a signal until Python code runs again, which would be the next request.
 */
static void forget_signals(void)
{
	if (PyErr_CheckSignals() < 0)
		PyErr_Clear();
}

void px_interrupt_begin(void)
{
	forget_signals();
	/* SYNC interrupt.runs: seq_cst, store before the load of what is wanted; partner: runs(). */
	atomic_store_explicit(&request_runs, 1, memory_order_seq_cst);
	/* The signal may have come just before, while nothing ran. */
	if (watched && px_aim_hits(watched))
		interrupt_python();
}

void px_interrupt_end(void)
{
	static const struct itimerspec never = { 0 };

	atomic_store_explicit(&request_runs, 0, memory_order_relaxed);
	/* Or it ends a pause() of the next request. */
	if (atomic_exchange_explicit(&nudging, 0, memory_order_relaxed))
		(void)timer_settime(nudge, 0, &never, NULL);
	forget_signals();
}

void px_interrupt_idle(void)
{
	if (PyErr_CheckSignals() == 0)
		return;
	if (PyErr_ExceptionMatches(PyExc_SystemExit))
		PyErr_Print(); /* which ends the process */
	PyErr_Clear();
}
