/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * orphans.c - names, reaps and ends processes that engines left behind.
 */
#include "supervisor/orphans.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

#include "supervisor/children.h"
#include "supervisor/engines.h"
#include "supervisor/supervision.h"

/* The time between SIGTERM and SIGKILL. */
#define ORPHAN_GRACE_NS UINT64_C(2000000000)
/* Milliseconds for processes to vanish that were sent SIGKILL. */
#define LAST_MOMENTS 1000

/* The place of an orphan that was seen before, seen_count if it was not. */
static uint32_t find(const struct px_orphans *o, pid_t pid)
{
	uint32_t i = 0;

	while (i < o->seen_count && o->seen[i].pid != pid)
		i++;
	return i;
}

static void forget(struct px_orphans *o, pid_t pid)
{
	uint32_t i = find(o, pid);

	if (i < o->seen_count)
		o->seen[i] = o->seen[--o->seen_count];
}

void px_orphans_begin(struct px_orphans *o)
{
	/* If `pxrun start` runs in the foreground: its process that waits to print that it is ready. */
	if (px_children_list(&o->foreign, 1) == 0)
		o->foreign = 0;
}

/* Children that are neither engines nor the template. */
static size_t list(const struct px_supervisor *s, pid_t *out)
{
	size_t count = px_children_list(out, PX_ORPHANS_MAX), kept = 0;

	for (size_t i = 0; i < count; i++)
		if (out[i] != s->orphans.foreign && out[i] != s->template.process.pid &&
		    out[i] != s->world.process.pid && !px_engines_have(s, out[i]))
			out[kept++] = out[i];
	return kept;
}

/* --- while the pool runs --- */

/* True: another child with its own pidfd stands before those that could be reaped. */
static bool reap(struct px_supervisor *s)
{
	siginfo_t info = { 0 };

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
		if (info.si_pid == s->template.process.pid) {
			px_template_ended(s);
			return true;
		}
		if (info.si_pid == s->world.process.pid) {
			px_world_process_ended(s);
			return true;
		}
		if (px_engines_ended(s, info.si_pid))
			return true;
		forget(&s->orphans, info.si_pid);
		(void)waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
		info.si_pid = 0;
	}
	return false;
}

static void name_new_ones(struct px_supervisor *s)
{
	struct px_orphans *o = &s->orphans;
	pid_t pids[PX_ORPHANS_MAX];
	size_t count = list(s, pids);
	char name[32];

	for (size_t i = 0; i < count; i++) {
		if (find(o, pids[i]) < o->seen_count)
			continue;
		px_log(&s->log,
		       "process %d (%s) was left behind by an engine: it is ended when the pool "
		       "stops",
		       (int)pids[i], px_children_name(pids[i], name, sizeof(name)));
		if (o->seen_count < PX_ORPHANS_MAX) {
			o->seen[o->seen_count].told = false;
			o->seen[o->seen_count++].pid = pids[i];
		}
	}
}

void px_orphans_reap(struct px_supervisor *s)
{
	/*
	 * As long as the pid of some engine is not known yet, no child can be taken for an orphan; the
	 * engine marks this phase when its pid is known.
	 */
	if (px_engines_unknown(s) || reap(s))
		return;
	if (s->orphans.look && !s->closing) {
		s->orphans.look = false;
		name_new_ones(s);
	}
}

/* --- when it stops --- */

static void waited_enough(void *ctx)
{
	struct px_supervisor *s = ctx;

	s->orphans.given_up = s->orphans.killing;
	s->orphans.killing = true;
	s->turn.answer = true;
}

void px_orphans_kill(struct px_supervisor *s)
{
	if (!s->orphans.killing)
		waited_enough(s);
}

/* True the first time. */
static bool tell(struct px_orphans *o, pid_t pid)
{
	uint32_t i = find(o, pid);

	if (i < o->seen_count) {
		bool told = o->seen[i].told;

		o->seen[i].told = true;
		return !told;
	}
	if (o->seen_count < PX_ORPHANS_MAX) {
		o->seen[o->seen_count].told = true;
		o->seen[o->seen_count++].pid = pid;
	}
	return true;
}

bool px_orphans_end(struct px_supervisor *s)
{
	struct px_orphans *o = &s->orphans;
	pid_t pids[PX_ORPHANS_MAX];
	size_t count = list(s, pids);
	char name[32];

	if (count && !o->given_up && !o->timer.deadline_ns)
		px_loop_timer_set(s->loop, &o->timer, ORPHAN_GRACE_NS, waited_enough, s);
	for (size_t i = 0; i < count; i++) {
		(void)px_children_name(pids[i], name, sizeof(name));
		if (o->given_up)
			px_log(&s->log, "process %d (%s) does not end", (int)pids[i], name);
		else if (tell(o, pids[i]))
			px_log(&s->log, "process %d (%s), which an engine left behind, is ended",
			       (int)pids[i], name);
		else if (!o->killing)
			continue;
		(void)kill(pids[i], o->killing ? SIGKILL : SIGTERM);
	}
	if (count && !o->given_up)
		return false;
	px_loop_timer_stop(s->loop, &o->timer);
	return true;
}

void px_orphans_end_last(struct px_supervisor *s)
{
	struct timespec moment = { .tv_nsec = 1000000 };
	pid_t pids[PX_ORPHANS_MAX], reaped;
	size_t count;
	int none = 0; /* times in a row that the list was empty: it misses some while others exit */

	for (int i = 0; i < LAST_MOMENTS && !s->orphans.given_up && none < 3; i++) {
		do
			reaped = waitpid(-1, NULL, WNOHANG);
		while (reaped > 0);
		if (reaped < 0)
			return;
		count = list(s, pids);
		none = count ? 0 : none + 1;
		while (count)
			(void)kill(pids[--count], SIGKILL);
		nanosleep(&moment, NULL);
	}
}
