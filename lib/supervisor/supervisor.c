/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * supervisor.c - the pool's start, its loop, and its end.
 */
#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine/address_space.h"
#include "machine/processors.h"
#include "pool/title.h"
#include "shm/doorbell.h"
#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/os.h"
#include "supervisor/engine.h"
#include "supervisor/engines.h"
#include "supervisor/environment.h"
#include "supervisor/pending.h"
#include "supervisor/service.h"
#include "supervisor/status.h"
#include "supervisor/supervision.h"

#define START_SECONDS 120

/* --- ready, or not --- */

/* Reports to the process that waits for the pool, once: '\0' and warnings, or "CODE words". */
static void report(struct px_supervisor *s)
{
	char text[sizeof(s->failure_words) + sizeof(s->warnings) + 16] = "";
	size_t length = 1;

	if (s->ready_fd < 0)
		return;
	if (s->failure)
		length =
			(size_t)snprintf(text, sizeof(text), "%d %s", s->failure, s->failure_words);
	else if (!s->ready)
		length = (size_t)snprintf(text, sizeof(text),
					  "%d the pool was stopped before its engines were ready",
					  PX_EPOOL);
	else
		length += (size_t)snprintf(text + 1, sizeof(text) - 1, "%s", s->warnings);
	(void)!write(s->ready_fd, text, length);
	close(s->ready_fd);
	s->ready_fd = -1;
}

static void fail(struct px_supervisor *s, int code, const char *why)
{
	char log[128];

	s->failure = code;
	snprintf(s->failure_words, sizeof(s->failure_words), "%.800s (the pool's log: %s)", why,
		 px_runtime_path(&s->options->runtime, "log", log, sizeof(log)));
	px_turn_stop(&s->turn, "it could not be started");
}

static void not_ready_in_time(void *ctx)
{
	struct px_supervisor *s = ctx;
	char why[64];

	if (s->failure || s->closing)
		return;
	snprintf(why, sizeof(why), "the pool was not ready within %.3g s",
		 (double)s->options->limit_ns / 1e9);
	fail(s, PX_ETIMEDOUT, why);
}

/* By Ctrl-C, most likely: a pool that nobody knows of is not to go on starting. */
static void starter_gone(void *ctx)
{
	struct px_supervisor *s = ctx;

	px_loop_unwatch(s->loop, &s->ready_watch);
	px_turn_stop(&s->turn, "whoever started it has ended before it was ready");
}

static void publish(struct px_supervisor *s)
{
	px_loop_timer_stop(s->loop, &s->limit);
	px_loop_unwatch(s->loop, &s->ready_watch);
	s->published = time(NULL);
	if (px_status_publish(s) < 0) {
		fail(s, PX_ESYSTEM, px_last_error());
		return;
	}
	s->ready = true;
	PX_KILLPOINT("supervisor.pool.published"); /* dead here: the next start removes the files */
	px_member_announce(s->segment);
	px_log(&s->log, "%u engines serve, %.0f ms after the start", s->engines_count,
	       (double)(px_os.now_ns() - s->began_ns) / 1e6);
	report(s);
	px_service_ready(s->engines_count);
	px_ahead_mark(s);
}

/* --- the phases of a turn --- */

/* The first time with time to end, the second time by killing. */
static void stop(struct px_supervisor *s)
{
	px_log(&s->log, s->closing ? "the pool is killed: %s" : "the pool stops: %s",
	       s->turn.stop_why);
	if (s->closing) {
		for (uint32_t i = 0; i < s->engines_count; i++)
			px_engine_kill(s->engines[i]);
		px_orphans_kill(s);
		return;
	}
	s->closing = true;
	px_service_stopping(s->failure ? s->failure_words : s->turn.stop_why);
	if (s->segment)
		/* SYNC pool.closing: release, before any engine is told; partner: px_client_stopping(). */
		atomic_store_explicit(&s->segment->rw.header->closing, 1, memory_order_release);
	s->turn.answer = true;
	px_connections_refuse(s);
	px_member_announce(s->segment);
	PX_KILLPOINT("supervisor.pool.closing"); /* dead here: as if killed before */
	/* Without it no engine is started any more; those already forked are stopped below. */
	px_template_end(s);
	px_world_stop(s);
	for (uint32_t i = 0; i < s->engines_count; i++)
		px_engine_stop(s->engines[i], false);
}

static void reap(struct px_supervisor *s)
{
	px_engines_reap(s);
	px_template_reap(s);
	px_world_reap(s);
	px_connections_reap(s);
	px_orphans_reap(s);
	/* The end of the pool waits for all of them. */
	s->turn.answer |= s->closing;
}

