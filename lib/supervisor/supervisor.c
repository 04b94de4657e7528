/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * supervisor.c - the order in which a pool begins and ends.
 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/processors.h"
#include "shm/doorbell.h"
#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/os.h"
#include "supervisor/environment.h"
#include "supervisor/status.h"
#include "supervisor/supervision.h"

#define START_SECONDS 120
#define BACKOFF_MIN_NS UINT64_C(50000000)
#define BACKOFF_MAX_NS UINT64_C(5000000000)
#define SOON_NS UINT64_C(10000000000)

uint64_t px_supervisor_backoff_ns(uint32_t *failures, uint64_t started_ns)
{
	uint64_t delay = BACKOFF_MIN_NS;

	if (px_os.now_ns() - started_ns >= SOON_NS)
		*failures = 0;
	if (++*failures == 1)
		return 0;
	for (uint32_t i = 2; i < *failures && delay < BACKOFF_MAX_NS; i++)
		delay *= 2;
	return delay < BACKOFF_MAX_NS ? delay : BACKOFF_MAX_NS;
}

/* --- ready, or not --- */

/* The one word to whoever waits for the pool: '\0', or "CODE words". */
static void report(struct px_supervisor *s)
{
	char text[sizeof(s->failure_words) + 16] = "";
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
	(void)!write(s->ready_fd, text, length);
	close(s->ready_fd);
	s->ready_fd = -1;
}

void px_supervisor_fail(struct px_supervisor *s, int code, const char *why)
{
	if (s->failure || s->ready)
		return;
	s->failure = code;
	snprintf(s->failure_words, sizeof(s->failure_words), "%.*s",
		 (int)sizeof(s->failure_words) - 1, why);
	px_supervisor_stop(s, "it could not be started");
}

static void set_pool_state(struct px_supervisor *s, enum px_pool_state state)
{
	atomic_store_explicit(&s->segment->rw.header->pool_state, state, memory_order_release);
	px_member_announce(s->segment);
}

static void look_whether_ready(struct px_supervisor *s)
{
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (s->engines[i]->life != PX_LIFE_UP)
			return;
	if (px_status_publish(s) < 0) {
		px_supervisor_fail(s, PX_ESYSTEM, px_last_error());
		return;
	}
	s->ready = true;
	PX_KILLPOINT("supervisor.pool.published"); /* dead here: the next start removes the files */
	set_pool_state(s, PX_POOL_UP);
	px_log(&s->log, "%u engines serve, %.0f ms after the start", s->engines_count,
	       (double)(px_os.now_ns() - s->began_ns) / 1e6);
	report(s);
}

static void look_whether_done(struct px_supervisor *s)
{
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (s->engines[i]->life != PX_LIFE_GONE)
			return;
	s->done = true;
}

void px_supervisor_settled(struct px_supervisor *s, const struct px_engine *engine)
{
	px_pending_settled(s, engine);
	if (s->closing)
		look_whether_done(s);
	else if (!s->ready && engine->life == PX_LIFE_GONE)
		px_supervisor_fail(s, PX_EENGINE, engine->why);
	else if (!s->ready)
		look_whether_ready(s);
}

/* --- stopping --- */

void px_supervisor_stop(struct px_supervisor *s, const char *why)
{
	bool again = s->closing;

	px_log(&s->log, again ? "the pool is killed: %s" : "the pool stops: %s", why);
	if (again) {
		for (uint32_t i = 0; i < s->engines_count; i++)
			px_engine_kill(s->engines[i]);
		return;
	}
	s->closing = true;
	px_connections_refuse(s);
	set_pool_state(s, PX_POOL_CLOSING);
	PX_KILLPOINT("supervisor.pool.closing"); /* dead here: as if it were killed before */
	/* After it nobody comes. What it has forked speaks for itself. */
	px_template_end(s);
	for (uint32_t i = 0; i < s->engines_count; i++)
		px_engine_stop(s->engines[i], false);
	look_whether_done(s);
}

/* --- signals, children, the owner --- */

static void signals_ready(void *ctx)
{
	struct px_supervisor *s = ctx;
	struct signalfd_siginfo info;
	char why[64];

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		s->reap = true;
		return;
	}
	snprintf(why, sizeof(why), "SIG%s from process %d", sigabbrev_np((int)info.ssi_signo),
		 (int)info.ssi_pid);
	px_supervisor_stop(s, why);
}

