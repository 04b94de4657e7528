/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * endpoint.c - a member's place on the segment.
 */
#include "link/endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link/forked.h"
#include "link/internal.h"
#include "pool/control.h"
#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/os.h"

/* --- memory from the supervisor --- */

/* An extent that is refused is asked for so often again: after 1, 2, 4, 8 and 16 ms. */
#define INSISTS 5

static int ask_extent(struct px_endpoint *endpoint, uint64_t bytes, enum px_extent_ask how,
		      struct px_packet *packet)
{
	struct px_control call = { .type = PX_CONTROL_EXTENT_GET, .a = bytes, .b = how };
	int rc;

	pthread_mutex_lock(&endpoint->control_lock);
	rc = px_control_call(endpoint->control, &call, packet, NULL);
	pthread_mutex_unlock(&endpoint->control_lock);
	return rc;
}

static void sleep_ns(uint64_t ns)
{
	_Atomic uint32_t nobody = 0;

	(void)px_os.futex_wait(&nobody, 0, ns);
}

/*
 * When it is refused, engines that have nothing to do and clients that wait give back what they keep warm,
 * if that may be enough and there is news since this one last asked, which takes some milliseconds: it is asked for
 * again then.
 */
static int insist_on_extent(struct px_endpoint *endpoint, uint64_t bytes, struct px_packet *packet)
{
	int rc = ask_extent(endpoint, bytes, PX_EXTENT_FIRST, packet);

	if (rc != PX_ENOMEM || !packet->head.a)
		return rc;
	for (uint64_t again = 1; rc == PX_ENOMEM && again <= INSISTS; again++) {
		sleep_ns(UINT64_C(500000) << again);
		rc = ask_extent(endpoint, bytes, again < INSISTS ? PX_EXTENT_AGAIN : PX_EXTENT_LAST,
				packet);
	}
	return rc;
}

static int extent_get(void *ctx, uint64_t bytes, bool earnest, uint64_t *offset, uint64_t *got)
{
	struct px_endpoint *endpoint = ctx;
	struct px_packet *packet = malloc(sizeof(*packet));
	int rc = px_endpoint_check(endpoint);

	if (!packet)
		return px_fail(PX_ENOMEM, "no private memory for a packet");
	if (rc == 0)
		rc = earnest ? insist_on_extent(endpoint, bytes, packet) :
			       ask_extent(endpoint, bytes, PX_EXTENT_TRY, packet);
	if (rc == 0) {
		*offset = packet->head.a;
		*got = packet->head.b;
	}
	/* PX_ETIMEDOUT has callers try again; this is for whoever waits for the request. */
	if (rc == PX_ETIMEDOUT)
		rc = px_fail(PX_EPOOL, "%s", px_last_error());
	free(packet);
	return rc;
}

void px_endpoint_tell(struct px_endpoint *endpoint, uint16_t type, uint64_t a, uint64_t b)
{
	struct px_control note = { .type = type, .a = a, .b = b };

	/*
	 * If the supervisor is gone, or has seen us hang up, it need not be told. If it is stopped,
	 * memory that it is not told of stays this member's until its end.
	 */
	if (px_endpoint_check(endpoint) == 0)
		(void)px_control_tell(endpoint->control, &note);
}

static void extent_put(void *ctx, uint64_t offset, uint64_t bytes)
{
	px_endpoint_tell(ctx, PX_CONTROL_EXTENT_PUT, offset, bytes);
}

static void reclaim(void *ctx)
{
	px_endpoint_collect_all(ctx);
}

static int chunk_get(void *ctx, uint64_t bytes, uint64_t *offset, void **at)
{
	/* The endpoint's lock is taken, and who sends collects by itself. */
	return px_arena_get(ctx, bytes, PX_ARENA_EARNEST, offset, at);
}

static void chunk_put(void *ctx, uint64_t offset, void *at, uint64_t bytes)
{
	(void)at;
	px_arena_put(ctx, offset, bytes);
}

/* --- forks --- */

static struct px_endpoint *endpoints;
static pthread_mutex_t endpoints_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t forks_watched = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
	pthread_mutex_lock(&endpoints_lock);
	for (struct px_endpoint *endpoint = endpoints; endpoint; endpoint = endpoint->next)
		px_arena_before_fork(endpoint->arena);
}

