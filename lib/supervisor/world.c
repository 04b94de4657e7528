/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * world.c - starts mpiexec, and ends and replaces a whole MPI world.
 */
#include "supervisor/world.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/os.h"
#include "supervisor/backoff.h"
#include "supervisor/command_line.h"
#include "supervisor/engine.h"
#include "supervisor/supervision.h"

/* For mpiexec to remove its files, after the last rank has ended. */
#define MPIEXEC_GRACE_NS UINT64_C(2000000000)
/* For mpiexec to end by itself after a rank has; Open MPI's takes a second. */
#define MPIEXEC_NOTICE_NS UINT64_C(2000000000)
#define ARGUMENTS_MAX 64
/* … of its output, after its end: what a pipe holds. */
#define LAST_READS 16

int px_world_begin(struct px_supervisor *s)
{
	const struct px_settings *settings = s->options->settings;

	s->world.on = px_settings_number(settings, PX_SETTING_LAUNCHER) == PX_LAUNCHER_MPI;
	if (s->world.on && px_settings_number(settings, PX_SETTING_NATIVE))
		return px_fail(PX_EINVAL,
			       "launcher: mpi and native: native engines are forked, and cannot be "
			       "ranks of MPI; leave one of the two out");
	if (s->world.on && (px_settings_number(settings, PX_SETTING_MAX_TASKS) ||
			    px_settings_number(settings, PX_SETTING_MAX_MEMORY)))
		return px_fail(
			PX_EINVAL,
			"launcher: mpi and max_tasks or max_memory: a rank of MPI cannot be "
			"renewed without ending what the others do; leave one of the two out");
	/* A profile may have them for pools that ask for the launcher when they start. */
	if (!s->world.on && (settings->values[PX_SETTING_MPIEXEC].source == PX_FROM_OPTION ||
			     settings->values[PX_SETTING_MPI_ARGS].source == PX_FROM_OPTION))
		return px_fail(PX_EINVAL,
			       "mpiexec and mpi_args are for engines that are ranks of MPI: add "
			       "--launcher mpi, or engines='mpi' of Cluster()");
	return 0;
}

/* --- mpiexec's output --- */

static void heard(struct px_world *w, const char *bytes, size_t count)
{
	size_t room = sizeof(w->begun) - 1 - w->begun_bytes;

	px_log_lines_add(&w->lines, bytes, count);
	px_last_words_add(&w->words, bytes, count);
	if (count > room)
		count = room;
	for (size_t i = 0; i < count; i++)
		w->begun[w->begun_bytes++] = bytes[i] ? bytes[i] : ' ';
	w->begun[w->begun_bytes] = '\0';
}

/* False: there is no more, for now or for ever. */
static bool read_output(struct px_supervisor *s)
{
	struct px_world *w = &s->world;
	char bytes[4096];
	ssize_t got;

	if (w->output < 0)
		return false;
	got = read(w->output, bytes, sizeof(bytes));
	if (got > 0)
		heard(w, bytes, (size_t)got);
	else if (got == 0 || (errno != EAGAIN && errno != EINTR))
		px_loop_unwatch(s->loop, &w->output_watch);
	if (got <= 0 || (size_t)got < sizeof(bytes))
		px_log_lines_flush(&w->lines);
	return got > 0;
}

static void output_ready(void *ctx)
{
	(void)read_output(ctx);
}

/*
 * The first paragraph of its output, which says what was wrong, as one line; what follows says how to get help,
 * or where in mpiexec that was noticed. Open MPI and MPICH draw rules around what they say.
 */
static const char *first_words(struct px_world *w)
{
	char *words = w->begun + strspn(w->begun, " \t\r\n-="), *end = words;

	for (const char *from = words; *from;) {
		size_t gap = strspn(from, " \t\r\n"), lines = 0;

		for (size_t i = 0; i < gap; i++)
			lines += from[i] == '\n';
		/* What is announced by a colon may stand apart. */
		if (lines && end[-1] != ':' && (lines > 1 || strchr("-=", from[gap])))
			break;
		if (gap)
			*end++ = ' ';
		else
			*end++ = *from;
		from += gap ? gap : 1;
	}
	*end = '\0';
	return words;
}

