/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine.c - starts, watches and stops the processes of an engine id.
 */
#include "supervisor/engine.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pool/control.h"
#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/os.h"
#include "supervisor/backoff.h"
#include "supervisor/memory_requests.h"
#include "supervisor/supervision.h"
#include "supervisor/supervisor.h"

/* --- the engine table, which all can read --- */

void px_engine_publish(struct px_engine *e, enum px_engine_state state)
{
	struct px_engine_shm *shown = &e->supervisor->segment->rw.engines[e->id];

	if (e->member.epoch) {
		atomic_store_explicit(&shown->slot, e->member.slot, memory_order_relaxed);
		atomic_store_explicit(&shown->epoch, e->member.epoch, memory_order_relaxed);
	}
	atomic_store_explicit(&shown->generation, e->generation, memory_order_relaxed);
	/* SYNC engine.state: release of slot and epoch; partner: px_client_engine_state(). */
	atomic_store_explicit(&shown->state, state, memory_order_release);
	PX_KILLPOINT("supervisor.engine.published"); /* dead here: the pool ends */
}

static void show(struct px_engine *e, enum px_engine_state state)
{
	px_engine_publish(e, state);
	px_member_announce(e->supervisor->segment);
}

/* --- without a process --- */

void px_engine_wait(struct px_engine *e)
{
	e->life = PX_LIFE_WAITING;
	e->served = e->told = e->keep = e->postponed = false;
	e->process = (struct px_process){ .pidfd = -1 };
	e->supervisor->turn.start = true;
}

static void back_off_over(void *ctx)
{
	px_engine_wait(ctx);
}

void px_engine_back_off(struct px_engine *e, uint64_t delay_ns)
{
	e->life = PX_LIFE_BACKOFF;
	px_loop_timer_set(e->supervisor->loop, &e->timer, delay_ns, back_off_over, e);
}

static void settled(struct px_engine *e)
{
	e->settled = true;
	e->supervisor->turn.answer = true;
}

void px_engine_give_up(struct px_engine *e, const char *why)
{
	e->life = PX_LIFE_GONE;
	snprintf(e->why, sizeof(e->why), "%.*s", (int)sizeof(e->why) - 1, why);
	show(e, PX_ENGINE_GONE);
	settled(e);
}

/* --- the end of a process --- */

void px_engine_close(struct px_engine *e)
{
	px_loop_unwatch(e->supervisor->loop, &e->control_watch);
	px_loop_unwatch(e->supervisor->loop, &e->death_watch);
	px_channels_close(&e->ours);
}

void px_engine_ended(struct px_engine *e)
{
	struct px_world *w = &e->supervisor->world;

	px_loop_unwatch(e->supervisor->loop, &e->death_watch);
	e->ended = true;
	e->supervisor->turn.reap = true;
	/* MPI ends the others soon after, so that the order of these events tells which was the first. */
	if (!w->first)
		w->first = e;
}

static void died(void *ctx)
{
	px_engine_ended(ctx);
}

int px_engine_watch_death(struct px_engine *e)
{
	return px_loop_watch(e->supervisor->loop, &e->death_watch, e->process.pidfd, died, e);
}

/* The time is over: to be ready, or to end. */
static void too_late(void *ctx)
{
	struct px_engine *e = ctx;
	struct px_supervisor *s = e->supervisor;

	if (e->life == PX_LIFE_STARTING && !e->why[0])
		snprintf(e->why, sizeof(e->why), "engine %u did not serve within %u s", e->id,
			 (unsigned)(s->start_limit_ns / 1000000000));
	if (e->process.pid) {
		px_log(&s->log, "engine %u (process %d) is killed", e->id, (int)e->process.pid);
		px_process_kill(&e->process);
	} else {
		/*
		 * Its process is not known. It ends when it sees its socket closed; at the
		 * latest, when we end.
		 */
		px_engine_ended(e);
	}
}

static void dying(struct px_engine *e)
{
	e->life = PX_LIFE_DYING;
	px_loop_timer_set(e->supervisor->loop, &e->timer, PX_STOP_GRACE_NS, too_late, e);
}

