/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * template.c - starts the template, asks it for engines, and handles its end.
 */
#include "supervisor/template.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/os.h"
#include "supervisor/backoff.h"
#include "supervisor/command_line.h"
#include "supervisor/supervision.h"

/* A fork takes milliseconds, of very much memory on a busy machine seconds. */
#define ANSWER_NS UINT64_C(10000000000)

/* The template, in messages to people. */
#define IT "the process that forks engines"

bool px_template_ready(const struct px_supervisor *s)
{
	return s->template.state == PX_TEMPLATE_READY;
}

bool px_template_given_up(struct px_supervisor *s, const char **why)
{
	if (s->template.state != PX_TEMPLATE_GIVEN_UP)
		return false;
	s->template.state = PX_TEMPLATE_ABSENT;
	*why = s->template.failure;
	return true;
}

/* --- engines that are not forked --- */

static int execute(struct px_supervisor *s, const struct px_template_order *order,
		   struct px_process *process)
{
	const int *fds = order->fds;
	struct px_command_line command;

	px_command_line_begin(&command, s->options, "--engine");
	px_command_line_number(&command, "--id", order->id);
	px_command_line_number(&command, "--slot", order->member.slot);
	px_command_line_number(&command, "--epoch", order->member.epoch);
	px_command_line_number(&command, "--generation", order->generation);
	struct px_spawn spawn = {
		.argv = command.argv,
		.environment = s->environment,
		.fds = { -1, fds[1], fds[2], fds[0], fds[6], s->log.fd, fds[3], fds[4], fds[5] },
	};
	return px_process_spawn(&spawn, process);
}

/* --- its output --- */

static void output_ready(void *ctx)
{
	struct px_supervisor *s = ctx;
	struct px_template *t = &s->template;
	char bytes[4096];
	ssize_t got = read(t->output, bytes, sizeof(bytes));

	if (got > 0) {
		px_log_lines_add(&t->lines, bytes, (size_t)got);
		if ((size_t)got < sizeof(bytes))
			px_log_lines_flush(&t->lines);
		px_last_words_add(&t->words, bytes, (size_t)got);
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		px_loop_unwatch(s->loop, &t->output_watch);
	}
}

static void drain(struct px_template *t)
{
	px_last_words_drain(t->output, &t->lines, &t->words);
	px_log_lines_end(&t->lines);
}

/* --- its end --- */

static void let_go(struct px_supervisor *s)
{
	struct px_template *t = &s->template;

	px_loop_timer_stop(s->loop, &t->timer);
	px_loop_unwatch(s->loop, &t->socket_watch);
	px_loop_unwatch(s->loop, &t->output_watch);
	px_loop_unwatch(s->loop, &t->death_watch);
	drain(t);
	if (t->socket >= 0)
		close(t->socket);
	if (t->output >= 0)
		close(t->output);
	t->socket = t->output = -1;
	t->orders = 0;
}

static void kill_process(struct px_supervisor *s)
{
	px_loop_unwatch(s->loop, &s->template.death_watch);
	px_process_end(&s->template.process);
	s->template.ended = false;
}

void px_template_end(struct px_supervisor *s)
{
	kill_process(s);
	let_go(s);
	s->template.state = PX_TEMPLATE_ABSENT;
}

static void back_off_over(void *ctx)
{
	struct px_supervisor *s = ctx;

	s->template.state = PX_TEMPLATE_ABSENT;
	s->template.wanted = true;
	s->turn.start = true;
}

/* It has ended, or could not be started, for the reason why. */
static void failed(struct px_supervisor *s, const char *why)
{
	struct px_template *t = &s->template;
	bool served = t->state == PX_TEMPLATE_READY;

	let_go(s);
	px_log(&s->log, "%s", why);
	if (s->closing) {
		t->state = PX_TEMPLATE_ABSENT;
		return;
	}
	t->starts_failed = served ? 0 : t->starts_failed + 1;
	if (t->starts_failed >= PX_STARTS_MAX || (!served && !s->ready)) {
		t->starts_failed = 0;
		t->state = PX_TEMPLATE_GIVEN_UP;
		snprintf(t->failure, sizeof(t->failure), "%s", why);
		s->turn.start = true;
		return;
	}
	t->state = PX_TEMPLATE_BACKOFF;
	px_loop_timer_set(s->loop, &t->timer, px_backoff_ns(&t->failures, t->started_ns),
			  back_off_over, s);
}