/* Reports to the starter of the pool, if all engines serve, or one of them never will. */
static void answer_starter(struct px_supervisor *s)
{
	uint32_t serve = 0;

	for (uint32_t i = 0; i < s->engines_count; i++) {
		/* Nobody has promised that they come. */
		if (s->engines[i]->origin == PX_ENGINE_JOINED) {
			serve++;
			continue;
		}
		if (s->engines[i]->life == PX_LIFE_GONE) {
			fail(s, PX_EENGINE, s->engines[i]->why);
			return;
		}
		serve += s->engines[i]->life == PX_LIFE_UP;
	}
	if (serve == s->engines_count)
		publish(s);
}

static void answer(struct px_supervisor *s)
{
	uint32_t gone = 0;

	px_pending_answer(s);
	for (uint32_t i = 0; i < s->engines_count; i++) {
		s->engines[i]->settled = false;
		gone += s->engines[i]->life == PX_LIFE_GONE;
	}
	if (s->closing)
		s->done = gone == s->engines_count && px_world_ended(s) && px_orphans_end(s);
	else if (!s->ready && !s->failure)
		answer_starter(s);
}

static bool take(bool *mark)
{
	bool was = *mark;

	*mark = false;
	return was;
}

/*
 * Does what the events of a step have marked, each phase once, whatever the number of events:
 *
 * stop    first, so that nothing more is begun for a pool that ends
 * reap    handles deaths before all else: peers wait to learn of them, and they decide what is
 *         to be started, who to answer, and what can be swept
 * admit   after dead clients have left their descriptors and places
 * files   puts back those of the pool that were deleted
 * start   replaces dead engines in the same turn
 * answer  everything is now as it will be until the next event: engines are up, gone or
 *         starting. Who waits for that is told: clients, the starter of the pool, the loop
 * sweep   last: it takes longest, and nobody waits for it
 *
 * A phase may mark an earlier one: a start that fails is a death, a failure of the pool a stop.
 */
static void run_phases(struct px_supervisor *s)
{
	if (take(&s->turn.stop))
		stop(s);
	if (take(&s->turn.reap))
		reap(s);
	if (take(&s->turn.admit))
		px_connections_admit(s);
	if (take(&s->turn.files))
		px_files_restore(s);
	if (take(&s->turn.start))
		px_engines_start(s);
	if (take(&s->turn.answer))
		answer(s);
	if (take(&s->turn.sweep))
		px_sweep(s);
}

/* --- starting --- */

/* No child may inherit these: as long as the lock is held, the pool counts as running. */
static void close_on_exec(int fd)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void set_up_process(struct px_supervisor *s)
{
	struct rlimit files;

	px_killpoint_role("supervisor");
	px_title_set(s->options->runtime.profile, "");
	/* The template orphans engines on purpose: as subreaper we become their parent. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	px_signals_take(&s->signals);
	px_orphans_begin(&s->orphans);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	close_on_exec(s->ready_fd);
	close_on_exec(s->options->owner_fd);
	if (s->log.fd > STDERR_FILENO)
		close_on_exec(s->log.fd);
}

static int make_segment(struct px_supervisor *s)
{
	const struct px_settings *settings = s->options->settings;
	uint64_t arena = px_settings_number(settings, PX_SETTING_ARENA);
	bool small = px_settings_number(settings, PX_SETTING_HUGE_PAGES) == PX_HUGE_PAGES_NEVER;
	int rc = px_segment_create(arena ? arena : px_extents_default_bytes(s->extents.root),
				   small ? PX_SEGMENT_SHM : PX_SEGMENT_HUGE, &s->segment);

	if (rc < 0)
		return px_address_space_explain(rc);
	s->extents.segment = s->segment;
	s->segment->rw.header->supervisor_pid = getpid();
	s->segment->rw.header->supervisor_start_time = px_member_start_time(getpid());
	s->segment->rw.header->spin_ns = px_doorbell_measure_ns();
	return 0;
}

static int begin(struct px_supervisor *s)
{
	const struct px_supervisor_options *options = s->options;
	const struct px_settings *settings = options->settings;
	uint32_t processors = px_processors();
	uint32_t engines = (uint32_t)px_settings_number(settings, PX_SETTING_ENGINES);
	char connection[128];
	int rc = px_loop_new((enum px_loop_kind)px_settings_number(settings, PX_SETTING_EVENT_LOOP),
			     &s->loop);

	if (rc == 0)
		rc = px_world_begin(s);
	/* Open MPI has as many slots as there are cores. */
	if (!engines)
		engines = s->world.on ? px_cores(s->extents.root) : processors;
	if (rc == 0)
		rc = px_signals_watch(s);
	if (rc == 0)
		rc = px_owner_watch(s);
	/* Nothing is ever sent to us there, so news is its end. */
	if (rc == 0 && s->ready_fd >= 0)
		rc = px_loop_watch(s->loop, &s->ready_watch, s->ready_fd, starter_gone, s);
	if (rc == 0 && options->limit_ns)
		px_loop_timer_set(s->loop, &s->limit, options->limit_ns, not_ready_in_time, s);
	if (rc == 0)
		rc = px_environment_new(environ, settings->values[PX_SETTING_ENV].list,
					processors > engines ? processors / engines : 1,
					px_runtime_path(&options->runtime, "connection.json",
							connection, sizeof(connection)),
					&s->environment);
	if (rc == 0)
		rc = make_segment(s);
	if (rc == 0)
		rc = px_connections_open(s);
	if (rc == 0)
		px_files_begin(s);
	s->engines_asked = engines;
	/* Of an empty pool the starter is told at once. */
	s->turn.answer = options->empty;
	for (uint32_t i = 0; i < engines && rc == 0 && !options->empty; i++) {
		struct px_engine *engine;

		rc = px_engine_new(s, s->world.on ? PX_ENGINE_RANK : PX_ENGINE_OURS, &engine);
	}
	return rc;
}