static void after_fork(void)
{
	for (struct px_endpoint *endpoint = endpoints; endpoint; endpoint = endpoint->next)
		px_arena_after_fork(endpoint->arena);
	pthread_mutex_unlock(&endpoints_lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork, after_fork);
}

static void enter(struct px_endpoint *endpoint)
{
	pthread_once(&forks_watched, watch_forks);
	pthread_mutex_lock(&endpoints_lock);
	endpoint->next = endpoints;
	endpoints = endpoint;
	pthread_mutex_unlock(&endpoints_lock);
}

static void leave(struct px_endpoint *endpoint)
{
	struct px_endpoint **place = &endpoints;

	pthread_mutex_lock(&endpoints_lock);
	while (*place != endpoint)
		place = &(*place)->next;
	*place = endpoint->next;
	pthread_mutex_unlock(&endpoints_lock);
}

/* --- the endpoint --- */

int px_endpoint_open(struct px_segment *segment, struct px_member_id self, int control,
		     struct px_endpoint **out)
{
	struct px_endpoint *endpoint = calloc(1, sizeof(*endpoint));
	void *block;
	int rc;

	if (!endpoint)
		return px_fail(PX_ENOMEM, "no private memory for an endpoint");
	rc = px_segment_map(segment, px_segment_block_offset(segment, self.slot),
			    sizeof(struct px_block_shm), &block);
	if (rc < 0)
		goto no_block;
	endpoint->segment = segment;
	endpoint->self = self;
	endpoint->block = block;
	endpoint->bell = &segment->bells[self.slot];
	endpoint->control_id = px_descriptor_identify(control);
	endpoint->generation = px_forked_generation();
	endpoint->owner_pid = getpid();
	atomic_init(&endpoint->holds, 1);
	pthread_mutex_init(&endpoint->lock, NULL);
	pthread_mutex_init(&endpoint->control_lock, NULL);
	rc = px_arena_new(segment,
			  (struct px_extent_source){ extent_get, extent_put, reclaim, endpoint },
			  &endpoint->block->usage, &endpoint->arena);
	if (rc < 0)
		goto no_arena;
	endpoint->control = px_descriptor_raise(control);
	enter(endpoint);
	*out = endpoint;
	return 0;

no_arena:
	pthread_mutex_destroy(&endpoint->control_lock);
	pthread_mutex_destroy(&endpoint->lock);
	px_segment_unmap(block, sizeof(struct px_block_shm));
no_block:
	free(endpoint);
	return rc;
}

static void link_free(struct px_link *link)
{
	px_producer_close(&link->tx);
	px_leases_close(&link->leases);
	free(link);
}

bool px_link_close_finished(struct px_link *link)
{
	struct px_endpoint *endpoint = link->endpoint;

	/* Relaxed: what is let go of is with the lock, too. */
	if (!link->finished || atomic_load_explicit(&link->held, memory_order_relaxed) > 0)
		return false;
	px_member_link_close(link->own);
	/* Dead here: the sweep of our own death finds it closed. */
	PX_KILLPOINT("endpoint.link.closed");
	if (endpoint->links[link->peer.slot] == link)
		endpoint->links[link->peer.slot] = NULL;
	link_free(link);
	return true;
}

static void endpoint_free(struct px_endpoint *endpoint)
{
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (endpoint->links[slot]) {
			px_member_link_close(endpoint->links[slot]->own);
			link_free(endpoint->links[slot]);
		}
	leave(endpoint);
	px_maps_free(&endpoint->maps);
	px_arena_free(endpoint->arena);
	px_segment_unmap(endpoint->block, sizeof(struct px_block_shm));
	px_segment_detach(endpoint->segment);
	px_descriptor_close(endpoint->control, endpoint->control_id);
	pthread_mutex_destroy(&endpoint->control_lock);
	pthread_mutex_destroy(&endpoint->lock);
	free(endpoint);
}

void px_endpoint_hold(struct px_endpoint *endpoint)
{
	atomic_fetch_add_explicit(&endpoint->holds, 1, memory_order_relaxed);
}

void px_endpoint_release(struct px_endpoint *endpoint)
{
	/* SYNC private: who lets go last sees what the others did before they let go. */
	if (endpoint->generation == px_forked_generation() &&
	    atomic_fetch_sub_explicit(&endpoint->holds, 1, memory_order_acq_rel) == 1)
		endpoint_free(endpoint);
}