/* What mpiexec's end means, and what to do about it. */
static void explain_mpiexec(struct px_supervisor *s, pid_t pid, const struct px_process_exit *how)
{
	struct px_world *w = &s->world;
	char end[64];
	const char *line;

	if (strstr(w->begun, "not enough slots"))
		snprintf(w->why, sizeof(w->why),
			 "Open MPI has fewer slots on this machine than the %u engines that are "
			 "to start: ask for fewer, or let several share a processor by `mpi_args: "
			 "--oversubscribe` in the profile, --mpi-args=--oversubscribe, or "
			 "Cluster(mpi_args='--oversubscribe')",
			 s->engines_count);
	else if (strstr(w->begun, "run as root"))
		snprintf(w->why, sizeof(w->why),
			 "Open MPI starts no programs for root: start the pool as another user, or "
			 "insist by `mpi_args: --allow-run-as-root` in the profile, "
			 "--mpi-args=--allow-run-as-root, or "
			 "Cluster(mpi_args='--allow-run-as-root')");
	else if (!w->served && w->refused[0])
		snprintf(w->why, sizeof(w->why), "%s", w->refused);
	else {
		line = w->served ? px_last_words_line(&w->words) : first_words(w);
		snprintf(w->why, sizeof(w->why), "mpiexec (process %d) ended%s: %s%s%.400s",
			 (int)pid, w->served ? "" : " before its engines served",
			 px_exit_words(how, end, sizeof(end)), *line ? ": " : "", line);
	}
}

/* --- its fall --- */

static void kill_mpiexec(void *ctx)
{
	struct px_supervisor *s = ctx;

	px_log(&s->log, "mpiexec (process %d) is killed: its ranks have ended, and it has not",
	       (int)s->world.process.pid);
	px_process_kill(&s->world.process);
}

/* It does not end by itself. While it does, Open MPI's would crash of that, and leave its files. */
static void tell_mpiexec(void *ctx)
{
	struct px_supervisor *s = ctx;

	(void)px_process_signal(&s->world.process, SIGTERM);
	px_loop_timer_set(s->loop, &s->world.timer, MPIEXEC_GRACE_NS, kill_mpiexec, s);
}

/* Engines that run, or are expected. */
static bool lives(const struct px_engine *e)
{
	return e->life == PX_LIFE_STARTING || e->life == PX_LIFE_UP || e->life == PX_LIFE_DYING;
}

/* MPI does it as well, but takes its time, and one that computes does not notice. */
static void end_others(struct px_supervisor *s, const struct px_engine *first)
{
	for (uint32_t i = 0; i < s->engines_count; i++) {
		struct px_engine *e = s->engines[i];

		if (e == first || !lives(e))
			continue;
		if (e->process.pid)
			px_process_kill(&e->process);
		else
			px_engine_ended(e);
	}
}

static bool all_up(const struct px_supervisor *s)
{
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (!s->engines[i]->served)
			return false;
	return true;
}

/* … and are to go on. Those that are told to end may take mpiexec along. */
static bool any_lives(const struct px_supervisor *s)
{
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (lives(s->engines[i]) && !s->engines[i]->told)
			return true;
	return false;
}

static bool is_followed(struct px_supervisor *s, const struct px_engine *e,
			const struct px_process_exit *how)
{
	struct px_world *w = &s->world;

	if (e && e->told) /* to be replaced */
		return !s->closing;
	if (w->served)
		w->starts_failed = 0;
	else
		w->starts_failed++;
	if (s->closing || s->restart == PX_RESTART_NEVER)
		return false;
	/* What hinders the first start hinders the next as well. */
	if (!w->served)
		return s->ready && w->starts_failed < PX_STARTS_MAX;
	return s->restart == PX_RESTART_ALWAYS || how->signal || how->code;
}

/* engine NULL: mpiexec itself has ended. */
static void fall(struct px_supervisor *s, const struct px_engine *e, pid_t pid,
		 const struct px_process_exit *how)
{
	struct px_world *w = &s->world;

	w->falls = true;
	w->served = all_up(s);
	w->follows = is_followed(s, e, how);
	w->delay_ns =
		w->follows && !(e && e->told) ? px_backoff_ns(&w->failures, w->started_ns) : 0;
	w->cause = (struct px_cause){ e ? (int32_t)e->id : -1, pid, how->signal, how->code };
	end_others(s, e);
	if (w->process.pid)
		px_loop_timer_set(s->loop, &w->timer, MPIEXEC_NOTICE_NS, tell_mpiexec, s);
	PX_KILLPOINT("supervisor.world.falls"); /* dead here: the pool ends */
}

void px_world_falls(struct px_supervisor *s, const struct px_engine *e, pid_t pid,
		    const struct px_process_exit *how)
{
	if (s->world.state != PX_WORLD_RUNNING || s->world.falls)
		return;
	/* A restart leaves those that are starting alone; but they would wait for this one's successor for ever. */
	if (!e->told || (e->keep && any_lives(s)))
		fall(s, e, pid, how);
}

struct px_cause px_world_cause(const struct px_supervisor *s, const struct px_engine *e)
{
	const struct px_world *w = &s->world;

