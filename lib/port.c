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

static void tell_supervisor(struct px_port *port, uint16_t type, uint64_t a, uint64_t b)
{
	struct px_control note = { .type = type, .a = a, .b = b };

	/* A supervisor that is gone has no use for the news. */
	(void)px_control_send(port->control, &note, NULL, NULL, 0);
}

static void extent_put(void *ctx, uint64_t offset, uint64_t bytes)
{
	tell_supervisor(ctx, PX_CONTROL_EXTENT_PUT, offset, bytes);
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
	rc = px_arena_new(segment, (struct px_extent_source){ extent_get, extent_put, port }, &port->block->usage,
			  &port->arena);
	if (rc < 0)
		goto no_arena;
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

/* With the port's lock. Closes a finished link of which nothing is held. */
static bool link_settle(struct px_link *link)
{
	struct px_port *port = link->port;

	if (!link->finished || atomic_load_explicit(&link->held, memory_order_acquire) > 0)
		return false;
	px_member_link_close(link->own);
	PX_KILLPOINT("port.link.closed"); /* dead here: the sweep of our own death finds it closed */
	if (port->links[link->peer.slot] == link)
		port->links[link->peer.slot] = NULL;
	link_free(link);
	return true;
}

/*
 * What is left of a port that was closed while loans are out: the last loan
 * frees it. The member is gone for the supervisor by then, yet the pages of the
 * mapping stay valid.
 */
static void port_free(struct px_port *port)
{
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (port->links[slot]) {
			px_member_link_close(port->links[slot]->own);
			link_free(port->links[slot]);
		}
	px_arena_free(port->arena);
	px_segment_unmap(port->block, sizeof(struct px_block_shm));
	px_segment_detach(port->segment);
	close(port->control);
	pthread_mutex_destroy(&port->control_lock);
	pthread_mutex_destroy(&port->lock);
	free(port);
}

/* With the port's lock. */
static bool holds_anything(const struct px_port *port)
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
			link_settle(port->links[slot]);
		}
	port->closed = true;
	bool held = holds_anything(port);
	pthread_mutex_unlock(&port->lock);
	if (!held)
		port_free(port);
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
	rc = px_producer_open(&link->tx, link->own, own_offset, &theirs->links[port->self.slot], port->self.epoch,
			      (struct px_chunk_source){ chunk_get, chunk_put, port->arena });
	if (rc < 0)
		goto no_ring;
	px_leases_open(&link->leases, port->segment, peer, &theirs->links[port->self.slot], port->self.epoch);
	px_consumer_open(&link->rx, port->segment, link->own, peer.slot, port->self.slot);
	if (!px_member_link_open(port->segment, link->own, peer)) {
		/* A sweep of that moment may have found the link open. */
		tell_supervisor(port, PX_CONTROL_SWEEP, 0, 0);
		rc = px_fail(PX_EENGINE, "member %u is dead", peer.slot);
		goto dead;
	}
	PX_KILLPOINT("port.link.opened"); /* dead here: an open link of a dead member counts for nothing */
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
	bool closed = link_settle(link);
	pthread_mutex_unlock(&port->lock);
	if (closed)
		tell_supervisor(port, PX_CONTROL_SWEEP, 0, 0);
}

void px_link_collect(struct px_link *link)
{
	pthread_mutex_lock(&link->port->lock);
	px_leases_collect(&link->leases);
	px_producer_reclaim(&link->tx);
	pthread_mutex_unlock(&link->port->lock);
}

/* --- sending --- */

/* Lends one part. */
static int lend(struct px_link *link, const struct px_part *part, struct px_tracker *tracker,
		struct px_region_shm *out)
{
	struct px_region *region = part->region;
	int rc;

	memset(out, 0, sizeof(*out));
	if (!region)
		return 0;
	if (!atomic_load_explicit(&region->shown, memory_order_relaxed))
		tracker = NULL; /* a copy: nobody else writes there */
	rc = px_lease_grant(&link->leases, region, tracker, &out->lease, &out->generation);
	if (rc == PX_EAGAIN && px_leases_collect(&link->leases) > 0)
		rc = px_lease_grant(&link->leases, region, tracker, &out->lease, &out->generation);
	if (rc < 0)
		return rc;
	out->offset = region->offset + part->skip;
	out->bytes = part->bytes;
	out->live = region->live;
	return 0;
}