void px_endpoint_close(struct px_endpoint *endpoint)
{
	if (!endpoint)
		return;
	pthread_mutex_lock(&endpoint->lock);
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (endpoint->links[slot]) {
			endpoint->links[slot]->finished = true;
			px_link_close_finished(endpoint->links[slot]);
		}
	endpoint->closed = true;
	pthread_mutex_unlock(&endpoint->lock);
	px_endpoint_release(endpoint);
}

typedef int doorbell_wait(struct px_doorbell_shm *bell, uint32_t why, uint64_t spin_ns,
			  uint64_t timeout_ns, int (*ready)(void *ctx), int (*on_nap)(void *ctx),
			  void *ctx);

static int wait_by(doorbell_wait *wait, struct px_endpoint *endpoint, uint32_t why,
		   uint64_t timeout_ns, int (*ready)(void *ctx), int (*on_nap)(void *ctx),
		   void *ctx)
{
	uint64_t base = endpoint->segment->header->spin_ns, began = px_os.now_ns();
	/* Only estimates, and either thread's will do: relaxed. */
	uint64_t spin = atomic_load_explicit(&endpoint->spin_ns, memory_order_relaxed), waited;
	bool woke = atomic_load_explicit(&endpoint->woke, memory_order_relaxed);
	int rc;

	if (spin < base)
		spin = base;
	if (woke) {
		uint64_t lately = atomic_load_explicit(&endpoint->woken_ns, memory_order_relaxed);
		uint64_t enough = px_doorbell_spin_woken(lately, base);

		atomic_store_explicit(&endpoint->woke, false, memory_order_relaxed);
		spin = spin > enough ? spin : enough;
	}
	px_place_begin(&endpoint->place, endpoint->segment, endpoint->bell, began, base);
	rc = wait(endpoint->bell, why, spin, timeout_ns, ready, on_nap, ctx);
	waited = px_os.now_ns() - began;
	px_place_end(&endpoint->place, began, began + waited, base);
	if (woke)
		atomic_store_explicit(&endpoint->woken_ns, waited, memory_order_relaxed);
	else
		atomic_store_explicit(&endpoint->spin_ns, px_doorbell_spin_next(spin, base, waited),
				      memory_order_relaxed);
	return rc;
}

int px_endpoint_wait(struct px_endpoint *endpoint, uint32_t why, uint64_t timeout_ns,
		     int (*ready)(void *ctx), int (*on_nap)(void *ctx), void *ctx)
{
	return wait_by(px_doorbell_wait, endpoint, why, timeout_ns, ready, on_nap, ctx);
}

int px_endpoint_idle(struct px_endpoint *endpoint, uint32_t why, uint64_t timeout_ns,
		     int (*ready)(void *ctx), int (*on_nap)(void *ctx), void *ctx)
{
	return wait_by(px_doorbell_idle, endpoint, why, timeout_ns, ready, on_nap, ctx);
}

void px_endpoint_last_words(struct px_endpoint *endpoint, const char *words)
{
	size_t length = strnlen(words, PX_CRASH_BYTES - 1);

	memcpy(endpoint->block->crash, words, length);
	endpoint->block->crash[length] = '\0';
}

int px_endpoint_check(const struct px_endpoint *endpoint)
{
	int rc = px_descriptor_check(endpoint->control, endpoint->control_id,
				     "the socket to the pool's supervisor");

	return rc < 0 ? rc : px_segment_check(endpoint->segment);
}

