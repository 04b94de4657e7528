/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * join.c - makes a process of somebody else's an engine.
 */
#include "supervisor/join.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "machine/processors.h"
#include "pool/json_text.h"
#include "shm/error.h"
#include "shm/killpoint.h"
#include "supervisor/command_line.h"
#include "supervisor/connection.h"
#include "supervisor/engine.h"
#include "supervisor/engines.h"
#include "supervisor/environment.h"
#include "supervisor/supervision.h"
#include "supervisor/supervisor.h"

/* --- which engine it is to be --- */

static int taken(const struct px_engine *e)
{
	if (e->life == PX_LIFE_GONE)
		return px_fail(
			PX_EINVAL,
			"there was an engine %u, and an id is not used again: leave --id out",
			e->id);
	return px_fail(PX_EINVAL, "there is an engine %u already (process %d): leave --id out",
		       e->id, (int)e->process.pid);
}

/* Whether it is to be a rank of the world that runs. */
static bool is_rank(const struct px_supervisor *s, const struct px_control *head)
{
	return s->world.on && head->b == s->world.number && s->world.state == PX_WORLD_RUNNING &&
	       !s->world.falls;
}

static int find_rank(struct px_supervisor *s, const struct px_control *head, struct px_engine **out)
{
	if (!s->world.on)
		return px_fail(PX_EINVAL, "the pool '%s' starts no MPI world",
			       s->options->runtime.profile);
	if (!is_rank(s, head))
		return px_fail(PX_EINVAL, "MPI world %" PRIu64 " of the pool '%s' has ended",
			       head->b, s->options->runtime.profile);
	if (head->a == UINT64_MAX)
		return px_fail(
			PX_EINVAL,
			"mpiexec does not tell its ranks their numbers, as Open MPI's and MPICH's "
			"do: name one of these by mpiexec");
	if (head->a >= s->engines_count)
		return px_fail(PX_EINVAL,
			       "mpiexec has started a rank %" PRIu64
			       ", and the pool has %u engines",
			       head->a, s->engines_count);
	*out = s->engines[head->a];
	if ((*out)->life != PX_LIFE_STARTING || (*out)->ours.control >= 0)
		return px_fail(PX_EINVAL, "mpiexec has started two processes as rank %" PRIu64,
			       head->a);
	return 0;
}

static void nobody_came(void *ctx)
{
	struct px_engine *e = ctx;
	char why[100];

	snprintf(why, sizeof(why), "no process has joined as engine %u within %u s", e->id,
		 (unsigned)(e->supervisor->start_limit_ns / 1000000000));
	px_engine_give_up(e, why);
}

/*
 * A new engine. Ids have no gaps, so one that asks for a high id leaves those below it to others, which may
 * come later, as the ranks of an mpiexec do.
 */
static int find_new(struct px_supervisor *s, uint64_t id, struct px_engine **out)
{
	int rc = 0;

	if (id != UINT64_MAX && id >= PX_ENGINES_MAX)
		return px_fail(PX_EINVAL, "--id must be from 0 to %d, not %" PRIu64,
			       PX_ENGINES_MAX - 1, id);
	if (id < s->engines_count) {
		*out = s->engines[id];
		return (*out)->origin == PX_ENGINE_JOINED && (*out)->life == PX_LIFE_WAITING ?
			       0 :
			       taken(*out);
	}
	do {
		rc = px_engine_new(s, PX_ENGINE_JOINED, out);
		if (rc == 0)
			px_loop_timer_set(s->loop, &(*out)->timer, s->start_limit_ns, nobody_came,
					  *out);
	} while (rc == 0 && id != UINT64_MAX && (*out)->id < id);
	return rc;
}

static int find_place(struct px_connection *c, const struct px_control *head,
		      struct px_engine **out)
{
	struct px_supervisor *s = c->supervisor;

	if (head->c != PX_SEGMENT_VERSION)
		return px_fail(PX_EVERSION,
			       "this pxrun speaks version %" PRIu64 " of the segment, the pool's "
			       "version %d: use the same pxrun for both",
			       head->c, PX_SEGMENT_VERSION);
	if (c->member.epoch)
		return px_fail(PX_EINVAL, "a client cannot become an engine");
	if (c->pid <= 0)
		return px_fail(
			PX_EINVAL,
			"a process of another PID namespace cannot be an engine: the pool could "
			"not see its end");
	if (px_settings_number(s->options->settings, PX_SETTING_NATIVE))
		return px_fail(PX_EINVAL,
			       "the pool '%s' is native: its engines are forked, and none can join",
			       s->options->runtime.profile);
	if (px_engines_have(s, c->pid))
		return px_fail(PX_EINVAL, "process %d is an engine already", (int)c->pid);
	if (head->b)
		return find_rank(s, head, out);
	if (s->world.on)
		return px_fail(
			PX_EINVAL,
			"the engines of the pool '%s' are an MPI world, which another process "
			"cannot join: start another pool for it",
			s->options->runtime.profile);
	return find_new(s, head->a, out);
}

