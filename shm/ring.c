/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring.c - frames in linked chunks: written, published, read, given back.
 */
#include "shm/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "shm/error.h"
#include "shm/killpoint.h"

#define LINK_LENGTH (sizeof(struct px_frame_shm) + sizeof(struct px_chunk_shm))
/* Of the smallest chunk that is got: beyond the first two, so that sizes tell them apart. */
#define GOT_MIN_BYTES (PX_CHUNK_MAX_BYTES < 4096 ? 512 : 4096)
#define CHUNKS_CAP_START 4 /* a power of two, as all later ones */

_Static_assert(sizeof(struct px_frame_shm) == 16, "the header of a frame");
_Static_assert(LINK_LENGTH <= PX_LINE_BYTES, "a link fits the last line");
_Static_assert(PX_FIRST_CHUNK_BYTES % PX_LINE_BYTES == 0, "whole lines");
_Static_assert(offsetof(struct px_link_shm, first_chunk) % PX_LINE_BYTES == 0, "aligned chunks");
_Static_assert(PX_FIRST_CHUNK_BYTES < GOT_MIN_BYTES, "sizes tell first chunks from got ones");
_Static_assert(PX_FRAME_MAX_BYTES + PX_LINE_BYTES <= PX_CHUNK_MAX_BYTES, "any frame fits a chunk");

static inline uint32_t whole_lines(uint32_t bytes)
{
	return (bytes + PX_LINE_BYTES - 1) & ~(uint32_t)(PX_LINE_BYTES - 1);
}

/* --- producer */

static inline struct px_frame_shm *frame_at(const struct px_producer *ring, uint32_t position)
{
	return (struct px_frame_shm *)(void *)(ring->at + position);
}

static struct px_ring_chunk *chunk_at(const struct px_producer *ring, uint32_t index)
{
	return &ring->chunks[(ring->chunks_first + index) & (ring->chunks_cap - 1)];
}

static bool chunk_is_first(const struct px_ring_chunk *chunk)
{
	return chunk->bytes == PX_FIRST_CHUNK_BYTES;
}

/* Nobody reads the chunk yet: it is linked later, or its link's epoch is stored later. */
static void chunk_clear(const struct px_ring_chunk *chunk)
{
	struct px_frame_shm *frame = (void *)chunk->at;

	atomic_store_explicit(&frame->length, 0, memory_order_relaxed);
}

/* The array has room for it. */
static void chunk_append(struct px_producer *ring, const struct px_ring_chunk *chunk)
{
	*chunk_at(ring, ring->chunks_count++) = *chunk;
	ring->at = chunk->at;
	ring->room = (uint32_t)chunk->bytes - PX_LINE_BYTES;
	ring->position = 0;
}

int px_producer_open(struct px_producer *ring, struct px_link_shm *own, uint64_t own_offset,
		     const struct px_link_shm *theirs, uint32_t own_epoch,
		     struct px_chunk_source source)
{
	struct px_ring_chunk first[2];
	struct px_ring_chunk *chunks = malloc(CHUNKS_CAP_START * sizeof(*chunks));

	if (!chunks)
		return px_fail(PX_ENOMEM, "no private memory for a ring's list of chunks");
	for (size_t i = 0; i < 2; i++) {
		first[i].offset = own_offset + offsetof(struct px_link_shm, first_chunk) +
				  i * PX_FIRST_CHUNK_BYTES;
		first[i].bytes = PX_FIRST_CHUNK_BYTES;
		first[i].at = own->first_chunk[i];
	}
	*ring = (struct px_producer){
		.consumed = &theirs->consumed_seq,
		.read = &theirs->read_seq,
		.consumer_open = &theirs->epoch,
		.own_epoch = own_epoch,
		.source = source,
		.chunks = chunks,
		.chunks_cap = CHUNKS_CAP_START,
		.first_seq = PX_SEQ_START,
		.next_bytes = GOT_MIN_BYTES,
		.idle = { first[1] },
		.idle_count = 1,
		.frames_seq = PX_SEQ_START,
		.quiet_seq = PX_SEQ_START,
	};
	/* The slot's previous occupant may have left frames here. */
	chunk_clear(&first[0]);
	chunk_append(ring, &first[0]);
	return 0;
}

void px_producer_close(struct px_producer *ring)
{
	for (uint32_t i = 0; i < ring->chunks_count; i++) {
		struct px_ring_chunk *chunk = chunk_at(ring, i);

		if (!chunk_is_first(chunk))
			ring->source.put(ring->source.ctx, chunk->offset, chunk->at, chunk->bytes);
	}
	free(ring->chunks);
	*ring = (struct px_producer){ 0 };
}

