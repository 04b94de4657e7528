/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_ring.c - nothing that a producer may have written makes its consumer crash, hang, or read
 * outside of the producer's memory.
 *
 * The input is the producer's two first chunks, then what follows the beginning of its extent.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shm/error.h"
#include "shm/ring.h"

#define CONSUMER 0
#define PRODUCER 1
#define ARENA_OFFSET PX_PAGE_BYTES
#define BLOCKS_OFFSET (ARENA_OFFSET + 2 * (uint64_t)PX_UNIT_BYTES)
#define TOTAL_BYTES (BLOCKS_OFFSET + 2 * sizeof(struct px_block_shm))
#define FRAMES_MAX ((2 * PX_FIRST_CHUNK_BYTES + PX_UNIT_BYTES) / PX_LINE_BYTES)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct px_member_shm members[2] = { { .epoch = 1 }, { .epoch = 1 } };
static const _Atomic uint16_t units[2] = { PRODUCER + 1, CONSUMER + 1 };
static uint8_t base[TOTAL_BYTES] __attribute__((aligned(PX_PAGE_BYTES)));
static const struct px_segment segment = {
	.base = base,
	.total_bytes = TOTAL_BYTES,
	.arena_offset = ARENA_OFFSET,
	.arena_bytes = 2 * (uint64_t)PX_UNIT_BYTES,
	.blocks_offset = BLOCKS_OFFSET,
	.members = members,
	.units = units,
};

static struct px_link_shm *link_of(uint32_t from, uint32_t to)
{
	return &((struct px_block_shm *)(void *)(base + BLOCKS_OFFSET))[from].links[to];
}

static void fill(uint8_t *at, size_t room, const uint8_t **data, size_t *size)
{
	size_t bytes = *size < room ? *size : room;

	memcpy(at, *data, bytes);
	memset(at + bytes, 0, room - bytes);
	*data += bytes;
	*size -= bytes;
}

static void check(int holds)
{
	if (!holds)
		abort();
}

static void look_at(const struct px_frame *frame)
{
	const uint8_t *payload = frame->payload;
	uint64_t offset = (uint64_t)(payload - base), first;

	first = (uint64_t)((uint8_t *)link_of(PRODUCER, CONSUMER)->first_chunk - base);
	check(frame->payload_bytes <= PX_FRAME_MAX_BYTES);
	check((offset >= first &&
	       offset + frame->payload_bytes <= first + 2 * PX_FIRST_CHUNK_BYTES) ||
	      (offset >= ARENA_OFFSET &&
	       offset + frame->payload_bytes <= ARENA_OFFSET + PX_UNIT_BYTES));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct px_consumer ring;
	struct px_frame frame;
	struct px_link_shm *link;
	unsigned frames = 0;
	int rc;

	link = link_of(PRODUCER, CONSUMER);
	fill(link->first_chunk[0], sizeof(link->first_chunk), &data, &size);
	fill(base + ARENA_OFFSET, 16384, &data, &size);
	atomic_store(&link->epoch, atomic_load(&members[CONSUMER].epoch));
	px_consumer_open(&ring, &segment, link_of(CONSUMER, PRODUCER), PRODUCER, CONSUMER);
	while ((rc = px_consumer_peek(&ring, &frame)) == 1) {
		check(++frames <= FRAMES_MAX);
		look_at(&frame);
		px_consumer_advance(&ring);
	}
	check(rc == 0 || (rc == PX_ECORRUPT && strstr(px_last_error(), "slot 1")));
	return 0;
}