/*
 * Reaps what engines and template have left to us. As long as an engine is on its
 * way whose pid is not known, nobody is taken for a stranger.
 */
static void reap(struct px_supervisor *s)
{
	siginfo_t info = { 0 };

	if (!s->reap || px_engines_unknown(s))
		return;
	s->reap = false;
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
		/* Those that have a pidfd are reaped by it. */
		if (info.si_pid == s->template.process.pid) {
			s->reap = true;
			return;
		}
		if (!px_engines_died(s, info.si_pid))
			(void)waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
		info.si_pid = 0;
	}
}

static void owner_ready(void *ctx)
{
	struct px_supervisor *s = ctx;
	char byte;
	ssize_t got = read(s->options->owner_fd, &byte, 1);

	if (got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN)))
		return;
	px_loop_unwatch(s->loop, &s->owner_watch);
	if (!s->closing)
		px_supervisor_stop(s, "its owner is gone");
}

/* --- starting --- */

/* Who inherits our descriptors must not: a lock that lives on is a pool that lives on. */
static void close_on_exec(int fd)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void set_up_process(struct px_supervisor *s)
{
	struct rlimit files;
	char title[16];

	px_killpoint_role("supervisor");
	snprintf(title, sizeof(title), "pxrun: %.8s", s->options->runtime.profile);
	(void)prctl(PR_SET_NAME, title);
	/* Engines are the template's grandchildren: orphaned on purpose, they become our children. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	close_on_exec(s->ready_fd);
	close_on_exec(s->options->owner_fd);
	if (s->log.fd > STDERR_FILENO)
		close_on_exec(s->log.fd);
}

static int take_signals(struct px_supervisor *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		return px_fail_errno("making a descriptor for signals");
	return px_loop_watch(s->loop, &s->signals_watch, s->signals, signals_ready, s);
}

static int make_segment(struct px_supervisor *s)
{
	const struct px_settings *settings = s->options->settings;
	uint64_t arena = px_settings_number(settings, PX_SETTING_ARENA);
	bool small = px_settings_number(settings, PX_SETTING_HUGE_PAGES) == PX_HUGE_PAGES_NEVER;
	int rc = px_segment_create(arena ? arena : px_extents_default_bytes(s->extents.root),
				   small ? PX_SEGMENT_SHM : PX_SEGMENT_HUGE, &s->segment);

	if (rc < 0)
		return rc;
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
	int rc = px_loop_new((enum px_loop_kind)px_settings_number(settings, PX_SETTING_EVENT_LOOP),
			     &s->loop);

	if (!engines)
		engines = processors;
	if (rc == 0)
		rc = take_signals(s);
	if (rc == 0 && options->owner_fd >= 0)
		rc = px_loop_watch(s->loop, &s->owner_watch, options->owner_fd, owner_ready, s);
	if (rc == 0)
		rc = px_environment_new(environ, settings->values[PX_SETTING_ENV].list,
					processors > engines ? processors / engines : 1,
					&s->environment);
	if (rc == 0)
		rc = make_segment(s);
	if (rc == 0)
		rc = px_connections_open(s);
	for (uint32_t i = 0; i < engines && rc == 0; i++) {
		struct px_engine *engine;

		rc = px_engine_new(s, &engine);
	}
	if (rc == 0)
		px_engines_pump(s);
	return rc;
}

/* --- the whole --- */

static void end(struct px_supervisor *s)
{
	if (s->loop)
		px_template_end(s);
	for (uint32_t i = 0; i < s->engines_count; i++)
		px_engine_free(s->engines[i]);
	if (s->segment && s->loop)
		px_connections_close(s);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (s->loop) {
		px_loop_timer_stop(s->loop, &s->sweep.timer);
		px_loop_free(s->loop);
	}
	if (s->signals >= 0)
		close(s->signals);
	if (s->options->owner_fd >= 0)
		close(s->options->owner_fd);
	px_segment_detach(s->segment);
	px_environment_free(s->environment);
	PX_KILLPOINT("supervisor.pool.ended"); /* dead here: the next start removes the files */
	px_runtime_clean(&s->options->runtime);
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
	s->signals = -1;
	s->extents.root = root;
	s->template = (struct px_template){ .socket = -1, .output = -1, .process.pidfd = -1 };
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
	while (rc == 0 && !s->done) {
		rc = px_loop_step(s->loop);
		reap(s);
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
