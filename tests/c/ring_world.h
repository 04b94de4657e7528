/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring_world.h - for tests: a segment made by hand, with a ring in it.
 *
 * Who:     cases about rings: they are producer and consumer, and see what lies in between.
 * Where:   one mapping, which is shared with children of the case; chunks come from a source that
 *          counts them.
 * Blocks:  never.
 * Death:   a child may die at any instruction; the ring it leaves is the case's.
 */
#ifndef PX_TEST_RING_WORLD_H
#define PX_TEST_RING_WORLD_H

#include "tests/c/case.h"

#include <stdbool.h>

#include "shm/error.h"
#include "shm/ring.h"

#define CONSUMER 1
#define PRODUCER 3
#define STRANGER 2
#define SLOTS 4
#define CHUNKS_MAX 256 /* that the source can have out at a time */
#define UNITS ((CHUNKS_MAX * (uint64_t)PX_CHUNK_MAX_BYTES) / PX_UNIT_BYTES + 1)
#define PAYLOAD_MAX (PX_FRAME_MAX_BYTES - sizeof(struct px_frame_shm))
#define LINE_PAYLOAD (PX_LINE_BYTES - sizeof(struct px_frame_shm))
#define FIRST_LINES (PX_FIRST_CHUNK_BYTES / PX_LINE_BYTES - 1) /* for frames */

extern struct world {
	struct px_segment segment;
	struct px_member_shm members[SLOTS];
	_Atomic uint16_t units[UNITS]; /* the last one belongs to another member */
	uint8_t *base;                 /* writable */
	uint32_t producer_epoch, consumer_epoch;
	struct px_link_shm *to_consumer, *to_producer;
	struct px_producer producer;
	struct px_consumer consumer;
	bool taken[CHUNKS_MAX];
	uint32_t taken_count, gets;
	uint32_t taken_max;             /* the source says no beyond */
	uint64_t get_max;               /* and to more bytes at once; 0: does not */
	uint64_t got_bytes[CHUNKS_MAX]; /* of the first gets */
} world;

extern const struct px_chunk_source source;

/* --- fixtures */

/* A segment and no ring yet. */
int ring_setup_closed(void **state);
int ring_setup(void **state);
/* Fails if chunks are missing. */
int ring_teardown(void **state);
#define RING_CASE(name) cmocka_unit_test_setup_teardown(name, ring_setup, ring_teardown)

void open_producer(void);
void open_consumer(void);
/* The same ring, as if it had run since long ago. */
void start_at(uint64_t seq);

/* --- frames; what number id contains follows from id and length */

uint64_t mix(uint64_t x);
void fill(uint8_t *payload, uint32_t bytes, uint64_t id);
bool is_intact(const struct px_frame *frame);
int try_publish(uint64_t id, uint32_t bytes);
void publish(uint64_t id, uint32_t bytes);
/* The next frame is this one, and is taken. */
void expect(uint64_t id, uint32_t bytes);
void expect_nothing(void);
void expect_corrupt(void);

#endif
