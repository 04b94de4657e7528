/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine_end.c - marks a dead engine, reports its end, and decides whether it is replaced.
 */
#include "supervisor/engine_end.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/killpoint.h"
#include "supervisor/backoff.h"
#include "supervisor/engine.h"
#include "supervisor/last_words.h"
#include "supervisor/supervision.h"
#include "supervisor/supervisor.h"

/* Whether another process replaces one that ended like this. */
static bool is_replaced(const struct px_engine *e, const struct px_process_exit *how)
{
	const struct px_supervisor *s = e->supervisor;

	if (s->closing || e->origin == PX_ENGINE_JOINED)
		return false;
	/* One that was told to restart is not to wait for others that will not come. */
	if (e->origin == PX_ENGINE_RANK && s->world.falls)
		return s->world.follows;
	if (e->told)
		return e->keep;
	if (s->restart == PX_RESTART_NEVER)
		return false;
	if (!e->served)
		return e->starts_failed < PX_STARTS_MAX;
	return s->restart == PX_RESTART_ALWAYS || how->signal || how->code;
}

/* Copies what faulthandler has written to the crash text in the engine's block, where clients look. */
static void keep_crash_text(const struct px_engine *e)
{
	struct px_segment *segment = e->supervisor->segment;
	char text[8192];
	ssize_t got = pread(e->ours.crash, text, sizeof(text) - 1, 0);
	off_t at;

	if (got <= 0 || !text[0] || !e->member.epoch)
		return;
	text[got] = '\0';
	at = (off_t)(px_segment_block_offset(segment, e->member.slot) +
		     offsetof(struct px_block_shm, crash));
	/* Its pages are reserved since the engine joined. */
	if (pwrite(segment->fd, text, strlen(text) + 1, at) < 0)
		px_log(&e->supervisor->log, "engine %u: its stack cannot be kept: %s", e->id,
		       strerror(errno));
}

/* Comes first: clients that wait for the dead engine learn of it before anything else is done. */
static void mark_dead(struct px_engine *e, const struct px_process_exit *how, bool oom_killed,
		      bool follows)
{
	struct px_supervisor *s = e->supervisor;
	struct px_segment *segment = s->segment;
	struct px_death death = {
		.exit_signal = how->signal,
		.exit_code = how->code,
		.oom_killed = oom_killed,
		.expected = e->told,
	};

	if (e->origin == PX_ENGINE_RANK)
		death.cause = px_world_cause(s, e);

	/* Before the death can be seen, for who sees it reads why. */
	keep_crash_text(e);
	PX_KILLPOINT("supervisor.engine.explained"); /* dead here: the pool ends */
	if (e->member.epoch)
		px_member_mark_dead(segment, e->member, &death);
	px_engine_publish(e, follows ? PX_ENGINE_STARTING : PX_ENGINE_GONE);
	px_member_announce(segment);
	PX_KILLPOINT("supervisor.engine.dead"); /* dead here: the pool ends */
}

/* Copies the crash text in the engine's block to the log. */
static void log_crash(const struct px_engine *e, const struct px_process_exit *how,
		      struct px_log_lines *lines)
{
	struct px_segment *segment = e->supervisor->segment;
	char text[8192];
	ssize_t got;

	if (!how->signal || !e->member.epoch)
		return;
	/* By pread(2): reading a hole through the map would allocate pages. */
	got = pread(segment->fd, text, sizeof(text),
		    (off_t)(px_segment_block_offset(segment, e->member.slot) +
			    offsetof(struct px_block_shm, crash)));
	if (got > 0)
		px_log_lines_add(lines, text, strnlen(text, (size_t)got));
}

/* What it has left in its pipes, and its crash. */
static void log_output(const struct px_engine *e, const struct px_process_exit *how,
		       struct px_last_words *words)
{
	struct px_log_lines lines;

	px_log_of_engine(&e->supervisor->log, e->id, &lines);
	px_last_words_drain(e->ours.out, &lines, NULL);
	px_log_lines_end(&lines);
	px_last_words_drain(e->ours.err, &lines, words);
	px_log_lines_end(&lines);
	log_crash(e, how, &lines);
	px_log_lines_end(&lines);
}

