/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * message.c - messages over a link, and the leases that go with them.
 */
#include <stdlib.h>
#include <string.h>

#include "link/internal.h"
#include "shm/error.h"
#include "shm/killpoint.h"

/* A message needs so many rows at once; see lease.h. */
_Static_assert(PX_BUFFERS_MAX + 1 <= PX_LEASES_BRIEF, "any message finds leases in the end");

/* --- sending --- */

/* Lends one part. */
static int lend(struct px_link *link, const struct px_part *part, struct px_tracker *tracker,
		struct px_region_shm *out)
{
	struct px_region *region = part->region;
	struct px_lease lease;
	int rc;

	memset(out, 0, sizeof(*out));
	if (!region)
		return 0;
	if (!atomic_load_explicit(&region->shown, memory_order_relaxed))
		tracker = NULL; /* a private copy: nobody waits to write to it again */
	rc = px_lease_grant(&link->leases, region, tracker, &lease);
	if (rc < 0)
		return rc;
	*out = (struct px_region_shm){
		.offset = region->offset + part->skip,
		.bytes = part->bytes,
		.lease = lease.row,
		.generation = lease.generation,
		.live = region->live,
		.brief = lease.brief ? PX_BRIEF_LEASE : 0,
	};
	return 0;
}

/* Puts a body that is too long for a frame into a region of its own. */
static int body_to_region(struct px_endpoint *endpoint, const struct px_outgoing *message,
			  struct px_region **out)
{
	int rc = px_region_new(endpoint->arena, message->body_bytes, out);

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

		rc = lend(link,
			  body && done == 0 ? &whole : &message->buffers[done - (body ? 1 : 0)],
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
	if (message->flags & PX_MESSAGE_URGENT) {
		/* Relaxed: the release of the frame, which follows, publishes this too. */
		atomic_fetch_add_explicit(&link->own->urgent_seq, 1, memory_order_relaxed);
		/* Dead here: the peer looks for an urgent message, and finds none. */
		PX_KILLPOINT("endpoint.send.urgent");
	}
	px_producer_publish(&link->tx, message->kind,
			    message->flags | (body ? PX_MESSAGE_BODY_REGION : 0), message->id,
			    (uint32_t)payload_bytes);
	PX_KILLPOINT("endpoint.send.published"); /* dead here: sent, bell not rung */
	if (!message->unrung)
		px_doorbell_ring(link->bell, PX_BELL_FRAME);
	return 0;

take_back:
	while (done--)
		if (lent[done].bytes)
			px_lease_revoke(&link->leases, lent[done].lease);
	return rc;
}

void px_link_ring(struct px_link *link)
{
	/* Relaxed: a hint for the next wait of any thread. */
	if (px_doorbell_ring(link->bell, PX_BELL_FRAME))
		atomic_store_explicit(&link->endpoint->woke, true, memory_order_relaxed);
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
		rc = body_to_region(link->endpoint, message, &body);
		if (rc < 0)
			return rc;
		own_body = true;
	}
	pthread_mutex_lock(&link->endpoint->lock);
	rc = send_locked(link, message, body);
	pthread_mutex_unlock(&link->endpoint->lock);
	if (own_body)
		px_region_release(body);
	return rc;
}

uint64_t px_link_backlog(struct px_link *link)
{
	uint64_t bytes;

	pthread_mutex_lock(&link->endpoint->lock);
	bytes = px_producer_backlog(&link->tx);
	pthread_mutex_unlock(&link->endpoint->lock);
	return bytes;
}

bool px_link_drained(struct px_link *link)
{
	bool drained;

	pthread_mutex_lock(&link->endpoint->lock);
	drained = px_producer_drained(&link->tx);
	pthread_mutex_unlock(&link->endpoint->lock);
	return drained;
}

bool px_link_lends(struct px_link *link, const struct px_region *region)
{
	bool lends;

	pthread_mutex_lock(&link->endpoint->lock);
	px_leases_collect(&link->leases);
	lends = px_leases_have(&link->leases, region);
	pthread_mutex_unlock(&link->endpoint->lock);
	return lends;
}

uint64_t px_link_room_seq(const struct px_link *link)
{
	const struct px_link_shm *theirs = link->leases.theirs;

	/* Relaxed: px_link_send() looks for itself. */
	return atomic_load_explicit(&theirs->released_seq, memory_order_relaxed) +
	       atomic_load_explicit(&theirs->consumed_seq, memory_order_relaxed);
}

/* --- receiving --- */