/* Puts a body that is too long for a frame into a region of its own. */
static int body_to_region(struct px_port *port, const struct px_outgoing *message,
			  struct px_region **out)
{
	int rc = px_region_new(port->arena, message->body_bytes, out);

	if (rc == 0)
		memcpy((*out)->at, message->body, message->body_bytes);
	return rc;
}

static int send_locked(struct px_link *link, const struct px_outgoing *message,
		       struct px_region *body)
{
	uint32_t regions = message->buffers_count + (body ? 1 : 0);
	uint64_t inline_bytes = body ? 0 : message->body_bytes;
	uint64_t payload_bytes = sizeof(struct px_message_shm) +
				 regions * sizeof(struct px_region_shm) + inline_bytes;
	struct px_message_shm *head;
	struct px_region_shm *lent;
	uint32_t done = 0;
	void *payload;
	int rc;

	px_leases_collect(&link->leases);
	rc = px_producer_reserve(&link->tx, (uint32_t)payload_bytes, &payload);
	if (rc < 0)
		return rc;
	head = payload;
	lent = (struct px_region_shm *)(head + 1);
	for (; done < regions; done++) {
		struct px_part whole = { body, 0, body ? body->bytes : 0 };

		rc = lend(link, body && done == 0 ? &whole : &message->buffers[done - (body ? 1 : 0)],
			  message->tracker, &lent[done]);
		if (rc < 0)
			goto take_back;
	}
	*head = (struct px_message_shm){
		.code = message->code,
		.regions = (uint16_t)regions,
		.body_bytes = message->body_bytes,
		.started_ns = message->started_ns,
		.completed_ns = message->completed_ns,
	};
	if (inline_bytes)
		memcpy(&lent[regions], message->body, inline_bytes);
	if (message->ticket)
		*message->ticket = (struct px_ticket){
			.chunk_seq = link->tx.first_seq + link->tx.chunks_count - 1,
			.aborted = &head->aborted,
		};
	if (message->flags & PX_MESSAGE_URGENT)
		/* Before the frame, so that who finds the frame knows of it: relaxed. */
		atomic_fetch_add_explicit(&link->own->urgent_seq, 1, memory_order_relaxed);
	px_producer_publish(&link->tx, message->kind,
			    message->flags | (body ? PX_MESSAGE_BODY_REGION : 0), message->id,
			    (uint32_t)payload_bytes);
	PX_KILLPOINT("port.send.published"); /* dead here: sent, bell not rung */
	px_doorbell_ring(link->bell, PX_BELL_FRAME);
	return 0;

take_back:
	while (done--)
		if (lent[done].bytes)
			px_lease_revoke(&link->leases, lent[done].lease);
	return rc;
}

int px_link_send(struct px_link *link, const struct px_outgoing *message)
{
	struct px_region *body = message->body_region;
	uint64_t inline_max = PX_FRAME_MAX_BYTES - sizeof(struct px_frame_shm) -
			      sizeof(struct px_message_shm) -
			      message->buffers_count * sizeof(struct px_region_shm);
	bool own_body = false;
	int rc;

	if (message->buffers_count > PX_BUFFERS_MAX)
		return px_fail(PX_EINVAL, "%u buffers in one message: at most %u can be sent",
			       message->buffers_count, (unsigned)PX_BUFFERS_MAX);
	if (!body && message->body_bytes > inline_max) {
		rc = body_to_region(link->port, message, &body);
		if (rc < 0)
			return rc;
		own_body = true;
	}
	pthread_mutex_lock(&link->port->lock);
	rc = send_locked(link, message, body);
	pthread_mutex_unlock(&link->port->lock);
	if (own_body)
		px_region_release(body);
	return rc;
}

/* --- receiving --- */

static int corrupt(const struct px_link *link, const char *what)
{
	return px_fail(PX_ECORRUPT, "member %u (process %d) sent a message whose %s cannot be",
		       link->peer.slot,
		       atomic_load_explicit(&link->port->segment->members[link->peer.slot].pid,
					    memory_order_relaxed),
		       what);
}

