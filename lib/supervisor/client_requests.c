/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_requests.c - hello, status, signal, restart, add, remove, stop.
 */
#include "supervisor/client_requests.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "shm/error.h"
#include "shm/killpoint.h"
#include "supervisor/connection.h"
#include "supervisor/engine.h"
#include "supervisor/join.h"
#include "supervisor/memory_requests.h"
#include "supervisor/pending.h"
#include "supervisor/status.h"
#include "supervisor/supervision.h"

static struct px_engine *engine_of(struct px_connection *c, const struct px_control *head)
{
	struct px_supervisor *s = c->supervisor;
	struct px_engine *e = head->a < s->engines_count ? s->engines[head->a] : NULL;

	if (!e)
		(void)px_fail(PX_EENGINE, "there is no engine %" PRIu64, head->a);
	else if (e->life == PX_LIFE_GONE)
		(void)px_fail(PX_EENGINE, "there is no longer an engine %" PRIu64, head->a);
	else
		return e;
	px_connection_refuse(c, head, PX_EENGINE);
	return NULL;
}

static void status(struct px_connection *c, const struct px_control *head)
{
	static char text[PX_CONTROL_TEXT_MAX];

	px_status_write(c->supervisor, text, sizeof(text));
	px_connection_reply(c, head, 0, text, 0, 0);
}

static void why_gone(struct px_connection *c, const struct px_control *head)
{
	const struct px_supervisor *s = c->supervisor;
	const struct px_engine *e = head->a < s->engines_count ? s->engines[head->a] : NULL;

	if (e && e->told && !e->keep)
		px_connection_reply(c, head, PX_EENGINE, "it was removed", 0, 0);
	else if (e && e->life == PX_LIFE_GONE)
		px_connection_reply(c, head, PX_EENGINE, e->why, 0, 0);
	else
		px_connection_reply(c, head, 0, NULL, 0, 0);
}

static void signal_engine(struct px_connection *c, const struct px_control *head)
{
	struct px_engine *e = engine_of(c, head);

	int rc = 0;

	if (!e)
		return;
	if (head->b == 0 || head->b > (uint64_t)SIGRTMAX)
		rc = px_fail(PX_EINVAL, "there is no such signal");
	else if (head->c)
		rc = px_process_signal_value(&e->process, (int)head->b, head->c);
	else if (!px_process_signal(&e->process, (int)head->b))
		rc = PX_EENGINE;
	if (rc == PX_EENGINE)
		rc = px_fail(PX_EENGINE, "the engine has no process at the moment");
	if (rc < 0)
		px_connection_refuse(c, head, rc);
	else
		px_connection_reply(c, head, 0, NULL, 0, 0);
}

static void restart(struct px_connection *c, const struct px_control *head)
{
	struct px_supervisor *s = c->supervisor;
	/* The ranks of an MPI world live and die together. */
	bool all = head->a == UINT64_MAX || s->world.on;
	struct px_engine *e = head->a == UINT64_MAX ? NULL : engine_of(c, head);

	if (!all && !e)
		return;
	if (e && e->origin == PX_ENGINE_JOINED) {
		px_connection_reply(
			c, head, PX_EINVAL,
			"the engine was started by somebody else, who alone can start it "
			"again: `pxrun kill` ends it, and `pxrun engine` starts another",
			0, 0);
		return;
	}
	if (!px_pending_add(c, head, all ? 0 : e->id, all ? s->engines_count : 1))
		return;
	px_world_hurry(s);
	for (uint32_t i = 0; i < s->engines_count; i++)
		if ((all && s->engines[i]->origin != PX_ENGINE_JOINED) || s->engines[i] == e)
			px_engine_stop(s->engines[i], true);
}

static void remove_engine(struct px_connection *c, const struct px_control *head)
{
	struct px_engine *e = engine_of(c, head);

	if (e && e->origin == PX_ENGINE_RANK) {
		px_connection_reply(c, head, PX_EINVAL,
				    "the engine is a rank of an MPI world, which ends as a whole: "
				    "stop the pool, or start another one with fewer engines",
				    0, 0);
		return;
	}
	if (!e || !px_pending_add(c, head, e->id, 1))
		return;
	px_engine_stop(e, false);
}

