/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port.c - a member's place on the segment.
 */
#include "port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "error.h"
#include "forked.h"
#include "killpoint.h"
#include "os.h"
#include "port_parts.h"

/* --- memory from the supervisor --- */

static int extent_get(void *ctx, uint64_t bytes, uint64_t *offset, uint64_t *got)
{
	struct px_port *port = ctx;
	struct px_control call = { .type = PX_CONTROL_EXTENT_GET, .a = bytes };
	struct px_packet *packet = malloc(sizeof(*packet));
	int rc;

	if (!packet)
		return px_fail(PX_ENOMEM, "no private memory for a packet");
	pthread_mutex_lock(&port->control_lock);
	rc = px_control_call(port->control, &call, NULL, packet);
	pthread_mutex_unlock(&port->control_lock);
	if (rc == 0) {
		*offset = packet->head.a;
		*got = packet->head.b;
	}
	free(packet);
	return rc;
}

void px_port_tell(struct px_port *port, uint16_t type, uint64_t a, uint64_t b)
{
	struct px_control note = { .type = type, .a = a, .b = b };

	/* A supervisor that is gone has no use for the news. */
	(void)px_control_send(port->control, &note, NULL, NULL, 0);
}

static void extent_put(void *ctx, uint64_t offset, uint64_t bytes)
{
	px_port_tell(ctx, PX_CONTROL_EXTENT_PUT, offset, bytes);
}

static int chunk_get(void *ctx, uint64_t bytes, uint64_t *offset, void **at)
{
	return px_arena_get(ctx, bytes, offset, at);
}

static void chunk_put(void *ctx, uint64_t offset, void *at, uint64_t bytes)
{
	(void)at;
	px_arena_put(ctx, offset, bytes);
}

/* --- forks --- */

static struct px_port *ports;
static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t forks_watched = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
	pthread_mutex_lock(&ports_lock);
	for (struct px_port *port = ports; port; port = port->next)
		px_arena_before_fork(port->arena);
}

static void after_fork(void)
{
	for (struct px_port *port = ports; port; port = port->next)
		px_arena_after_fork(port->arena);
	pthread_mutex_unlock(&ports_lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork, after_fork);
}

static void enter(struct px_port *port)
{
	pthread_once(&forks_watched, watch_forks);
	pthread_mutex_lock(&ports_lock);
	port->next = ports;
	ports = port;
	pthread_mutex_unlock(&ports_lock);
}

static void leave(struct px_port *port)
{
	struct px_port **place = &ports;

	pthread_mutex_lock(&ports_lock);
	while (*place != port)
		place = &(*place)->next;
	*place = port->next;
	pthread_mutex_unlock(&ports_lock);
}

/* --- the port --- */

int px_port_open(struct px_segment *segment, struct px_member_id self, int control,
		 struct px_port **out)
{
	struct px_port *port = calloc(1, sizeof(*port));
	void *block;
	int rc;

	if (!port)
		return px_fail(PX_ENOMEM, "no private memory for a port");
	rc = px_segment_map(segment, px_segment_block_offset(segment, self.slot),
			    sizeof(struct px_block_shm), &block);
	if (rc < 0)
		goto no_block;
	port->segment = segment;
	port->self = self;
	port->block = block;
	port->bell = &segment->bells[self.slot];
	port->control = control;
	port->generation = px_forked_generation();
	port->owner_pid = getpid();
	pthread_mutex_init(&port->lock, NULL);
	pthread_mutex_init(&port->control_lock, NULL);
	rc = px_arena_new(segment, (struct px_extent_source){ extent_get, extent_put, port },
			  &port->block->usage, &port->arena);
	if (rc < 0)
		goto no_arena;
	enter(port);
	*out = port;
	return 0;

no_arena:
	pthread_mutex_destroy(&port->control_lock);
	pthread_mutex_destroy(&port->lock);
	px_segment_unmap(block, sizeof(struct px_block_shm));
no_block:
	free(port);
	return rc;
}

static void link_free(struct px_link *link)
{
	px_producer_close(&link->tx);
	px_leases_close(&link->leases);
	free(link);
}

bool px_link_settle(struct px_link *link)
{
	struct px_port *port = link->port;

	if (!link->finished || atomic_load_explicit(&link->held, memory_order_acquire) > 0)
		return false;
	px_member_link_close(link->own);
	/* Dead here: the sweep of our own death finds it closed. */
	PX_KILLPOINT("port.link.closed");
	if (port->links[link->peer.slot] == link)
		port->links[link->peer.slot] = NULL;
	link_free(link);
	return true;
}

void px_port_free(struct px_port *port)
{
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (port->links[slot]) {
			px_member_link_close(port->links[slot]->own);
			link_free(port->links[slot]);
		}
	leave(port);
	px_maps_free(&port->maps);
	px_arena_free(port->arena);
	px_segment_unmap(port->block, sizeof(struct px_block_shm));
	px_segment_detach(port->segment);
	close(port->control);
	pthread_mutex_destroy(&port->control_lock);
	pthread_mutex_destroy(&port->lock);
	free(port);
}

