/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring.h - a queue of frames from one member to another.
 *
 * Who:     one producer, one consumer, each one thread at a time.
 * Where:   a chain of chunks. The first two lie in the producer's link to the
 *          consumer, further ones in the producer's extents. The consumer's
 *          progress, counts of chunks and frames, lies in its link to the producer.
 * Blocks:  never: a full ring grows by a chunk. If there is no memory for one, a short frame
 *          still gets room in the first two chunks, as soon as the consumer has read on.
 * Death:   a frame is there once its length is stored, and not before. A
 *          producer killed at any instruction leaves a ring that ends after the
 *          last published frame; a consumer killed leaves chunks that die with
 *          the link. There is no claim, hence nothing to repair.
 *
 * A chunk is filled front to back. Before a frame's length is stored, the length
 * of the frame behind it is zeroed, so chunks need no wiping. The last line of a
 * chunk is kept for the link frame to the next. Chunks behind the consumer's
 * count are used again, or given back.
 */
#ifndef PX_RING_H
#define PX_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "shm/layout.h"
#include "shm/segment.h"

/* Where a producer gets chunks beyond the first two. Offsets are the segment's. */
struct px_chunk_source {
	int (*get)(void *ctx, uint64_t bytes, uint64_t *offset, void **at); /* PX_ENOMEM */
	void (*put)(void *ctx, uint64_t offset, void *at, uint64_t bytes);
	void *ctx;
};

struct px_ring_chunk {
	uint64_t offset, bytes;
	uint8_t *at;
};

/* Producer's private handle. */
struct px_producer {
	const _Atomic uint64_t *consumed;      /* the consumer's link.consumed_seq */
	const _Atomic uint64_t *read;          /* the consumer's link.read_seq */
	const _Atomic uint32_t *consumer_open; /* the consumer's link.epoch … */
	uint32_t own_epoch;                    /* … counts once it is this */
	struct px_chunk_source source;
	struct px_ring_chunk *chunks; /* in use, oldest first: a growing circular array */
	uint32_t chunks_cap, chunks_first, chunks_count;
	uint64_t first_seq;           /* of the oldest chunk */
	uint64_t next_bytes;          /* size of the next chunk that is got */
	struct px_ring_chunk idle[2]; /* of the first two, those not in use */
	uint32_t idle_count;
	uint8_t *at;          /* the newest chunk */
	uint32_t room;        /* its bytes for frames: all but the last line */
	uint32_t position;    /* in it */
	uint64_t frames_seq;  /* bumped with each frame; starts at PX_SEQ_START */
	uint64_t quiet_seq;   /* frames_seq at the last px_producer_reclaim() */
	uint64_t grown_bytes; /* of chunks got from the source */
};

/* Consumer's private handle. */
struct px_consumer {
	const struct px_segment *segment;
	uint32_t producer_slot;
	const struct px_link_shm *theirs; /* the producer's link to us … */
	uint32_t own_epoch;               /* … counts once its epoch is this */
	_Atomic uint64_t *consumed;       /* our link.consumed_seq */
	_Atomic uint64_t *read;           /* our link.read_seq */
	uint64_t seq;                     /* of the chunk being read */
	const uint8_t *at;                /* NULL: the producer's link is not open yet */
	uint64_t bytes;
	uint32_t position;
	uint32_t frame_bytes; /* of the frame last peeked at, whole lines */
	uint64_t frames_seq;
};

/* A frame as read: header copied and checked; payload is in shared memory, read-only. */
struct px_frame {
	uint16_t kind, flags;
	uint64_t id;
	const void *payload;
	uint32_t payload_bytes;
};

/*
 * own: our link to the consumer (writable, zero but for what is ours), own_offset
 * where it lies in the segment; theirs: the consumer's link to us. Open both
 * directions before own->epoch is stored (release): until then the peer looks at
 * neither. PX_ENOMEM (private memory).
 */
int px_producer_open(struct px_producer *ring, struct px_link_shm *own, uint64_t own_offset,
		     const struct px_link_shm *theirs, uint32_t own_epoch,
		     struct px_chunk_source source);
/* Gives every chunk back to the source: the consumer is dead or never reads again. */
void px_producer_close(struct px_producer *ring);
/*
 * Finds room for a frame with payload_bytes behind its header; *payload is where
 * to write them. Nothing is visible yet; reserving again replaces it.
 * If the source has no chunk: PX_EAGAIN for a frame of up to PX_FRAME_SURE_BYTES, which gets
 * room once the consumer has read what waits for it; PX_ENOMEM for a longer one.
 * PX_EINVAL: longer than PX_FRAME_MAX_BYTES.
 */
int px_producer_reserve(struct px_producer *ring, uint32_t payload_bytes, void **payload);
/* Whether the consumer has read all that was published: it is not about to give anything back. */
bool px_producer_drained(const struct px_producer *ring);
/* Bytes of the source's chunks that hold what the consumer has not read; gives back the others. */
uint64_t px_producer_backlog(struct px_producer *ring);
/* Makes the reserved frame visible. Ring the consumer's bell afterwards. */
void px_producer_publish(struct px_producer *ring, uint16_t kind, uint16_t flags, uint64_t id,
			 uint32_t payload_bytes);
/*
 * Gives back chunks that the consumer is done with. If nothing was published
 * since the last call, the ring also leaves a large chunk for a first one, by a
 * link for which no bell need be rung: so call it twice, some time apart, to
 * have all memory back once the consumer has looked again.
 */
void px_producer_reclaim(struct px_producer *ring);

/*
 * own: our link to the producer (writable). Our epoch is read from the member
 * table. There are no frames until the producer's link to us is open.
 */
void px_consumer_open(struct px_consumer *ring, const struct px_segment *segment,
		      struct px_link_shm *own, uint32_t producer_slot, uint32_t own_slot);
/*
 * The next frame: 1 and *out, 0 if there is none, PX_ECORRUPT if a length or a
 * link cannot be (the words name the producer's slot). *out holds until
 * px_consumer_advance().
 */
int px_consumer_peek(struct px_consumer *ring, struct px_frame *out);
/* Whether there may be one; the cheapest look. (A link to an empty chunk also says yes, once.) */
bool px_consumer_ready(const struct px_consumer *ring);
void px_consumer_advance(struct px_consumer *ring);

#endif