/* Takes the chunks that the consumer has read to the end out of use. */
static void retire_consumed(struct px_producer *ring)
{
	uint64_t consumed;

	/* SYNC link.epoch: acquire; partner: px_member_link_open(). */
	if (atomic_load_explicit(ring->consumer_open, memory_order_acquire) != ring->own_epoch)
		return;
	/* SYNC ring.consumed: acquire; partner: the release in follow_link(). */
	consumed = atomic_load_explicit(ring->consumed, memory_order_acquire);
	/* Outside of the chunks in use the count cannot be true: then it is ignored. */
	if (consumed - ring->first_seq >= ring->chunks_count)
		return;
	for (; ring->first_seq != consumed; ring->first_seq++) {
		struct px_ring_chunk *chunk = chunk_at(ring, 0);

		if (chunk_is_first(chunk)) {
			ring->idle[ring->idle_count++] = *chunk;
		} else {
			ring->grown_bytes -= chunk->bytes;
			ring->source.put(ring->source.ctx, chunk->offset, chunk->at, chunk->bytes);
		}
		ring->chunks_first = (ring->chunks_first + 1) & (ring->chunks_cap - 1);
		ring->chunks_count--;
	}
	if (ring->chunks_count == 1)
		ring->next_bytes = GOT_MIN_BYTES;
}

/* Room in the array for one chunk more. */
static int array_grow(struct px_producer *ring)
{
	struct px_ring_chunk *grown;

	if (ring->chunks_count < ring->chunks_cap)
		return 0;
	grown = malloc(2 * (size_t)ring->chunks_cap * sizeof(*grown));
	if (!grown)
		return px_fail(PX_ENOMEM, "no private memory for a ring of %u chunks",
			       ring->chunks_count + 1);
	for (uint32_t i = 0; i < ring->chunks_count; i++)
		grown[i] = *chunk_at(ring, i);
	free(ring->chunks);
	ring->chunks = grown;
	ring->chunks_cap *= 2;
	ring->chunks_first = 0;
	return 0;
}

/* A chunk for frame_bytes (whole lines) and a link: an idle first one, or one from the source. */
static int chunk_take(struct px_producer *ring, uint32_t frame_bytes, struct px_ring_chunk *out)
{
	uint64_t need = frame_bytes + PX_LINE_BYTES;
	uint64_t least = need > GOT_MIN_BYTES ? need : GOT_MIN_BYTES;
	struct px_ring_chunk chunk;
	void *at;
	int rc;

	if (ring->idle_count && need <= PX_FIRST_CHUNK_BYTES) {
		*out = ring->idle[0];
		ring->idle[0] = ring->idle[1];
		ring->idle_count--;
		return 0;
	}
	chunk.bytes = ring->next_bytes > least ? ring->next_bytes : least;
	rc = ring->source.get(ring->source.ctx, chunk.bytes, &chunk.offset, &at);
	if (rc == PX_ENOMEM && chunk.bytes > least) {
		chunk.bytes = least;
		rc = ring->source.get(ring->source.ctx, chunk.bytes, &chunk.offset, &at);
	}
	/*
	 * Both first chunks are in use, and at least one of them is not the newest chunk. That one is
	 * idle again once the consumer has come to the newest chunk, which takes only reading on.
	 */
	if (rc == PX_ENOMEM && need <= PX_FIRST_CHUNK_BYTES)
		return PX_EAGAIN;
	if (rc)
		return rc;
	PX_KILLPOINT("ring.chunk.got"); /* dead here: the chunk is freed with our extents */
	chunk.at = at;
	ring->grown_bytes += chunk.bytes;
	if (ring->next_bytes < PX_CHUNK_MAX_BYTES)
		ring->next_bytes *= 2;
	*out = chunk;
	return 0;
}

/* Ends the newest chunk by a link to another one with room for frame_bytes. */
static int chain(struct px_producer *ring, uint32_t frame_bytes)
{
	struct px_frame_shm *frame = frame_at(ring, ring->position);
	struct px_ring_chunk chunk;
	struct px_chunk_shm link;
	int rc = array_grow(ring);

	if (!rc)
		rc = chunk_take(ring, frame_bytes, &chunk);
	if (rc)
		return rc;
	chunk_clear(&chunk);
	link = (struct px_chunk_shm){
		.offset = chunk.offset,
		.bytes = chunk.bytes,
		.seq = ring->first_seq + ring->chunks_count,
	};
	frame->kind = PX_FRAME_LINK;
	frame->flags = 0;
	frame->id = 0;
	memcpy(frame + 1, &link, sizeof(link));
	PX_KILLPOINT("ring.link.filled"); /* dead here: the ring ends in the old chunk */
	/* SYNC ring.frame: release; partner: the acquire in px_consumer_peek(). */
	atomic_store_explicit(&frame->length, LINK_LENGTH, memory_order_release);
	PX_KILLPOINT("ring.link.visible"); /* dead here: the ring ends in an empty chunk */
	chunk_append(ring, &chunk);
	return 0;
}