/* Where the profile has a setting, if it does, to be put behind an error. Returns out. */
static const char *origin(const struct px_supervisor *s, enum px_setting_id id, char *out,
			  size_t out_bytes)
{
	const struct px_settings *settings = s->options->settings;
	char where[512];

	out[0] = '\0';
	if (settings->values[id].source == PX_FROM_PROFILE)
		snprintf(out, out_bytes, "; %s is set in %s", px_settings_table[id].name,
			 px_settings_where(settings, id, where, sizeof(where)));
	return out;
}

/* --- its packets --- */

static void ready(struct px_supervisor *s)
{
	const struct px_control *head = &s->packet.head;
	struct px_template *t = &s->template;
	char why[1400], from[600];

	if (t->state != PX_TEMPLATE_STARTING)
		return;
	if (head->code < 0) {
		snprintf(why, sizeof(why), "no engine can be made: %.700s%s", s->packet.text,
			 t->module[0] ? origin(s, PX_SETTING_PRELOAD, from, sizeof(from)) : "");
		kill_process(s);
		failed(s, why);
		return;
	}
	px_loop_timer_stop(s->loop, &t->timer);
	t->python = (uint32_t)head->b;
	t->starts_failed = 0;
	t->by_exec = head->c == 1;
	if (t->by_exec) {
		snprintf(t->why, sizeof(t->why), "%.*s", (int)sizeof(t->why) - 1, s->packet.text);
		px_log(&s->log, "engines are started one by one, not forked: %s", t->why);
		kill_process(s);
		let_go(s);
	}
	t->state = PX_TEMPLATE_READY;
	s->turn.start = true;
}

static void preloads(struct px_template *t, const char *module)
{
	snprintf(t->module, sizeof(t->module), "%.*s", (int)sizeof(t->module) - 1, module);
	t->module_ns = px_os.now_ns();
}

/* The starter hears it once, however many templates there are. */
static void warns(struct px_supervisor *s, const char *text)
{
	size_t used = strlen(s->warnings);

	px_log(&s->log, "warning: %s", text);
	if (!s->ready && !strstr(s->warnings, text))
		snprintf(s->warnings + used, sizeof(s->warnings) - used, "%.300s\n", text);
}

bool px_template_told(struct px_supervisor *s, const struct px_control *head)
{
	struct px_template *t = &s->template;

	if (head->type == PX_CONTROL_WARN)
		warns(s, s->packet.text);
	else if (head->type == PX_CONTROL_PYTHON)
		snprintf(t->executable, sizeof(t->executable), "%.*s",
			 (int)sizeof(t->executable) - 1, s->packet.text);
	else
		return false;
	if (head->b)
		t->python = (uint32_t)head->b;
	return true;
}

/* Reads one packet; false if there is no more. */
static bool read_one(struct px_supervisor *s)
{
	struct px_template *t = &s->template;
	const struct px_control *head = &s->packet.head;
	int rc;

	if (t->socket < 0)
		return false;
	rc = px_control_receive(t->socket, &s->packet);
	if (rc == PX_EAGAIN)
		return false;
	if (rc < 0) {
		/* It closed its socket, or sent an invalid packet: it is of no use any more. */
		px_loop_unwatch(s->loop, &t->socket_watch);
		if (rc != PX_EPOOL)
			px_log(&s->log, IT " is killed: %s", px_last_error());
		px_process_kill(&t->process);
		return false;
	}
	for (uint16_t i = 0; i < head->fds; i++)
		close(s->packet.fds[i]);
	if (head->type == PX_CONTROL_READY)
		ready(s);
	else if (head->type == PX_CONTROL_PRELOAD)
		preloads(t, s->packet.text);
	else if (!px_template_told(s, head))
		px_log(&s->log, IT " sent a packet of type %u", head->type);
	return true;
}

