/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * overtake.c - messages that are not taken in their turn: aborted ones, and urgent ones.
 *
 * Each side writes only its own pages. For an abort there are two words: the sender's, in its
 * frame, says that the message is aborted; the receiver's, in its link, says which message was
 * begun. Each side writes its own word and then reads the other's, so at least one of them sees the
 * other's. Urgent messages lie in the ring like all others; the receiver looks for them ahead of
 * their turn, and skips them when their turn comes.
 */
#include "link/internal.h"
#include "shm/killpoint.h"

/*
 * What the peer has begun of ours. Until it has opened its direction of the link, what stands there
 * is of the slot's last occupant.
 */
static uint64_t begun_id(const struct px_link *link)
{
	const struct px_link_shm *theirs = link->leases.theirs;
	/* SYNC message.abort: seq_cst; also shows the epoch of its link; partner: px_link_begin(). */
	uint64_t id = atomic_load_explicit(&theirs->begun_id, memory_order_seq_cst);
	/* SYNC link.epoch: acquire; partner: the release in px_member_link_open(). */
	bool open = atomic_load_explicit(&theirs->epoch, memory_order_acquire) ==
		    link->endpoint->self.epoch;

	return open ? id : 0;
}

bool px_link_abort(struct px_link *link, const struct px_ticket *ticket, uint64_t id)
{
	bool stopped = false;

	pthread_mutex_lock(&link->endpoint->lock);
	/* A chunk that was read to the end may hold other frames by now: leave it alone. */
	if (ticket->chunk_seq - link->tx.first_seq < link->tx.chunks_count) {
		/* SYNC message.abort: seq_cst, store before load; partner: px_link_begin(). */
		atomic_store_explicit(ticket->aborted, 1, memory_order_seq_cst);
		/* Dead here: our requests are dropped, whether they were aborted or not. */
		PX_KILLPOINT("overtake.abort.visible");
		stopped = begun_id(link) < id;
	}
	pthread_mutex_unlock(&link->endpoint->lock);
	return stopped;
}

bool px_link_begin(struct px_link *link, const struct px_incoming *in)
{
	/* Ids of messages taken in turn only grow. Urgent ones are not aborted. */
	atomic_store_explicit(&link->own->progress, 0, memory_order_relaxed);
	/* SYNC message.abort: seq_cst, store before load; partner: px_link_abort(), begun_id(). */
	atomic_store_explicit(&link->own->begun_id, in->id, memory_order_seq_cst);
	/* Dead here: too late to abort it, and the client sees it fail with us. */
	PX_KILLPOINT("overtake.begin.visible");
	return atomic_load_explicit(in->aborted, memory_order_seq_cst) == 0;
}

bool px_link_running(const struct px_link *link, uint64_t id, uint64_t *progress)
{
	const struct px_link_shm *theirs = link->leases.theirs;

	/* For displays: the two words need not be of the same moment. */
	*progress = atomic_load_explicit(&theirs->progress, memory_order_relaxed);
	return begun_id(link) == id;
}

void px_link_interrupt(struct px_link *link, uint64_t id)
{
	/*
	 * SYNC interrupt.id: seq_cst; a signal follows, and sending it through the kernel orders
	 * this before it; partner: px_link_interrupted().
	 */
	atomic_store_explicit(&link->own->interrupt_id, id, memory_order_seq_cst);
	PX_KILLPOINT("overtake.interrupt.visible"); /* dead here: no signal says to look at it */
}

bool px_link_interrupted(const struct px_link *link, uint64_t id)
{
	/* SYNC interrupt.id: seq_cst, after the store in px_interrupt_begin(); partner: px_link_interrupt(). */
	return atomic_load_explicit(&link->leases.theirs->interrupt_id, memory_order_seq_cst) == id;
}

void px_link_progress(struct px_link *link, uint64_t units)
{
	uint64_t done = atomic_load_explicit(&link->own->progress, memory_order_relaxed);

	atomic_store_explicit(&link->own->progress, done + units, memory_order_relaxed);
}

bool px_link_urgent(struct px_link *link)
{
	const struct px_link_shm *theirs = link->leases.theirs;
	/* Relaxed: it only says when to look; the length of the frame publishes the frame. */
	uint64_t seq = atomic_load_explicit(&theirs->urgent_seq, memory_order_relaxed);
	bool news = seq != link->urgent_seen;

	link->urgent_seen = seq;
	return news;
}

/* A second reader, from where the link's reader is: it marks nothing as read. */
static struct px_consumer look_ahead(const struct px_link *link, _Atomic uint64_t *nowhere)
{
	struct px_consumer ahead = link->rx;

	ahead.consumed = ahead.read = nowhere;
	return ahead;
}

int px_link_find_urgent(struct px_link *link, uint64_t after_id, struct px_incoming *in)
{
	_Atomic uint64_t nowhere;
	struct px_consumer ahead = look_ahead(link, &nowhere);
	struct px_frame frame;
	int rc;

	while ((rc = px_consumer_peek(&ahead, &frame)) > 0) {
		if (frame.flags & PX_MESSAGE_URGENT && frame.id > after_id)
			return px_link_decode(link, &frame, in);
		px_consumer_advance(&ahead);
	}
	return rc;
}

int px_link_skip_urgent(struct px_link *link, uint64_t done_id)
{
	struct px_frame frame;
	int rc;

	while ((rc = px_link_peek(link, &frame)) > 0 && frame.flags & PX_MESSAGE_URGENT &&
	       frame.id <= done_id)
		px_link_next(link);
	return rc;
}

int px_link_newest(struct px_link *link, uint64_t *id)
{
	_Atomic uint64_t nowhere;
	struct px_consumer ahead = look_ahead(link, &nowhere);
	struct px_frame frame;
	int rc;

	*id = 0;
	while ((rc = px_consumer_peek(&ahead, &frame)) > 0) {
		*id = frame.id;
		px_consumer_advance(&ahead);
	}
	return rc;
}

uint32_t px_link_waiting(const struct px_link *link, uint32_t most)
{
	_Atomic uint64_t nowhere;
	struct px_consumer ahead = look_ahead(link, &nowhere);
	struct px_frame frame;
	uint32_t count = 0;

	while (count < most && px_consumer_peek(&ahead, &frame) > 0) {
		count++;
		px_consumer_advance(&ahead);
	}
	return count;
}