/* "engine 3 (process 123) died before it served: exit code 1: ImportError: …" */
static void explain(struct px_engine *e, pid_t pid, const struct px_process_exit *how,
		    bool oom_killed, struct px_last_words *words)
{
	const char *line = e->served || e->told ? "" : px_last_words_line(words);
	const char *join = oom_killed ? ", by the kernel's OOM killer" : *line ? ": " : "";
	char process[32] = "", end[64];

	/* If it has said the reason itself, that is better. */
	if (e->why[0])
		return;
	if (pid)
		snprintf(process, sizeof(process), " (process %d)", (int)pid);
	snprintf(e->why, sizeof(e->why), "engine %u%s %s%s%s%s%s%.300s", e->id, process,
		 e->told ? "ended" : "died", e->served || e->told ? "" : " before it served",
		 pid ? ": " : "", pid ? px_exit_words(how, end, sizeof(end)) : "", join, line);
}

/* What it leaves of its kernel would make Jupyter's clients wait for it, or find its successor deaf. */
static void unbind(const struct px_engine *e)
{
	const struct px_supervisor *s = e->supervisor;

	if (px_runtime_remove_kernel(&s->options->runtime, e->id) && !s->closing)
		px_log(&e->supervisor->log,
		       "engine %u: its kernel has ended with it, and kernel-%u.json is removed: bind_kernel() "
		       "makes another",
		       e->id, e->id);
}

/* Starts the replacement: at once, or after a delay if they die one after another. */
static void follow(struct px_engine *e)
{
	uint64_t delay = 0;

	if (!e->told) {
		/* That of a world is the world's. */
		if (e->origin != PX_ENGINE_RANK)
			delay = px_backoff_ns(&e->failures, e->started_ns);
		e->restarts++;
	}
	px_log(&e->supervisor->log, "%s; the next one starts in %u ms", e->why,
	       (unsigned)(delay / 1000000));
	e->generation++;
	if (delay)
		px_engine_back_off(e, delay);
	else
		px_engine_wait(e);
}

/* The process has ended; pid 0: its pid was never known. */
static void deal_with(struct px_engine *e, pid_t pid, const struct px_process_exit *how)
{
	struct px_supervisor *s = e->supervisor;
	bool oom_killed = how->signal == SIGKILL && !e->told && px_oom_charge(&s->oom);
	struct px_last_words words = { .used = 0 };
	char why[sizeof(e->why)];
	bool follows;

	if (!e->served && !e->told)
		e->starts_failed++;
	if (e->origin == PX_ENGINE_RANK)
		px_world_falls(s, e, pid, how);
	follows = is_replaced(e, how);
	mark_dead(e, how, oom_killed, follows);
	px_loop_timer_stop(s->loop, &e->timer);
	unbind(e);
	log_output(e, how, &words);
	if (!pid && e->ours.control >= 0 && e->origin == PX_ENGINE_OURS)
		px_template_answered(s);
	px_engine_close(e);
	explain(e, pid, how, oom_killed, &words);
	if (e->origin == PX_ENGINE_RANK)
		px_world_explain(s, e);
	e->member = (struct px_member_id){ 0 };
	if (follows) {
		follow(e);
	} else {
		memcpy(why, e->why, sizeof(why));
		px_log(&s->log, "%s", why);
		px_engine_give_up(e, why);
	}
	s->orphans.look = true;
	px_sweep_mark(s);
}

void px_engine_reap(struct px_engine *e)
{
	struct px_process_exit how = { .signal = 0, .code = 0 };
	pid_t pid = e->process.pid;

	if (!e->ended)
		return;
	e->ended = false;
	if (!pid || px_process_reap(&e->process, &how))
		deal_with(e, pid, &how);
	else if (px_engine_watch_death(e) < 0)
		px_log(&e->supervisor->log, "engine %u: %s", e->id, px_last_error());
}