static void socket_ready(void *ctx)
{
	(void)read_one(ctx);
}

/* --- deaths --- */

/* What to do about a last line that does not say so itself. Returns out. */
static const char *advice(const struct px_supervisor *s, const char *line, char *out,
			  size_t out_bytes)
{
	const char *home = getenv("PYTHONHOME");
	struct px_command_line command;

	px_command_line_begin(&command, s->options, "--template");
	out[0] = '\0';
	if (!strcmp(line, "ModuleNotFoundError: No module named 'pxrun'"))
		snprintf(
			out, out_bytes,
			"; install pxrun there, in Python 3.11 or newer: %.300s -m pip install pxrun-engines",
			command.argv[0]);
	/* The end of what Python prints when it has not found its standard library. */
	else if (home && strstr(line, "<no Python frame>"))
		snprintf(out, out_bytes, "; PYTHONHOME is %.300s, which may not be %.300s's own",
			 home, command.argv[0]);
	return out;
}

/* Writes which module the template was importing. Returns out. */
static const char *importing(const struct px_template *t, char *out, size_t out_bytes)
{
	out[0] = '\0';
	if (t->module[0])
		snprintf(out, out_bytes, ", while it imported %s", t->module);
	return out;
}

void px_template_ended(struct px_supervisor *s)
{
	px_loop_unwatch(s->loop, &s->template.death_watch);
	s->template.ended = true;
	s->turn.reap = true;
}

static void died(void *ctx)
{
	px_template_ended(ctx);
}

static int watch_death(struct px_supervisor *s)
{
	return px_loop_watch(s->loop, &s->template.death_watch, s->template.process.pidfd, died, s);
}

void px_template_reap(struct px_supervisor *s)
{
	struct px_template *t = &s->template;
	pid_t pid = t->process.pid;
	char how[64], why[1400], from[600], import[100], do_this[700];
	const char *line;
	struct px_process_exit end;

	if (!t->ended)
		return;
	t->ended = false;
	/* It may have sent the reason before. */
	while (read_one(s))
		;
	if (!px_process_reap(&t->process, &end)) {
		if (t->process.pid && watch_death(s) < 0)
			px_log(&s->log, IT ": %s", px_last_error());
		return;
	}
	drain(t);
	px_exit_words(&end, how, sizeof(how));
	line = px_last_words_line(&t->words);
	if (t->state == PX_TEMPLATE_READY)
		snprintf(why, sizeof(why), IT " (%d) died: %s", (int)pid, how);
	else
		snprintf(why, sizeof(why), IT " (%d) died before it was ready: %s%s%s%.500s%s%s",
			 (int)pid, how, importing(t, import, sizeof(import)),
			 t->words.used ? ": " : "", line, advice(s, line, do_this, sizeof(do_this)),
			 origin(s, PX_SETTING_PYTHON, from, sizeof(from)));
	failed(s, why);
}

static void took_too_long(void *ctx)
{
	struct px_supervisor *s = ctx;
	struct px_template *t = &s->template;
	char why[400];
	int used = snprintf(why, sizeof(why), IT " was not ready within %u s",
			    (unsigned)(s->start_limit_ns / 1000000000));

	if (t->module[0])
		snprintf(why + used, sizeof(why) - (size_t)used,
			 ": it has been importing %s for %.0f s; leave that out of preload, or see "
			 "what the import waits for",
			 t->module, (double)(px_os.now_ns() - t->module_ns) / 1e9);
	kill_process(s);
	failed(s, why);
}

/* --- its start --- */

/* Makes its two channels; *socket and *output are the ends that it gets. */
static int open_channels(struct px_template *t, int *socket, int *output)
{
	int pair[2], pipe_ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return px_fail_errno("making a socket to " IT);
	if (pipe2(pipe_ends, O_CLOEXEC) < 0) {
		close(pair[0]);
		close(pair[1]);
		return px_fail_errno("making a pipe to " IT);
	}
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
	t->socket = pair[0];
	t->output = pipe_ends[0];
	*socket = pair[1];
	*output = pipe_ends[1];
	return 0;
}