__attribute__((noinline, cold)) static int reserve_elsewhere(struct px_producer *ring,
							     uint32_t frame_bytes, void **payload)
{
	int rc;

	if (frame_bytes > PX_FRAME_MAX_BYTES)
		return px_fail(PX_EINVAL, "a frame holds at most %zu bytes: send more in a region",
			       PX_FRAME_MAX_BYTES - sizeof(struct px_frame_shm));
	retire_consumed(ring);
	rc = chain(ring, frame_bytes);
	if (rc)
		return rc;
	*payload = frame_at(ring, 0) + 1;
	return 0;
}

bool px_producer_drained(const struct px_producer *ring)
{
	/* SYNC link.epoch: acquire; partner: the release in px_member_link_open(). */
	if (atomic_load_explicit(ring->consumer_open, memory_order_acquire) != ring->own_epoch)
		return false;
	/* SYNC ring.read: acquire; partner: the release in px_consumer_advance(). */
	return atomic_load_explicit(ring->read, memory_order_acquire) == ring->frames_seq;
}

uint64_t px_producer_backlog(struct px_producer *ring)
{
	retire_consumed(ring);
	return ring->grown_bytes;
}

int px_producer_reserve(struct px_producer *ring, uint32_t payload_bytes, void **payload)
{
	uint32_t frame_bytes = UINT32_MAX; /* fits nowhere */

	if (payload_bytes <= PX_FRAME_MAX_BYTES - sizeof(struct px_frame_shm))
		frame_bytes = whole_lines((uint32_t)sizeof(struct px_frame_shm) + payload_bytes);
	if (frame_bytes > ring->room - ring->position)
		return reserve_elsewhere(ring, frame_bytes, payload);
	*payload = frame_at(ring, ring->position) + 1;
	return 0;
}

void px_producer_publish(struct px_producer *ring, uint16_t kind, uint16_t flags, uint64_t id,
			 uint32_t payload_bytes)
{
	struct px_frame_shm *frame = frame_at(ring, ring->position);
	uint32_t length = (uint32_t)sizeof(*frame) + payload_bytes;
	uint32_t frame_bytes = whole_lines(length);

	assert(kind != PX_FRAME_LINK && frame_bytes <= ring->room - ring->position);
	frame->kind = kind;
	frame->flags = flags;
	frame->id = id;
	ring->position += frame_bytes;
	atomic_store_explicit(&frame_at(ring, ring->position)->length, 0, memory_order_relaxed);
	PX_KILLPOINT("ring.publish.filled"); /* dead here: never sent */
	/* SYNC ring.frame: release; partner: the acquire in px_consumer_peek(). */
	atomic_store_explicit(&frame->length, length, memory_order_release);
	PX_KILLPOINT("ring.publish.visible"); /* dead here: sent, bell not rung */
	ring->frames_seq++;
}

void px_producer_reclaim(struct px_producer *ring)
{
	retire_consumed(ring);
	/*
	 * After a backlog the newest chunk is a large one. A ring that was quiet since the last
	 * call goes back to a first chunk, so that the large one can be given back as well.
	 */
	if (ring->chunks_count == 1 && ring->idle_count && ring->quiet_seq == ring->frames_seq &&
	    !chunk_is_first(chunk_at(ring, 0)))
		(void)!chain(ring, PX_LINE_BYTES); /* the array has room, an idle chunk is there */
	ring->quiet_seq = ring->frames_seq;
}

/* --- consumer */

void px_consumer_open(struct px_consumer *ring, const struct px_segment *segment,
		      struct px_link_shm *own, uint32_t producer_slot, uint32_t own_slot)
{
	*ring = (struct px_consumer){
		.segment = segment,
		.producer_slot = producer_slot,
		.theirs = &px_segment_block(segment, producer_slot)->links[own_slot],
		.own_epoch = atomic_load_explicit(&segment->members[own_slot].epoch,
						  memory_order_relaxed),
		.consumed = &own->consumed_seq,
		.read = &own->read_seq,
		.seq = PX_SEQ_START,
		.frames_seq = PX_SEQ_START,
	};
	atomic_store_explicit(ring->consumed, PX_SEQ_START, memory_order_relaxed);
	atomic_store_explicit(ring->read, PX_SEQ_START, memory_order_relaxed);
}

/* Until the producer has opened its link to us, its chunks are those of an earlier occupant. */
static bool producer_open(const struct px_consumer *ring)
{
	/* SYNC link.epoch: acquire; partner: px_member_link_open(). */
	return atomic_load_explicit(&ring->theirs->epoch, memory_order_acquire) == ring->own_epoch;
}