/* --- the whole --- */

static void end(struct px_supervisor *s)
{
	if (s->loop) {
		px_template_end(s);
		px_world_end(s);
		px_orphans_end_last(s);
	}
	for (uint32_t i = 0; i < s->engines_count; i++)
		px_engine_free(s->engines[i]);
	if (s->segment && s->loop)
		px_connections_close(s);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	px_owner_close(s);
	if (s->loop) {
		px_loop_unwatch(s->loop, &s->ready_watch);
		px_loop_timer_stop(s->loop, &s->limit);
		px_loop_timer_stop(s->loop, &s->sweep.timer);
		px_loop_timer_stop(s->loop, &s->ahead.timer);
		px_loop_timer_stop(s->loop, &s->orphans.timer);
		px_files_close(s);
		px_signals_close(s);
		px_loop_free(s->loop);
	}
	if (s->lifeline >= 0)
		close(s->lifeline);
	px_segment_detach(s->segment);
	px_environment_free(s->environment);
	PX_KILLPOINT("supervisor.pool.ended"); /* dead here: the next start removes the files */
	if (px_files_ours(s))
		px_runtime_clean(&s->options->runtime,
				 px_runtime_is_private(&s->options->runtime) && !s->failure);
}

static struct px_supervisor *supervisor_new(const struct px_supervisor_options *options)
{
	struct px_supervisor *s = calloc(1, sizeof(*s));
	const char *root = options->root ? options->root : "";

	if (!s)
		return NULL;
	s->options = options;
	s->restart = (enum px_restart)px_settings_number(options->settings, PX_SETTING_RESTART);
	s->began_ns = px_os.now_ns();
	s->start_limit_ns = (options->start_seconds ? options->start_seconds : START_SECONDS) *
			    UINT64_C(1000000000);
	s->log.fd = options->log_fd;
	s->ready_fd = options->ready_fd;
	s->signals.fd = -1;
	s->owner.pidfd = -1;
	s->files.inotify = -1;
	s->extents.root = root;
	s->template = (struct px_template){ .socket = -1, .output = -1, .process.pidfd = -1 };
	s->lifeline = -1;
	s->world = (struct px_world){ .output = -1, .process.pidfd = -1 };
	s->connections.listener = s->connections.spare = -1;
	px_oom_begin(&s->oom, root);
	return s;
}

int px_supervisor_run(const struct px_supervisor_options *options)
{
	struct px_supervisor *s = supervisor_new(options);
	int rc;

	if (!s) {
		(void)px_fail(PX_ENOMEM, "no private memory for a supervisor");
		return 1;
	}
	set_up_process(s);
	rc = begin(s);
	if (rc < 0) {
		s->failure = rc;
		snprintf(s->failure_words, sizeof(s->failure_words), "%.1000s", px_last_error());
		px_log(&s->log, "the pool cannot be started: %s", s->failure_words);
	}
	/* Events only mark what is to be done; each turn of this loop then does it. */
	while (rc == 0 && !s->done) {
		rc = px_loop_step(s->loop, !px_turn_marked(&s->turn));
		run_phases(s);
	}
	if (rc < 0 && !s->failure)
		px_log(&s->log, "the pool ends: %s", px_last_error());
	end(s);
	px_log(&s->log, "the pool has stopped");
	report(s);
	if (s->failure)
		rc = px_fail(s->failure, "%s", s->failure_words);
	free(s);
	return rc < 0;
}