	if (!w->falls || e->told || w->cause.engine == (int32_t)e->id)
		return (struct px_cause){ 0 };
	return w->cause;
}

void px_world_explain(struct px_supervisor *s, struct px_engine *e)
{
	struct px_world *w = &s->world;

	if (!w->falls || (e->told && w->cause.engine != (int32_t)e->id))
		return;
	/* mpiexec ends the others for it. */
	if (!w->served && w->refused[0])
		snprintf(e->why, sizeof(e->why), "%s", w->refused);
	if (w->cause.engine == (int32_t)e->id)
		snprintf(w->why, sizeof(w->why), "%s", e->why);
	else if (!e->served)
		snprintf(e->why, sizeof(e->why), "%s", w->why);
	else
		snprintf(e->why, sizeof(e->why), "engine %u was ended with its MPI world: %.900s",
			 e->id, w->why);
}

void px_world_refuses(struct px_supervisor *s)
{
	snprintf(s->world.refused, sizeof(s->world.refused), "%s", px_last_error());
}

/* --- the end of mpiexec --- */

static void let_go(struct px_supervisor *s)
{
	struct px_world *w = &s->world;

	/* What it has left there; a process that it has left as well may fill the pipe faster than we read. */
	for (size_t i = 0; i < LAST_READS && read_output(s); i++)
		;
	px_log_lines_end(&w->lines);
	px_loop_timer_stop(s->loop, &w->timer);
	px_loop_unwatch(s->loop, &w->output_watch);
	px_loop_unwatch(s->loop, &w->death_watch);
	if (w->output >= 0)
		close(w->output);
	w->output = -1;
}

void px_world_process_ended(struct px_supervisor *s)
{
	px_loop_unwatch(s->loop, &s->world.death_watch);
	s->world.ended = true;
	s->turn.reap = true;
}

static void died(void *ctx)
{
	px_world_process_ended(ctx);
}

static int watch_death(struct px_supervisor *s)
{
	return px_loop_watch(s->loop, &s->world.death_watch, s->world.process.pidfd, died, s);
}

static void back_off_over(void *ctx)
{
	struct px_supervisor *s = ctx;

	s->world.state = PX_WORLD_ABSENT;
	s->world.delay_ns = 0;
	s->turn.start = true;
}

void px_world_hurry(struct px_supervisor *s)
{
	struct px_world *w = &s->world;

	/* It is decided when a world falls, and begins when its mpiexec has ended. */
	if (!w->delay_ns)
		return;
	px_log(&s->log, "the next MPI world starts at once, as it is asked for");
	w->delay_ns = 0;
	if (w->state == PX_WORLD_BACKOFF) {
		px_loop_timer_stop(s->loop, &w->timer);
		back_off_over(s);
	}
}

/* Those that have not joined will not, and nobody is to wait for them. */
static void end_expected(struct px_supervisor *s)
{
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (s->engines[i]->life == PX_LIFE_DYING && s->engines[i]->ours.control < 0)
			px_engine_ended(s->engines[i]);
}

void px_world_reap(struct px_supervisor *s)
{
	struct px_world *w = &s->world;
	pid_t pid = w->process.pid;
	struct px_process_exit how;

	if (!w->ended)
		return;
	w->ended = false;
	if (!px_process_reap(&w->process, &how)) {
		if (pid && watch_death(s) < 0)
			px_log(&s->log, "mpiexec: %s", px_last_error());
		return;
	}
	let_go(s);
	if (!w->falls && !s->closing && any_lives(s)) {
		w->served = all_up(s);
		explain_mpiexec(s, pid, &how);
		px_log(&s->log, "%s", w->why);
		fall(s, NULL, pid, &how);
	}
	end_expected(s);
	w->state = PX_WORLD_ABSENT;
	s->turn.start = true;
	if (w->falls && w->delay_ns) {
		w->state = PX_WORLD_BACKOFF;
		px_loop_timer_set(s->loop, &w->timer, w->delay_ns, back_off_over, s);
	}
}

void px_world_stop(struct px_supervisor *s)
{
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (s->engines[i]->process.pid)
			return;
	/* It is still starting, and nobody else would tell it. */
	(void)px_process_signal(&s->world.process, SIGTERM);
}

bool px_world_ended(struct px_supervisor *s)
{
	struct px_world *w = &s->world;

	if (w->process.pid && !w->timer.deadline_ns)
		px_loop_timer_set(s->loop, &w->timer, MPIEXEC_GRACE_NS, kill_mpiexec, s);
	return w->process.pid == 0;
}

void px_world_end(struct px_supervisor *s)
{
	px_process_end(&s->world.process);
	let_go(s);
}

/* --- its start --- */