static int may_add(const struct px_supervisor *s, uint64_t count)
{
	if (count == 0)
		return px_fail(PX_EINVAL, "0 more engines: count is how many to start");
	if (s->world.on && s->engines_count)
		return px_fail(
			PX_EINVAL,
			"an MPI world keeps the %u engines that it began with: start another "
			"pool with more",
			s->engines_count);
	if (count <= PX_ENGINES_MAX - s->engines_count)
		return 0;
	return px_fail(PX_EINVAL,
		       "%" PRIu64 " more engines: this pool has given %u of its %d ids, and "
		       "an id is not used again; `pxrun stop` and `pxrun start` begin anew, or "
		       "start another pool with --profile NAME",
		       count, s->engines_count, PX_ENGINES_MAX);
}

static void add_engines(struct px_connection *c, const struct px_control *head)
{
	struct px_supervisor *s = c->supervisor;
	uint32_t first = s->engines_count;
	struct px_engine *e;

	if (may_add(s, head->a) < 0) {
		px_connection_refuse(c, head, PX_EINVAL);
		return;
	}
	if (!px_pending_add(c, head, first, (uint32_t)head->a))
		return;
	for (uint64_t i = 0; i < head->a; i++)
		if (px_engine_new(s, s->world.on ? PX_ENGINE_RANK : PX_ENGINE_OURS, &e) < 0) {
			px_log(&s->log, "%s", px_last_error());
			break;
		}
}

static void hello(struct px_connection *c, const struct px_control *head)
{
	struct px_supervisor *s = c->supervisor;
	struct px_control answer = { .type = PX_CONTROL_REPLY, .serial = head->serial };
	int rc;

	if (c->member.epoch) {
		px_connection_reply(c, head, PX_EINVAL, "this connection has said hello already", 0,
				    0);
		return;
	}
	if (head->a != PX_SEGMENT_VERSION) {
		(void)px_fail(PX_EVERSION,
			      "this client's pxrun speaks version %" PRIu64 " of the segment, the "
			      "pool's version %d: use the same pxrun for both",
			      head->a, PX_SEGMENT_VERSION);
		px_connection_refuse(c, head, PX_EVERSION);
		return;
	}
	rc = px_member_join(s->segment, PX_MEMBER_CLIENT, -1, &c->member);
	if (rc < 0) {
		px_log(&s->log, "no room for another client: %s", px_last_error());
		px_connection_refuse(c, head, rc);
		return;
	}
	px_member_live(s->segment, c->member, c->pid);
	px_member_announce(s->segment);
	PX_KILLPOINT("supervisor.client.joined"); /* dead here: the pool ends */
	answer.a = c->member.slot;
	answer.b = c->member.epoch;
	if (px_control_send(c->socket, &answer, NULL, &s->segment->fd, 1) < 0)
		px_connection_cut(c);
}

static void stop(struct px_connection *c, const struct px_control *head)
{
	char why[64], name[48];

	px_connection_reply(c, head, 0, NULL, 0, 0);
	if (c->supervisor->closing)
		return;
	snprintf(why, sizeof(why), "a %s said so", px_connection_name(c, name, sizeof(name)));
	px_turn_stop(&c->supervisor->turn, why);
}

void px_client_request_serve(struct px_connection *c, const struct px_control *head)
{
	struct px_supervisor *s = c->supervisor;
	char name[48];

	if (head->type == PX_CONTROL_STATUS) {
		status(c, head);
	} else if (head->type == PX_CONTROL_STOP) {
		stop(c, head);
	} else if (head->type == PX_CONTROL_PING) {
		px_connection_reply(c, head, 0, NULL, 0, 0);
	} else if (px_memory_request_is(head->type)) {
		if (!c->member.epoch)
			px_connection_reply(c, head, PX_EINVAL,
					    "only members may ask that: say hello", 0, 0);
		else if (px_memory_request_serve(s, c->socket, c->member,
						 px_connection_name(c, name, sizeof(name)),
						 head) < 0)
			px_connection_cut(c);
	} else if (s->closing) {
		px_connection_reply(c, head, PX_EPOOL, "the pool is being stopped", 0, 0);
	} else if (head->type == PX_CONTROL_HELLO) {
		hello(c, head);
	} else if (head->type == PX_CONTROL_JOIN) {
		px_join_serve(c, head);
	} else if (head->type == PX_CONTROL_WHY) {
		why_gone(c, head);
	} else if (head->type == PX_CONTROL_SIGNAL) {
		signal_engine(c, head);
	} else if (head->type == PX_CONTROL_RESTART) {
		restart(c, head);
	} else if (head->type == PX_CONTROL_ADD) {
		add_engines(c, head);
	} else if (head->type == PX_CONTROL_REMOVE) {
		remove_engine(c, head);
	} else {
		px_connection_reply(c, head, PX_EINVAL, "the supervisor knows no such request", 0,
				    0);
	}
}