__attribute__((cold)) static int bad_length(const struct px_consumer *ring, uint32_t length)
{
	return px_fail(PX_ECORRUPT,
		       "member in slot %u is broken: a frame of %u bytes at byte %u of a chunk of "
		       "%llu in its ring",
		       ring->producer_slot, length, ring->position,
		       (unsigned long long)ring->bytes);
}

/* Whether the chunk is memory that only the producer writes, and of a size that can be. */
static bool link_is_sound(const struct px_consumer *ring, const struct px_chunk_shm *link)
{
	uint64_t first = (uint64_t)(ring->theirs->first_chunk[0] - ring->segment->base);

	if (link->seq != ring->seq + 1)
		return false;
	if (link->offset == first || link->offset == first + PX_FIRST_CHUNK_BYTES)
		return link->bytes == PX_FIRST_CHUNK_BYTES;
	return link->offset % PX_LINE_BYTES == 0 && link->bytes % PX_LINE_BYTES == 0 &&
	       link->bytes >= GOT_MIN_BYTES && link->bytes <= PX_CHUNK_MAX_BYTES &&
	       px_segment_owned(ring->segment, link->offset, link->bytes, ring->producer_slot);
}

/* Leaves the chunk that is read to the end. */
static int follow_link(struct px_consumer *ring, const struct px_frame_shm *frame)
{
	struct px_chunk_shm link;

	memcpy(&link, frame + 1, sizeof(link));
	/* The copy is what gets checked: the compiler may not read shared memory again. */
	atomic_signal_fence(memory_order_seq_cst);
	if (!link_is_sound(ring, &link))
		return px_fail(
			PX_ECORRUPT,
			"member in slot %u is broken: its ring goes on at %#llx, %llu bytes, "
			"chunk %llu after %llu",
			ring->producer_slot, (unsigned long long)link.offset,
			(unsigned long long)link.bytes, (unsigned long long)link.seq,
			(unsigned long long)ring->seq);
	ring->at = ring->segment->base + link.offset;
	ring->bytes = link.bytes;
	ring->position = 0;
	ring->seq = link.seq;
	/* SYNC ring.consumed: release; partner: the acquire in retire_consumed(). */
	atomic_store_explicit(ring->consumed, link.seq, memory_order_release);
	PX_KILLPOINT("ring.link.followed"); /* dead here: the old chunk may be used again */
	return 0;
}

int px_consumer_peek(struct px_consumer *ring, struct px_frame *out)
{
	for (;;) {
		const struct px_frame_shm *frame;
		uint32_t length, room;
		uint16_t kind;
		int rc;

		if (!ring->at) {
			if (!producer_open(ring))
				return 0;
			ring->at = ring->theirs->first_chunk[0];
			ring->bytes = PX_FIRST_CHUNK_BYTES;
		}
		frame = (const void *)(ring->at + ring->position);
		/* SYNC ring.frame: acquire; partner: the releases in px_producer_publish(), chain(). */
		length = atomic_load_explicit(&frame->length, memory_order_acquire);
		if (!length)
			return 0;
		kind = frame->kind;
		atomic_signal_fence(memory_order_seq_cst);
		if (kind == PX_FRAME_LINK) {
			if (length != LINK_LENGTH)
				return bad_length(ring, length);
			rc = follow_link(ring, frame);
			if (rc)
				return rc;
			continue;
		}
		room = (uint32_t)ring->bytes - PX_LINE_BYTES - ring->position;
		if (room > PX_FRAME_MAX_BYTES)
			room = PX_FRAME_MAX_BYTES;
		if (length < sizeof(*frame) || length > room)
			return bad_length(ring, length);
		ring->frame_bytes = whole_lines(length);
		out->kind = kind;
		out->flags = frame->flags;
		out->id = frame->id;
		out->payload = frame + 1;
		out->payload_bytes = length - (uint32_t)sizeof(*frame);
		return 1;
	}
}

bool px_consumer_ready(const struct px_consumer *ring)
{
	const uint8_t *at = ring->at;
	const struct px_frame_shm *frame;

	if (!at) {
		if (!producer_open(ring))
			return false;
		at = ring->theirs->first_chunk[0];
	}
	frame = (const void *)(at + ring->position);
	/* Relaxed: nothing is read on the strength of it, px_consumer_peek() looks again. */
	return atomic_load_explicit(&frame->length, memory_order_relaxed) != 0;
}

void px_consumer_advance(struct px_consumer *ring)
{
	assert(ring->frame_bytes);
	ring->position += ring->frame_bytes;
	ring->frame_bytes = 0;
	ring->frames_seq++;
	/*
	 * SYNC ring.read: release, after what was given back while reading; partner: the acquire in
	 * px_producer_drained().
	 */
	atomic_store_explicit(ring->read, ring->frames_seq, memory_order_release);
	PX_KILLPOINT("ring.read.counted"); /* dead here: read, but not done */
}
