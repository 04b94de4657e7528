/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * side.c - joins members, and answers what they ask a supervisor.
 */
#include "tests/c/side.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pool/control.h"
#include "shm/error.h"

static pthread_mutex_t ledger = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool refuses, asks_back;
static _Atomic unsigned earnest;

struct px_segment *side_segment(uint64_t units)
{
	struct px_segment *segment;

	if (px_segment_create(units * PX_UNIT_BYTES, PX_SEGMENT_SHM, &segment) < 0)
		fail_msg("%s", px_last_error());
	return segment;
}

/* --- the supervisor's part --- */

static void put_units(const struct side *side, uint64_t offset, uint64_t bytes)
{
	uint64_t first = (offset - side->segment->arena_offset) / PX_UNIT_BYTES;

	pthread_mutex_lock(&ledger);
	for (uint64_t i = 0; i < bytes / PX_UNIT_BYTES; i++)
		atomic_store(&side->segment->rw.units[first + i], 0);
	pthread_mutex_unlock(&ledger);
}

/* First fit over the map of units. */
static void get_units(const struct side *side, uint64_t bytes, struct px_control *reply)
{
	uint64_t count = side->segment->arena_bytes / PX_UNIT_BYTES;
	uint64_t units = bytes / PX_UNIT_BYTES, first = 0, run = 0;

	pthread_mutex_lock(&ledger);
	for (uint64_t unit = 0; unit < count && run < units; unit++) {
		run = atomic_load(&side->segment->units[unit]) ? 0 : run + 1;
		first = unit + 1 - run;
	}
	if (run < units || atomic_load(&refuses)) {
		reply->code = PX_ENOMEM;
		reply->a = atomic_load(&asks_back);
	} else {
		for (uint64_t i = 0; i < units; i++)
			atomic_store(&side->segment->rw.units[first + i],
				     (uint16_t)(side->id.slot + 1));
		reply->a = side->segment->arena_offset + first * PX_UNIT_BYTES;
		reply->b = units * PX_UNIT_BYTES;
	}
	pthread_mutex_unlock(&ledger);
}

static void join(struct side *side, enum px_member_kind kind)
{
	assert_int_equal(px_member_join(side->segment, kind, kind == PX_MEMBER_ENGINE ? 0 : -1,
					&side->id),
			 0);
	px_member_live(side->segment, side->id, getpid());
	px_member_announce(side->segment);
}

static void answer(struct side *side, const struct px_control *asked)
{
	struct px_control reply = { .type = PX_CONTROL_REPLY, .serial = asked->serial };
	const int *fd = NULL;
	const char *words = NULL;

	switch (asked->type) {
	case PX_CONTROL_HELLO:
		join(side, PX_MEMBER_CLIENT);
		reply.a = side->id.slot;
		reply.b = side->id.epoch;
		fd = &side->segment->fd;
		break;
	case PX_CONTROL_EXTENT_GET:
		get_units(side, asked->a, &reply);
		if (asked->b)
			atomic_fetch_add(&earnest, 1);
		words = reply.code ? "arena full" : NULL;
		break;
	case PX_CONTROL_EXTENT_PUT:
		put_units(side, asked->a, asked->b);
		return;
	case PX_CONTROL_SIGNAL:
		break;
	default:
		return;
	}
	(void)px_control_send(side->supervisor_end, &reply, words, fd, fd ? 1 : 0);
}

/* Until the member hangs up. */
static void *supervise(void *ctx)
{
	struct side *side = ctx;
	struct px_packet *packet = malloc(sizeof(*packet));

	while (px_control_receive(side->supervisor_end, packet) == 0)
		answer(side, &packet->head);
	free(packet);
	return NULL;
}

/* --- joining and leaving --- */

/* Their end of the control socket. */
static int begin(struct side *side, struct px_segment *segment)
{
	int ends[2];

	*side = (struct side){ .segment = segment };
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	side->supervisor_end = ends[1];
	return ends[0];
}

void side_open(struct side *side, struct px_segment *segment, enum px_member_kind kind)
{
	struct px_segment *theirs;
	int control = begin(side, segment);

	join(side, kind);
	assert_int_equal(pthread_create(&side->supervisor, NULL, supervise, side), 0);
	assert_int_equal(px_segment_attach(dup(segment->fd), &theirs), 0);
	assert_int_equal(px_endpoint_open(theirs, side->id, control, &side->endpoint), 0);
}

void side_attach(struct side *side, struct px_segment *segment)
{
	struct px_runtime runtime = { 0 };
	int control = begin(side, segment);

	assert_int_equal(pthread_create(&side->supervisor, NULL, supervise, side), 0);
	if (px_client_open(&runtime, control, 0, &side->client) < 0)
		fail_msg("%s", px_last_error());
}

void side_meet(struct side *client, struct side *engine)
{
	assert_int_equal(px_endpoint_link(client->endpoint, engine->id, &client->link), 0);
	assert_int_equal(px_endpoint_link(engine->endpoint, client->id, &engine->link), 0);
}

void side_forget(struct side *side)
{
	pthread_join(side->supervisor, NULL);
	close(side->supervisor_end);
	for (uint64_t i = 0; i < side->segment->arena_bytes / PX_UNIT_BYTES; i++)
		if (atomic_load(&side->segment->units[i]) == side->id.slot + 1)
			atomic_store(&side->segment->rw.units[i], 0);
}

void side_close(struct side *side)
{
	if (side->client)
		px_client_detach(side->client);
	else
		px_endpoint_close(side->endpoint);
	side_forget(side);
}

void side_kill(struct side *side, const struct px_death *death)
{
	px_member_mark_dead(side->segment, side->id, death);
	px_member_announce(side->segment);
}

void side_hang_up(struct side *side)
{
	(void)shutdown(side->supervisor_end, SHUT_RDWR);
}

void side_refuse_memory(bool refuse)
{
	atomic_store(&refuses, refuse);
}

void side_ask_for_memory(bool ask)
{
	atomic_store(&asks_back, ask);
}

unsigned side_memory_asked(void)
{
	return atomic_load(&earnest);
}

void side_show_engine(struct side *side, uint32_t id, enum px_engine_state state)
{
	struct px_engine_shm *shown = &side->segment->rw.engines[id];

	atomic_store(&shown->slot, side->id.slot);
	atomic_store(&shown->epoch, side->id.epoch);
	atomic_store(&shown->state, state);
	if (atomic_load(&side->segment->rw.header->engines_count) <= id)
		atomic_store(&side->segment->rw.header->engines_count, id + 1);
	px_member_announce(side->segment);
}

/* --- messages --- */

struct px_incoming side_receive(struct side *side)
{
	struct px_incoming in;

	if (px_link_receive(side->link, &in) != 1)
		fail_msg("nothing came: %s", px_last_error());
	return in;
}

struct px_incoming side_await(struct side *side)
{
	struct px_incoming in;
	int rc;

	/* A link to the next chunk is something to read, and no message. */
	while ((rc = px_link_receive(side->link, &in)) == 0)
		sched_yield();
	if (rc < 0)
		fail_msg("%s", px_last_error());
	return in;
}