static void hung_up(struct px_engine *e)
{
	px_loop_unwatch(e->supervisor->loop, &e->control_watch);
	if (!e->process.pid) /* it was never forked, or died at once */
		px_engine_ended(e);
	else if (e->life != PX_LIFE_DYING) /* it should end by itself; if not, it is killed */
		dying(e);
}

/* It broke the protocol, so nothing that it says can be trusted: kills it. */
static void violated(struct px_engine *e, const char *what)
{
	px_log(&e->supervisor->log, "engine %u (process %d) is killed: %s", e->id,
	       (int)e->process.pid, what);
	px_loop_unwatch(e->supervisor->loop, &e->control_watch);
	if (e->process.pid)
		px_process_kill(&e->process);
	else
		px_engine_ended(e);
}

/* --- the life of a process --- */

static int adopt(struct px_engine *e, pid_t pid)
{
	int rc = px_process_adopt(pid, &e->process);

	/* Where mpiexec's ranks do not descend from us, they are others' children. */
	if (rc < 0 && e->origin == PX_ENGINE_RANK)
		rc = px_process_meet(pid, &e->process);
	if (rc < 0)
		return rc;
	rc = px_engine_watch_death(e);
	if (rc < 0) {
		close(e->process.pidfd);
		e->process = (struct px_process){ .pidfd = -1 };
		return rc;
	}
	if (e->origin == PX_ENGINE_OURS)
		px_template_answered(e->supervisor);
	/* Now that its pid is known, other children can be told from it. */
	e->supervisor->turn.reap = true;
	if (e->life == PX_LIFE_DYING && e->told)
		(void)px_process_signal(&e->process, SIGTERM);
	return 0;
}

/* Pins it to the processor number id (modulo their number) of those that we may use. */
static void pin(const struct px_engine *e)
{
	cpu_set_t allowed, one;
	uint32_t which;

	if (!px_settings_number(e->supervisor->options->settings, PX_SETTING_PIN) ||
	    sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return;
	which = e->id % (uint32_t)CPU_COUNT(&allowed);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && which-- == 0)
			CPU_SET(cpu, &one);
	if (sched_setaffinity(e->process.pid, sizeof(one), &one) < 0)
		px_log(&e->supervisor->log, "engine %u could not be pinned to a processor: %s",
		       e->id, strerror(errno));
}

static void up(struct px_engine *e)
{
	struct px_supervisor *s = e->supervisor;

	px_loop_timer_stop(s->loop, &e->timer);
	pin(e);
	e->life = PX_LIFE_UP;
	e->served = e->was_up = true;
	e->starts_failed = 0;
	e->why[0] = '\0';
	px_member_live(s->segment, e->member, e->process.pid);
	show(e, PX_ENGINE_UP);
	settled(e);
	s->turn.start = true; /* one less is starting, so another may start */
}

/* It has said BORN or READY. */
static void introduced(struct px_engine *e, const struct px_packet *packet)
{
	if (packet->head.code < 0) {
		/* It ends by itself; its words are kept for the report. */
		snprintf(e->why, sizeof(e->why), "engine %u cannot serve: %.400s", e->id,
			 packet->text);
		return;
	}
	if (!e->process.pid && adopt(e, (pid_t)packet->head.a) < 0)
		violated(e, px_last_error());
	else if (e->process.pid != (pid_t)packet->head.a)
		violated(e, "it says that it is another process");
	else if (packet->head.type == PX_CONTROL_READY && e->life == PX_LIFE_STARTING)
		up(e);
}

/* It is to be renewed: first it is given nothing more to do, then it ends by itself. */
static void renews(struct px_engine *e, bool ends)
{
	if (e->life != PX_LIFE_UP)
		return;
	e->told = e->keep = true;
	if (ends) {
		dying(e);
		return;
	}
	show(e, PX_ENGINE_STARTING);
	px_log(&e->supervisor->log,
	       "engine %u (process %d) is renewed: it has reached max_tasks or max_memory", e->id,
	       (int)e->process.pid);
}