/* A loan for a descriptor that was copied out of shared memory. NULL in *out for an empty one. */
static int borrow(struct px_link *link, const struct px_region_shm *lent, struct px_loan **out)
{
	struct px_loan *loan;

	*out = NULL;
	if (lent->bytes == 0)
		return 0;
	if (!px_segment_owned(link->port->segment, lent->offset, lent->bytes, link->peer.slot))
		return corrupt(link, "region lies outside of its memory");
	if (lent->lease >= PX_LEASES_MAX)
		return corrupt(link, "lease is out of range");
	loan = calloc(1, sizeof(*loan));
	if (!loan)
		return px_fail(PX_ENOMEM, "no private memory for a loan");
	loan->link = link;
	loan->offset = lent->offset;
	loan->bytes = lent->bytes;
	loan->shared = link->port->segment->base + lent->offset;
	loan->lease = lent->lease;
	loan->generation = lent->generation;
	loan->live = lent->live;
	atomic_init(&loan->holds, 1);
	atomic_fetch_add_explicit(&link->held, 1, memory_order_relaxed);
	*out = loan;
	return 0;
}

static int receive_loans(struct px_link *link, const struct px_region_shm *lent, uint32_t regions,
			 bool body_lent, struct px_incoming *in)
{
	uint32_t buffers = regions - (body_lent ? 1 : 0);
	int rc = 0;

	if (buffers) {
		in->buffers = calloc(buffers, sizeof(struct px_loan *));
		if (!in->buffers)
			return px_fail(PX_ENOMEM, "no private memory for %u buffers", buffers);
		in->buffers_count = buffers;
	}
	for (uint32_t i = 0; i < regions && rc == 0; i++) {
		struct px_region_shm copy = lent[i];

		rc = borrow(link, &copy, body_lent && i == 0 ? &in->body_loan :
						  &in->buffers[i - (body_lent ? 1 : 0)]);
	}
	return rc;
}

int px_link_decode(struct px_link *link, const struct px_frame *frame, struct px_incoming *in)
{
	struct px_message_shm head;
	const struct px_region_shm *lent;
	bool body_lent = frame->flags & PX_MESSAGE_BODY_REGION;
	uint64_t fixed;
	int rc;

	if (frame->payload_bytes < sizeof(head))
		return corrupt(link, "frame is too short");
	/* All but the sender's last word, which may change yet. */
	memcpy(&head, frame->payload, offsetof(struct px_message_shm, aborted));
	fixed = sizeof(head) + head.regions * sizeof(struct px_region_shm);
	if (head.regions > PX_BUFFERS_MAX + 1 || fixed > frame->payload_bytes ||
	    (body_lent && head.regions == 0))
		return corrupt(link, "number of buffers");
	if (!body_lent && head.body_bytes > frame->payload_bytes - fixed)
		return corrupt(link, "body is longer than its frame");
	*in = (struct px_incoming){
		.kind = frame->kind,
		.flags = frame->flags & (uint16_t)~PX_MESSAGE_BODY_REGION,
		.id = frame->id,
		.code = head.code,
		.started_ns = head.started_ns,
		.completed_ns = head.completed_ns,
		.body_bytes = head.body_bytes,
		.aborted = &((const struct px_message_shm *)frame->payload)->aborted,
	};
	lent = (const void *)((const uint8_t *)frame->payload + sizeof(head));
	if (head.regions) {
		rc = receive_loans(link, lent, head.regions, body_lent, in);
		if (rc < 0)
			goto fail;
	}
	in->body = &lent[head.regions];
	if (body_lent) {
		if (!in->body_loan || in->body_loan->bytes < head.body_bytes) {
			rc = corrupt(link, "body is longer than its region");
			goto fail;
		}
		in->body = in->body_loan->shared;
	}
	return 1;

fail:
	px_incoming_free(in);
	return rc;
}

int px_link_receive(struct px_link *link, struct px_incoming *in)
{
	struct px_frame frame;
	/* Only one thread reads a link; the lock is for what readers share with senders. */
	int rc = px_consumer_peek(&link->rx, &frame);

	return rc > 0 ? px_link_decode(link, &frame, in) : rc;
}

void px_link_next(struct px_link *link)
{
	px_consumer_advance(&link->rx);
	PX_KILLPOINT("port.receive.advanced"); /* dead here: read, and what was asked is not done */
}