int px_endpoint_look(const struct px_endpoint *endpoint)
{
	int rc = px_endpoint_check(endpoint);
	ssize_t got;
	char byte;

	if (rc < 0)
		return rc;
	got = recv(endpoint->control, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		return px_fail(PX_EPOOL, "the pool's supervisor is gone, and its engines with it");
	return 0;
}

/* --- links --- */

static int link_open(struct px_endpoint *endpoint, struct px_member_id peer, struct px_link **out)
{
	struct px_link *link = calloc(1, sizeof(*link));
	const struct px_block_shm *theirs = px_segment_block(endpoint->segment, peer.slot);
	uint64_t own_offset = px_segment_block_offset(endpoint->segment, endpoint->self.slot) +
			      offsetof(struct px_block_shm, links) +
			      (uint64_t)peer.slot * sizeof(struct px_link_shm);
	int rc;

	if (!link)
		return px_fail(PX_ENOMEM, "no private memory for a link");
	link->endpoint = endpoint;
	link->peer = peer;
	link->own = &endpoint->block->links[peer.slot];
	link->bell = &endpoint->segment->bells[peer.slot];
	/* These still have what was said to the slot's previous occupant. */
	atomic_store_explicit(&link->own->urgent_seq, 0, memory_order_relaxed);
	atomic_store_explicit(&link->own->interrupt_id, 0, memory_order_relaxed);
	/* The ring is made before the link is opened: from then on the peer reads it. */
	rc = px_producer_open(&link->tx, link->own, own_offset, &theirs->links[endpoint->self.slot],
			      endpoint->self.epoch,
			      (struct px_chunk_source){ chunk_get, chunk_put, endpoint->arena });
	if (rc < 0)
		goto no_ring;
	px_leases_open(&link->leases, endpoint->segment, peer, &theirs->links[endpoint->self.slot],
		       endpoint->self.epoch);
	px_consumer_open(&link->rx, endpoint->segment, link->own, peer.slot, endpoint->self.slot);
	if (!px_member_link_open(endpoint->segment, link->own, peer)) {
		/* A sweep may have seen the open link and left the slot: sweep again. */
		px_endpoint_tell(endpoint, PX_CONTROL_SWEEP, 0, 0);
		rc = px_fail(PX_EENGINE, "member %u is dead", peer.slot);
		goto dead;
	}
	/* Dead here: an open link of a dead member does not count. */
	PX_KILLPOINT("endpoint.link.opened");
	*out = link;
	return 0;

dead:
	px_producer_close(&link->tx);
no_ring:
	free(link);
	return rc;
}

int px_endpoint_link(struct px_endpoint *endpoint, struct px_member_id peer, struct px_link **out)
{
	struct px_link *link;
	int rc = 0;

	if (peer.slot >= PX_MEMBERS_MAX || peer.slot == endpoint->self.slot)
		return px_fail(PX_EINVAL, "there is no member %u to link to", peer.slot);
	pthread_mutex_lock(&endpoint->lock);
	link = endpoint->links[peer.slot];
	if (link && link->peer.epoch != peer.epoch) {
		/* The slot cannot change hands while a link to its last occupant is open. */
		rc = px_fail(PX_EENGINE, "member %u of epoch %u is dead", peer.slot, peer.epoch);
	} else if (!link) {
		rc = link_open(endpoint, peer, &link);
		if (rc == 0)
			endpoint->links[peer.slot] = link;
	}
	pthread_mutex_unlock(&endpoint->lock);
	if (rc == 0)
		*out = link;
	return rc;
}

void px_link_finish(struct px_link *link)
{
	struct px_endpoint *endpoint = link->endpoint;

	pthread_mutex_lock(&endpoint->lock);
	link->finished = true;
	/* Leases of a dead peer are over; a live peer may still read what it was lent. */
	if (!px_member_alive(endpoint->segment, link->peer))
		px_leases_close(&link->leases);
	bool closed = px_link_close_finished(link);
	pthread_mutex_unlock(&endpoint->lock);
	if (closed)
		px_endpoint_tell(endpoint, PX_CONTROL_SWEEP, 0, 0);
}

static void collect_locked(struct px_link *link)
{
	px_leases_collect(&link->leases);
	px_producer_reclaim(&link->tx);
}

void px_link_collect(struct px_link *link)
{
	pthread_mutex_lock(&link->endpoint->lock);
	collect_locked(link);
	pthread_mutex_unlock(&link->endpoint->lock);
}

void px_endpoint_collect(struct px_endpoint *endpoint, struct px_member_id peer)
{
	struct px_link *link;

	pthread_mutex_lock(&endpoint->lock);
	link = endpoint->links[peer.slot];
	if (link && link->peer.epoch == peer.epoch)
		collect_locked(link);
	pthread_mutex_unlock(&endpoint->lock);
}

void px_endpoint_collect_all(struct px_endpoint *endpoint)
{
	pthread_mutex_lock(&endpoint->lock);
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (endpoint->links[slot])
			collect_locked(endpoint->links[slot]);
	pthread_mutex_unlock(&endpoint->lock);
}