static void control_ready(void *ctx)
{
	struct px_engine *e = ctx;
	struct px_supervisor *s = e->supervisor;
	const struct px_control *head = &s->packet.head;
	int rc = px_control_receive(e->ours.control, &s->packet);
	char name[24];

	if (rc == PX_EAGAIN)
		return;
	if (rc == PX_EPOOL) {
		hung_up(e);
		return;
	}
	if (rc < 0) {
		violated(e, px_last_error());
		return;
	}
	for (uint16_t i = 0; i < head->fds; i++)
		close(s->packet.fds[i]);
	if (head->type == PX_CONTROL_BORN || head->type == PX_CONTROL_READY) {
		introduced(e, &s->packet);
		return;
	}
	if (e->origin != PX_ENGINE_OURS && px_template_told(s, head))
		return;
	if (head->type == PX_CONTROL_RENEW) {
		renews(e, head->a == 1);
		return;
	}
	snprintf(name, sizeof(name), "engine %u", e->id);
	if (px_memory_request_is(head->type))
		rc = px_memory_request_serve(s, e->ours.control, e->member, name, head);
	else
		rc = px_memory_request_reply(e->ours.control, head, PX_EINVAL,
					     "an engine may not ask that", 0, 0);
	if (rc < 0)
		violated(e, "it does not read its answers");
}

/* --- starting --- */

static int ask(struct px_engine *e)
{
	struct px_supervisor *s = e->supervisor;
	struct px_template_order order = {
		.id = e->id,
		.member = e->member,
		.generation = e->generation,
	};
	int rc = px_channels_open(&e->ours, order.fds);

	if (rc < 0)
		return rc;
	order.fds[6] = s->segment->fd;
	rc = px_loop_watch(s->loop, &e->control_watch, e->ours.control, control_ready, e);
	if (rc == 0)
		rc = px_template_fork(s, &order, &e->process);
	if (rc == 0 && e->process.pid) /* it was started by exec */
		rc = px_engine_watch_death(e);
	px_channels_close_theirs(order.fds);
	if (rc < 0) {
		px_process_end(&e->process);
		px_engine_close(e);
	}
	return rc;
}

/* Of what was not asked for in the end. */
static void leave_place(struct px_engine *e)
{
	struct px_death never = { .expected = true };

	if (!e->member.epoch)
		return;
	px_member_mark_dead(e->supervisor->segment, e->member, &never);
	e->member = (struct px_member_id){ 0 };
	px_sweep_mark(e->supervisor);
}

/*
 * Places, descriptors or memory are used up. An engine that was up is not given up for that: at
 * any time somebody may leave.
 */
static void postpone(struct px_engine *e)
{
	char why[sizeof(e->why)];

	snprintf(why, sizeof(why), "engine %u cannot be started now: %.400s", e->id,
		 px_last_error());
	if (strcmp(e->why, why) != 0)
		px_log(&e->supervisor->log, "%s; it is tried again", why);
	memcpy(e->why, why, sizeof(why));
	leave_place(e);
	px_engine_back_off(e, px_backoff_ns(&e->failures, px_os.now_ns()));
	e->postponed = true;
	settled(e);
}

int px_engine_start(struct px_engine *e)
{
	struct px_supervisor *s = e->supervisor;
	int rc = px_member_join(s->segment, PX_MEMBER_ENGINE, (int32_t)e->id, &e->member);

	e->started_ns = px_os.now_ns();
	if (rc == 0)
		rc = ask(e);
	if (rc == PX_EAGAIN || rc == PX_EPOOL) { /* the template is full, or dead: later */
		leave_place(e);
		return PX_EAGAIN;
	}
	e->life = PX_LIFE_STARTING;
	if (rc < 0 && e->was_up) {
		postpone(e);
		return 0;
	}
	if (rc < 0) {
		snprintf(e->why, sizeof(e->why), "engine %u cannot be started: %.400s", e->id,
			 px_last_error());
		px_engine_ended(e);
		return 0;
	}
	e->why[0] = '\0';
	PX_KILLPOINT("supervisor.engine.asked"); /* dead here: the pool ends */
	px_loop_timer_set(s->loop, &e->timer, s->start_limit_ns, too_late, e);
	return 0;
}