/* --- what it is told --- */

static void put_command(struct px_json_text *json, const struct px_engine *e)
{
	const struct px_supervisor *s = e->supervisor;
	struct px_command_line command;

	px_command_line_begin(&command, s->options, "--engine");
	px_command_line_number(&command, "--id", e->id);
	px_command_line_number(&command, "--slot", e->member.slot);
	px_command_line_number(&command, "--epoch", e->member.epoch);
	px_command_line_number(&command, "--generation", e->generation);
	px_command_line_number(&command, "--ranks",
			       e->origin == PX_ENGINE_RANK ? s->engines_count : 0);
	px_json_put(json, "{\"argv\":[");
	for (uint32_t i = 0; i < command.count; i++) {
		px_json_put(json, "%s", i ? "," : "");
		px_json_put_string(json, command.argv[i]);
	}
	px_json_put(json, "]");
}

static void put_environment(struct px_json_text *json, const struct px_supervisor *s)
{
	char **variables = s->options->settings->values[PX_SETTING_ENV].list;
	uint32_t processors = px_processors();
	char path[128];

	px_json_put(json, ",\"env\":[");
	for (size_t i = 0; variables && variables[i]; i++) {
		px_json_put(json, "%s", i ? "," : "");
		px_json_put_string(json, variables[i]);
	}
	px_json_put(json, "],\"threads\":%u,\"connection\":",
		    processors > s->engines_count ? processors / s->engines_count : 1);
	px_json_put_string(json, px_runtime_path(&s->options->runtime, "connection.json", path,
						 sizeof(path)));
	px_json_put(json, "}");
}

/*
 * The read end of a pipe of which only we have the other end, so that it hangs up when we are gone. Who is
 * to be told of that is kept with the open file, so each engine gets one of its own, not a copy.
 */
static int open_lifeline(struct px_supervisor *s, int *out)
{
	char path[32];
	int ends[2];

	if (s->lifeline < 0) {
		if (pipe2(ends, O_CLOEXEC) < 0)
			return px_fail_errno("making a pipe for engines that join");
		s->lifeline = ends[1];
		close(ends[0]);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->lifeline);
	*out = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return *out < 0 ? px_fail_errno("opening a pipe for an engine that joins") : 0;
}

static int welcome(struct px_connection *c, const struct px_control *head,
		   const struct px_engine *e, const int theirs[6], int lifeline)
{
	static char text[PX_CONTROL_TEXT_MAX];
	struct px_supervisor *s = c->supervisor;
	struct px_json_text json = { .at = text, .size = sizeof(text) };
	struct px_control answer = { .type = PX_CONTROL_REPLY, .serial = head->serial, .a = e->id };
	int fds[PX_CONTROL_JOIN_FDS];

	put_command(&json, e);
	put_environment(&json, s);
	if (json.full)
		return px_fail(PX_EINVAL,
			       "the pool's environment and startup code are too long for an engine "
			       "that joins");
	for (int i = 0; i < 6; i++)
		fds[i] = theirs[i];
	fds[6] = s->segment->fd;
	fds[7] = s->log.fd >= 0 ? s->log.fd : s->connections.spare;
	fds[8] = lifeline;
	return px_control_send(c->socket, &answer, text, fds, PX_CONTROL_JOIN_FDS);
}

static void refuse(struct px_connection *c, const struct px_control *head, int rc)
{
	struct px_supervisor *s = c->supervisor;

	if (is_rank(s, head))
		px_world_refuses(s);
	px_log(&s->log, "process %d does not join: %s", (int)c->pid, px_last_error());
	px_connection_refuse(c, head, rc);
}

void px_join_serve(struct px_connection *c, const struct px_control *head)
{
	struct px_supervisor *s = c->supervisor;
	struct px_engine *e = NULL;
	int theirs[6], lifeline = -1;
	int rc = find_place(c, head, &e);

	if (rc == 0)
		rc = open_lifeline(s, &lifeline);
	if (rc < 0) {
		refuse(c, head, rc);
		return;
	}
	px_engine_expect(e);
	rc = px_engine_join(e, e->origin == PX_ENGINE_RANK ? 0 : c->pid, theirs);
	if (rc == 0)
		rc = welcome(c, head, e, theirs, lifeline);
	px_channels_close_theirs(theirs);
	close(lifeline);
	PX_KILLPOINT("supervisor.join.answered"); /* dead here: the engine dies with us */
	if (rc < 0) {
		px_engine_ended(e);
		refuse(c, head, rc);
		return;
	}
	px_log(&s->log, "process %d joins as engine %u", (int)c->pid, e->id);
}
