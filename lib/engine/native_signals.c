/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native_signals.c - cancels functions, ends the engine, and says where it crashed.
 */
#include "engine/native_signals.h"

#include <execinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/aim.h"
#include "engine/native.h"
#include "shm/error.h"

/* As that of other engines: less than the supervisor waits before it kills. */
#define END_SECONDS 2
#define STACK_BYTES (64 << 10) /* of the handler: a crash may be for want of stack */
#define FRAMES_MAX 64
/* The handler itself, and what the kernel returns through. */
#define FRAMES_OURS 2

/* Global, because signal handlers have no other way to find the process's one engine. */
_Atomic int px_native_stop;
static struct px_engine_process *watched;
static pid_t engine_pid;
static int crash_fd;
static timer_t late;

static void die(int number)
{
	(void)signal(number, SIG_DFL);
	(void)kill(getpid(), number); /* is delivered when this handler returns */
}

static void on_interrupt(int number, siginfo_t *info, void *context)
{
	(void)number, (void)info, (void)context;
	px_native_interrupt();
}

static void on_aimed_interrupt(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	if (info->si_code == SI_TIMER) {
		die(SIGTERM);
		return;
	}
	px_aim_take(watched, info);
	if (px_aim_hits(watched))
		px_native_interrupt();
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
	if (!atomic_exchange_explicit(&px_native_stop, 1, memory_order_relaxed))
		(void)timer_settime(late, 0, &once, NULL);
	px_native_interrupt();
}

static void on_crash(int number)
{
	static const char words[] = "Native stack (most recent call first):\n";
	void *frames[FRAMES_MAX];
	int count;

	/* Not of a child that the function has forked, whose end is its own business. */
	if (getpid() == engine_pid) {
		(void)!write(crash_fd, words, sizeof(words) - 1);
		count = backtrace(frames, FRAMES_MAX);
		if (count > FRAMES_OURS)
			backtrace_symbols_fd(frames + FRAMES_OURS, count - FRAMES_OURS, crash_fd);
	}
	die(number);
}

static void install(int number, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

static int watch_crashes(int crash)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	struct sigaction action = { .sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_RESETHAND };
	stack_t stack = { .ss_sp = malloc(STACK_BYTES), .ss_size = STACK_BYTES };

	if (!stack.ss_sp)
		return px_fail(PX_ENOMEM, "no private memory for a signal handler's stack");
	if (sigaltstack(&stack, NULL) < 0) {
		free(stack.ss_sp);
		return px_fail_errno("giving signal handlers a stack");
	}
	crash_fd = crash;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		sigaction(fatal[i], &action, NULL);
	return 0;
}

void px_native_signals_prepare(void)
{
	void *frames[FRAMES_MAX];

	/* The first call loads the unwinder, which must not happen in a handler. */
	(void)backtrace(frames, FRAMES_MAX);
}

int px_native_signals_watch(struct px_engine_process *engine, int crash)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
				  .sigev_signo = PX_SIGNAL_INTERRUPT };

	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &late) < 0)
		return px_fail_errno("making an engine's timer");
	watched = engine;
	engine_pid = getpid();
	install(SIGINT, on_interrupt);
	install(PX_SIGNAL_INTERRUPT, on_aimed_interrupt);
	install(SIGTERM, on_terminate);
	return watch_crashes(crash);
}