bool px_port_holds(const struct px_port *port)
{
	if (port->shown)
		return true;
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (port->links[slot] &&
		    atomic_load_explicit(&port->links[slot]->held, memory_order_acquire) > 0)
			return true;
	return false;
}

void px_port_close(struct px_port *port)
{
	if (!port)
		return;
	pthread_mutex_lock(&port->lock);
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (port->links[slot]) {
			port->links[slot]->finished = true;
			px_link_settle(port->links[slot]);
		}
	port->closed = true;
	bool held = px_port_holds(port);
	pthread_mutex_unlock(&port->lock);
	if (!held)
		px_port_free(port);
}

int px_port_wait(struct px_port *port, uint32_t why, uint64_t timeout_ns, int (*ready)(void *ctx),
		 int (*on_nap)(void *ctx), void *ctx)
{
	uint64_t base = port->segment->header->spin_ns, began = px_os.now_ns();
	/* A guess, which of two threads may say: relaxed. */
	uint64_t spin = atomic_load_explicit(&port->spin_ns, memory_order_relaxed);
	int rc;

	if (spin < base)
		spin = base;
	rc = px_doorbell_wait(port->bell, why, spin, timeout_ns, ready, on_nap, ctx);
	spin = px_doorbell_spin_next(spin, base, px_os.now_ns() - began);
	atomic_store_explicit(&port->spin_ns, spin, memory_order_relaxed);
	return rc;
}

bool px_port_orphaned(struct px_port *port)
{
	char byte;
	ssize_t got = recv(port->control, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

/* --- links --- */

static int link_open(struct px_port *port, struct px_member_id peer, struct px_link **out)
{
	struct px_link *link = calloc(1, sizeof(*link));
	const struct px_block_shm *theirs = px_segment_block(port->segment, peer.slot);
	uint64_t own_offset = px_segment_block_offset(port->segment, port->self.slot) +
			      offsetof(struct px_block_shm, links) +
			      (uint64_t)peer.slot * sizeof(struct px_link_shm);
	int rc;

	if (!link)
		return px_fail(PX_ENOMEM, "no private memory for a link");
	link->port = port;
	link->peer = peer;
	link->own = &port->block->links[peer.slot];
	link->bell = &port->segment->bells[peer.slot];
	/* What the slot's previous occupant was told. */
	atomic_store_explicit(&link->own->urgent_seq, 0, memory_order_relaxed);
	atomic_store_explicit(&link->own->begun_id, 0, memory_order_relaxed);
	atomic_store_explicit(&link->own->interrupt_id, 0, memory_order_relaxed);
	/* The ring is made before the link says open: the peer reads at once. */
	rc = px_producer_open(&link->tx, link->own, own_offset, &theirs->links[port->self.slot],
			      port->self.epoch,
			      (struct px_chunk_source){ chunk_get, chunk_put, port->arena });
	if (rc < 0)
		goto no_ring;
	px_leases_open(&link->leases, port->segment, peer, &theirs->links[port->self.slot],
		       port->self.epoch);
	px_consumer_open(&link->rx, port->segment, link->own, peer.slot, port->self.slot);
	if (!px_member_link_open(port->segment, link->own, peer)) {
		/* A sweep of that moment may have found the link open. */
		px_port_tell(port, PX_CONTROL_SWEEP, 0, 0);
		rc = px_fail(PX_EENGINE, "member %u is dead", peer.slot);
		goto dead;
	}
	/* Dead here: an open link of a dead member counts for nothing. */
	PX_KILLPOINT("port.link.opened");
	*out = link;
	return 0;

dead:
	px_producer_close(&link->tx);
no_ring:
	free(link);
	return rc;
}

int px_port_link(struct px_port *port, struct px_member_id peer, struct px_link **out)
{
	struct px_link *link;
	int rc = 0;

	if (peer.slot >= PX_MEMBERS_MAX || peer.slot == port->self.slot)
		return px_fail(PX_EINVAL, "there is no member %u to link to", peer.slot);
	pthread_mutex_lock(&port->lock);
	link = port->links[peer.slot];
	if (link && link->peer.epoch != peer.epoch) {
		/* The slot cannot change hands while a link to its last occupant is open. */
		rc = px_fail(PX_EENGINE, "member %u of epoch %u is dead", peer.slot, peer.epoch);
	} else if (!link) {
		rc = link_open(port, peer, &link);
		if (rc == 0)
			port->links[peer.slot] = link;
	}
	pthread_mutex_unlock(&port->lock);
	if (rc == 0)
		*out = link;
	return rc;
}

void px_link_finish(struct px_link *link)
{
	struct px_port *port = link->port;

	pthread_mutex_lock(&port->lock);
	link->finished = true;
	/* What it was lent comes back when it is dead; a live peer may still read. */
	if (!px_member_alive(port->segment, link->peer))
		px_leases_close(&link->leases);
	bool closed = px_link_settle(link);
	pthread_mutex_unlock(&port->lock);
	if (closed)
		px_port_tell(port, PX_CONTROL_SWEEP, 0, 0);
}

void px_link_collect(struct px_link *link)
{
	pthread_mutex_lock(&link->port->lock);
	px_leases_collect(&link->leases);
	px_producer_reclaim(&link->tx);
	pthread_mutex_unlock(&link->port->lock);
}