static int launch(struct px_supervisor *s)
{
	struct px_template *t = &s->template;
	struct px_command_line command;
	int socket = -1, output = -1;
	int rc = open_channels(t, &socket, &output);

	if (rc < 0)
		return rc;
	px_command_line_begin(&command, s->options, "--template");
	struct px_spawn spawn = {
		.argv = command.argv,
		.environment = s->environment,
		.fds = { -1, output, output, socket, -1, s->log.fd, -1, -1, -1 },
	};
	rc = px_process_spawn(&spawn, &t->process);
	close(socket);
	close(output);
	if (rc < 0)
		return rc;
	PX_KILLPOINT("supervisor.template.started"); /* dead here: the pool ends */
	rc = px_loop_watch(s->loop, &t->socket_watch, t->socket, socket_ready, s);
	if (rc == 0)
		rc = px_loop_watch(s->loop, &t->output_watch, t->output, output_ready, s);
	if (rc == 0)
		rc = watch_death(s);
	if (rc < 0)
		px_process_end(&t->process);
	return rc;
}

void px_template_start(struct px_supervisor *s)
{
	struct px_template *t = &s->template;
	char why[1400], from[600];

	if (t->state != PX_TEMPLATE_ABSENT || !t->wanted)
		return;
	t->wanted = false;
	t->started_ns = px_os.now_ns();
	t->words.used = 0;
	t->words.text[0] = '\0';
	px_log_of(&s->log, "template", &t->lines);
	t->module[0] = '\0';
	t->state = PX_TEMPLATE_STARTING;
	px_loop_timer_set(s->loop, &t->timer, s->start_limit_ns, took_too_long, s);
	if (launch(s) < 0) {
		snprintf(why, sizeof(why), "no engine can be started: %.700s%s", px_last_error(),
			 origin(s, PX_SETTING_PYTHON, from, sizeof(from)));
		failed(s, why);
	}
}

void px_template_want(struct px_supervisor *s)
{
	if (s->template.state == PX_TEMPLATE_ABSENT)
		s->template.wanted = true;
}

/* --- engines --- */

static uint64_t answer_limit_ns(const struct px_supervisor *s)
{
	/* Tests have less time for a start. */
	return s->start_limit_ns / 4 < ANSWER_NS ? s->start_limit_ns / 4 : ANSWER_NS;
}

/* It is stopped, or hangs in what a module does before each fork. */
static void does_not_answer(void *ctx)
{
	struct px_supervisor *s = ctx;
	struct px_template *t = &s->template;

	px_log(&s->log, IT " (%d) is killed: it has forked none for %.0f s", (int)t->process.pid,
	       (double)answer_limit_ns(s) / 1e9);
	px_process_kill(&t->process);
}

/* Each answer begins the time anew: there may be many orders, and much memory to fork. */
static void wait_for_answer(struct px_supervisor *s)
{
	px_loop_timer_set(s->loop, &s->template.timer, answer_limit_ns(s), does_not_answer, s);
}

int px_template_fork(struct px_supervisor *s, const struct px_template_order *order,
		     struct px_process *process)
{
	struct px_template *t = &s->template;
	struct px_control call = {
		.type = PX_CONTROL_FORK,
		.a = order->id,
		.b = order->member.slot,
		.c = order->member.epoch,
		.d = order->generation,
	};
	int rc;

	if (t->by_exec)
		return execute(s, order, process);
	rc = px_control_send(t->socket, &call, NULL, order->fds, PX_CONTROL_FORK_FDS);
	if (rc == 0 && t->orders++ == 0)
		wait_for_answer(s);
	return rc;
}

void px_template_answered(struct px_supervisor *s)
{
	struct px_template *t = &s->template;

	/* What was asked of a template before this one is not counted any more. */
	if (t->orders == 0)
		return;
	if (--t->orders)
		wait_for_answer(s);
	else
		px_loop_timer_stop(s->loop, &t->timer);
}