static int corrupt(const struct px_link *link, const char *what)
{
	return px_fail(PX_ECORRUPT, "member %u (process %d) sent an invalid message: %s",
		       link->peer.slot,
		       atomic_load_explicit(&link->endpoint->segment->members[link->peer.slot].pid,
					    memory_order_relaxed),
		       what);
}

/* lent is a private copy: what was checked cannot change. */
static int check(const struct px_link *link, const struct px_region_shm *lent)
{
	if (!px_segment_owned(link->endpoint->segment, lent->offset, lent->bytes, link->peer.slot))
		return corrupt(link, "its region lies outside of that member's memory");
	if (lent->lease >= PX_LEASES_MAX)
		return corrupt(link, "its lease is out of range");
	return 0;
}

/* Borrows each region, up to the first that fails; *taken says how many. NULL for an empty one. */
static int borrow(struct px_link *link, const struct px_region_shm *lent, uint32_t regions,
		  bool body_lent, struct px_incoming *in, uint32_t *taken)
{
	uint32_t buffers = regions - (body_lent ? 1 : 0);
	int rc;

	if (buffers) {
		in->buffers = calloc(buffers, sizeof(struct px_loan *));
		if (!in->buffers)
			return PX_ENOMEM;
		in->buffers_count = buffers;
	}
	for (; *taken < regions; ++*taken) {
		struct px_region_shm copy = lent[*taken];
		struct px_loan **out = body_lent && *taken == 0 ?
					       &in->body_loan :
					       &in->buffers[*taken - (body_lent ? 1 : 0)];

		if (copy.bytes == 0)
			continue;
		rc = check(link, &copy);
		if (rc == 0)
			rc = px_loan_new(link, &copy, out);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/*
 * There is no private memory for what was lent. All of it is released, for the sender counts on
 * that, and the message is marked.
 */
static void lose(struct px_link *link, const struct px_region_shm *lent, uint32_t regions,
		 struct px_incoming *in)
{
	px_incoming_free(in);
	for (uint32_t i = 0; i < regions; i++) {
		struct px_region_shm copy = lent[i];

		if (copy.bytes && copy.brief != PX_BRIEF_TASK && check(link, &copy) == 0)
			(void)px_lease_release(link->own, copy.lease, copy.generation, link->bell);
	}
	in->body = NULL;
	in->body_bytes = 0;
	in->lost = true;
}

int px_link_decode(struct px_link *link, const struct px_frame *frame, struct px_incoming *in)
{
	struct px_message_shm head;
	const struct px_region_shm *lent;
	bool body_lent = frame->flags & PX_MESSAGE_BODY_REGION;
	uint32_t taken = 0;
	uint64_t fixed;
	int rc;

	if (frame->payload_bytes < sizeof(head))
		return corrupt(link, "its frame is too short");
	/* All but the last word, `aborted`, which the sender may still change. */
	memcpy(&head, frame->payload, offsetof(struct px_message_shm, aborted));
	fixed = sizeof(head) + head.regions * sizeof(struct px_region_shm);
	if (head.regions > PX_BUFFERS_MAX + 1 || fixed > frame->payload_bytes ||
	    (body_lent && head.regions == 0))
		return corrupt(link, "it says a wrong number of buffers");
	if (!body_lent && head.body_bytes > frame->payload_bytes - fixed)
		return corrupt(link, "its body is longer than its frame");
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
		rc = borrow(link, lent, head.regions, body_lent, in, &taken);
		if (rc == PX_ENOMEM) {
			lose(link, lent + taken, head.regions - taken, in);
			return 1;
		}
		if (rc < 0)
			goto fail;
	}
	in->body = &lent[head.regions];
	if (body_lent) {
		if (!in->body_loan || in->body_loan->bytes < head.body_bytes) {
			rc = corrupt(link, "its body is longer than its region");
			goto fail;
		}
		in->body = in->body_loan->shared;
	}
	return 1;

fail:
	px_incoming_free(in);
	return rc;
}

int px_link_peek(struct px_link *link, struct px_frame *frame)
{
	uint64_t chunk = link->rx.seq;
	/* Only one thread reads a link; the lock is for what readers share with senders. */
	int rc = px_consumer_peek(&link->rx, frame);

	if (link->rx.seq != chunk)
		px_doorbell_ring(link->bell, PX_BELL_ROOM);
	return rc;
}

int px_link_receive(struct px_link *link, struct px_incoming *in)
{
	struct px_frame frame;
	int rc = px_link_peek(link, &frame);

	return rc > 0 ? px_link_decode(link, &frame, in) : rc;
}

void px_link_next(struct px_link *link)
{
	px_consumer_advance(&link->rx);
}