/* --- joining --- */

void px_engine_expect(struct px_engine *e)
{
	e->life = PX_LIFE_STARTING;
	e->started_ns = px_os.now_ns();
	e->why[0] = '\0';
	px_loop_timer_set(e->supervisor->loop, &e->timer, e->supervisor->start_limit_ns, too_late,
			  e);
}

int px_engine_join(struct px_engine *e, pid_t pid, int theirs[6])
{
	struct px_supervisor *s = e->supervisor;
	int rc = px_member_join(s->segment, PX_MEMBER_ENGINE, (int32_t)e->id, &e->member);

	for (int i = 0; i < 6; i++)
		theirs[i] = -1;
	if (rc == 0)
		rc = px_channels_open(&e->ours, theirs);
	if (rc == 0)
		rc = px_loop_watch(s->loop, &e->control_watch, e->ours.control, control_ready, e);
	if (rc == 0 && pid)
		rc = px_process_meet(pid, &e->process);
	if (rc == 0 && pid)
		rc = px_engine_watch_death(e);
	if (rc < 0) {
		snprintf(e->why, sizeof(e->why), "engine %u cannot join: %.400s", e->id,
			 px_last_error());
		px_process_kill(&e->process);
		px_engine_ended(e);
	}
	return rc;
}

/* --- ids --- */

int px_engine_new(struct px_supervisor *s, enum px_engine_origin origin, struct px_engine **out)
{
	struct px_engine *e;

	if (s->engines_count == PX_ENGINES_MAX)
		return px_fail(PX_EINVAL, "all %d engine ids of this pool have been used",
			       PX_ENGINES_MAX);
	e = calloc(1, sizeof(*e));
	if (!e)
		return px_fail(PX_ENOMEM, "no private memory for an engine");
	e->supervisor = s;
	e->id = s->engines_count;
	e->origin = origin;
	e->ours = PX_CHANNELS_NONE;
	px_engine_wait(e);
	s->engines[s->engines_count++] = e;
	px_engine_publish(e, PX_ENGINE_STARTING);
	/* SYNC engines.count: release of its first state; partner: px_client_live(). */
	atomic_store_explicit(&s->segment->rw.header->engines_count, s->engines_count,
			      memory_order_release);
	PX_KILLPOINT("supervisor.engine.counted"); /* dead here: so is the pool */
	*out = e;
	return 0;
}

void px_engine_free(struct px_engine *e)
{
	px_loop_timer_stop(e->supervisor->loop, &e->timer);
	px_engine_close(e);
	px_process_end(&e->process);
	free(e);
}

void px_engine_stop(struct px_engine *e, bool keep)
{
	struct px_supervisor *s = e->supervisor;

	switch (e->life) {
	case PX_LIFE_GONE:
		return;
	case PX_LIFE_DYING:
		/*
		 * An engine that is to restart may still be told to stop for good, but not the
		 * other way round.
		 */
		e->keep = e->told ? e->keep && keep : keep;
		e->told = true;
		break;
	case PX_LIFE_WAITING:
	case PX_LIFE_BACKOFF:
		px_loop_timer_stop(s->loop, &e->timer);
		if (keep) {
			px_engine_wait(e);
			return;
		}
		e->told = true;
		px_engine_give_up(e, "it was told to go");
		return;
	case PX_LIFE_STARTING:
		if (keep) /* it is starting anyway */
			return;
		/* fall through */
	case PX_LIFE_UP:
		e->told = true;
		e->keep = keep;
		dying(e);
		break;
	}
	show(e, e->keep ? PX_ENGINE_STARTING : PX_ENGINE_GONE);
	(void)px_process_signal(&e->process, SIGTERM);
	PX_KILLPOINT("supervisor.engine.told"); /* dead here: the pool ends */
}

void px_engine_kill(struct px_engine *e)
{
	if (e->process.pid)
		px_process_kill(&e->process);
	else if (e->life == PX_LIFE_DYING)
		px_engine_ended(e);
}