/* --- memory of our own --- */

int px_port_show(struct px_port *port, uint64_t bytes, struct px_region **out)
{
	int rc = px_region_new(port->arena, bytes, out);

	if (rc < 0)
		return rc;
	atomic_store_explicit(&(*out)->shown, true, memory_order_relaxed);
	pthread_mutex_lock(&port->lock);
	port->shown++;
	pthread_mutex_unlock(&port->lock);
	return 0;
}

void px_port_hide(struct px_port *port, struct px_region *region)
{
	bool last;

	/* A forked child has the memory for reading; the books are its parent's. */
	if (port->generation != px_forked_generation())
		return;
	atomic_store_explicit(&region->shown, false, memory_order_relaxed);
	px_region_release(region);
	pthread_mutex_lock(&port->lock);
	port->shown--;
	last = port->closed && !holds_anything(port);
	pthread_mutex_unlock(&port->lock);
	if (last)
		port_free(port);
}

int px_port_copy(struct px_port *port, const void *data, uint64_t bytes, struct px_part *out)
{
	int rc;

	*out = (struct px_part){ .bytes = bytes };
	if (!bytes)
		return 0;
	rc = px_region_new(port->arena, bytes, &out->region);
	if (rc == 0)
		memcpy(out->region->at, data, bytes);
	return rc;
}

int px_port_pack(struct px_port *port, const void *data, uint64_t bytes, struct px_part *out)
{
	if (port->shown && bytes) {
		out->bytes = bytes;
		out->region = px_region_find(port->arena, data, bytes, &out->skip);
		if (out->region)
			return 0;
	}
	return px_port_copy(port, data, bytes, out);
}

void px_parts_free(struct px_part *parts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (parts[i].region)
			px_region_release(parts[i].region);
	free(parts);
}

/* --- loans --- */

int px_loan_map(struct px_loan *loan, void **out)
{
	if (!loan->mapped) {
		uint64_t skip = loan->offset % PX_PAGE_BYTES;
		uint64_t bytes = (skip + loan->bytes + PX_PAGE_BYTES - 1) & ~(uint64_t)(PX_PAGE_BYTES - 1);
		struct px_segment *segment = loan->link->port->segment;
		int rc = loan->live ? px_segment_map_arrays(segment, loan->offset - skip, bytes,
							    &loan->mapped) :
				      px_segment_map_private(segment, loan->offset - skip, bytes,
							     &loan->mapped);

		if (rc < 0)
			return rc;
		loan->mapped_bytes = bytes;
		loan->mapped_skip = skip;
	}
	*out = (uint8_t *)loan->mapped + loan->mapped_skip;
	return 0;
}

void px_loan_hold(struct px_loan *loan)
{
	atomic_fetch_add_explicit(&loan->holds, 1, memory_order_relaxed);
}

void px_loan_release(struct px_loan *loan)
{
	struct px_link *link;
	struct px_port *port;
	bool closed = false, last = false;

	if (!loan || atomic_fetch_sub_explicit(&loan->holds, 1, memory_order_acq_rel) != 1)
		return;
	link = loan->link;
	port = link->port;
	if (loan->mapped)
		px_segment_unmap(loan->mapped, loan->mapped_bytes);
	if (port->generation == px_forked_generation()) {
		(void)px_lease_release(link->own, loan->lease, loan->generation, link->bell);
		PX_KILLPOINT("port.loan.released"); /* dead here: the lease is over either way */
		pthread_mutex_lock(&port->lock);
		if (atomic_fetch_sub_explicit(&link->held, 1, memory_order_acq_rel) == 1) {
			closed = link_settle(link);
			last = port->closed && !holds_anything(port);
		}
		pthread_mutex_unlock(&port->lock);
		if (closed && !port->closed)
			tell_supervisor(port, PX_CONTROL_SWEEP, 0, 0);
		if (last)
			port_free(port);
	}
	free(loan);
}

void px_incoming_free(struct px_incoming *in)
{
	px_loan_release(in->body_loan);
	for (uint32_t i = 0; i < in->buffers_count; i++)
		px_loan_release(in->buffers[i]);
	free(in->buffers);
	in->body_loan = NULL;
	in->buffers = NULL;
	in->buffers_count = 0;
}