struct command {
	char *argv[ARGUMENTS_MAX];
	int count;
	char words[4096]; /* of mpi_args, apart */
	char ranks[16], number[24];
};

static void add(struct command *command, const char *argument)
{
	command->argv[command->count++] = (char *)(uintptr_t)argument;
}

/* Room is left for what comes behind them. */
static int add_words(struct command *command, const char *text)
{
	char *save = NULL;

	if ((size_t)snprintf(command->words, sizeof(command->words), "%s", text) >=
	    sizeof(command->words))
		return px_fail(PX_EINVAL, "mpi_args has more than %zu characters",
			       sizeof(command->words) - 1);
	for (char *word = strtok_r(command->words, " \t\n", &save); word;
	     word = strtok_r(NULL, " \t\n", &save)) {
		if (command->count == ARGUMENTS_MAX - 12)
			return px_fail(PX_EINVAL, "mpi_args has more than %d words",
				       ARGUMENTS_MAX - 13);
		add(command, word);
	}
	return 0;
}

static int compose(const struct px_supervisor *s, struct command *command)
{
	const struct px_settings *settings = s->options->settings;
	const char *more = px_settings_text(settings, PX_SETTING_MPI_ARGS);
	int rc;

	*command = (struct command){ .count = 0 };
	add(command, px_settings_text(settings, PX_SETTING_MPIEXEC));
	rc = add_words(command, more ? more : "");
	if (rc < 0)
		return rc;
	snprintf(command->ranks, sizeof(command->ranks), "%u", s->engines_count);
	snprintf(command->number, sizeof(command->number), "%" PRIu64, s->world.number);
	add(command, "-n");
	add(command, command->ranks);
	add(command, px_command_line_self());
	add(command, "engine");
	add(command, "--profile");
	add(command, s->options->runtime.profile);
	add(command, "--world");
	add(command, command->number);
	return 0;
}

static int launch(struct px_supervisor *s)
{
	struct px_world *w = &s->world;
	struct command command;
	int pipe_ends[2];
	int rc = compose(s, &command);

	if (rc < 0)
		return rc;
	if (pipe2(pipe_ends, O_CLOEXEC) < 0)
		return px_fail_errno("making a pipe to mpiexec");
	struct px_spawn spawn = {
		.argv = command.argv,
		.environment = s->environment,
		.fds = { -1, pipe_ends[1], pipe_ends[1], -1, -1, -1, -1, -1, -1 },
	};
	(void)fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
	w->output = pipe_ends[0];
	rc = px_process_spawn(&spawn, &w->process);
	close(pipe_ends[1]);
	PX_KILLPOINT("supervisor.world.started"); /* dead here: the pool ends */
	if (rc == 0)
		rc = px_loop_watch(s->loop, &w->output_watch, w->output, output_ready, s);
	if (rc == 0)
		rc = watch_death(s);
	if (rc < 0) {
		px_process_end(&w->process);
		let_go(s);
	}
	return rc;
}

/* The reason in words; those of a missing program say what to install. */
static void cannot_start(struct px_supervisor *s, int error)
{
	struct px_world *w = &s->world;

	if (error == ENOENT)
		snprintf(w->why, sizeof(w->why),
			 "launcher: mpi needs MPI's mpiexec, and there is no program '%.300s': "
			 "install Open MPI (Debian: openmpi-bin) or MPICH (mpich), or name its "
			 "path by mpiexec",
			 px_settings_text(s->options->settings, PX_SETTING_MPIEXEC));
	else
		snprintf(w->why, sizeof(w->why), "the MPI world cannot be started: %.700s",
			 px_last_error());
	px_log(&s->log, "%s", w->why);
	for (uint32_t i = 0; i < s->engines_count; i++)
		px_engine_give_up(s->engines[i], w->why);
}

static bool all_wait(const struct px_supervisor *s)
{
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (s->engines[i]->life != PX_LIFE_WAITING)
			return false;
	return s->engines_count > 0;
}

void px_world_start(struct px_supervisor *s)
{
	struct px_world *w = &s->world;

	if (!w->on || w->state != PX_WORLD_ABSENT || !all_wait(s))
		return;
	w->number++;
	w->falls = w->follows = w->served = false;
	w->first = NULL;
	w->why[0] = w->refused[0] = w->begun[0] = w->words.text[0] = '\0';
	w->begun_bytes = w->words.used = 0;
	w->started_ns = px_os.now_ns();
	px_log_of(&s->log, "mpiexec", &w->lines);
	errno = 0;
	if (launch(s) < 0) {
		cannot_start(s, errno);
		return;
	}
	w->state = PX_WORLD_RUNNING;
	for (uint32_t i = 0; i < s->engines_count; i++)
		px_engine_expect(s->engines[i]);
}
