/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring_world.c - makes the segment, and the frames.
 */
#include "tests/c/ring_world.h"

#include <string.h>
#include <sys/mman.h>

struct world world;

static int source_get(void *ctx, uint64_t bytes, uint64_t *offset, void **at)
{
	uint32_t i = 0;

	(void)ctx;
	assert_in_range(bytes, 2 * PX_LINE_BYTES, PX_CHUNK_MAX_BYTES);
	assert_int_equal(bytes % PX_LINE_BYTES, 0);
	if (world.taken_count == world.taken_max || (world.get_max && bytes > world.get_max))
		return px_fail(PX_ENOMEM, "no chunk left");
	while (world.taken[i])
		i++;
	world.taken[i] = true;
	world.taken_count++;
	if (world.gets < CHUNKS_MAX)
		world.got_bytes[world.gets] = bytes;
	world.gets++;
	*offset = world.segment.arena_offset + (uint64_t)i * PX_CHUNK_MAX_BYTES;
	*at = world.base + *offset;
	/* Chunks need not be zero. */
	memset(*at, 0xa5, 2 * PX_LINE_BYTES);
	return 0;
}

static void source_put(void *ctx, uint64_t offset, void *at, uint64_t bytes)
{
	uint64_t i = (offset - world.segment.arena_offset) / PX_CHUNK_MAX_BYTES;

	(void)ctx;
	assert_ptr_equal(at, world.base + offset);
	assert_in_range(bytes, 2 * PX_LINE_BYTES, PX_CHUNK_MAX_BYTES);
	assert_true(i < CHUNKS_MAX && world.taken[i]);
	world.taken[i] = false;
	world.taken_count--;
}

const struct px_chunk_source source = { source_get, source_put, NULL };

void open_producer(void)
{
	assert_int_equal(px_producer_open(&world.producer, world.to_consumer,
					  (uint64_t)((uint8_t *)world.to_consumer - world.base),
					  world.to_producer, world.producer_epoch, source),
			 0);
	atomic_store_explicit(&world.to_consumer->epoch, world.consumer_epoch,
			      memory_order_release);
}

void open_consumer(void)
{
	px_consumer_open(&world.consumer, &world.segment, world.to_producer, PRODUCER, CONSUMER);
	atomic_store_explicit(&world.to_producer->epoch, world.producer_epoch,
			      memory_order_release);
}

int ring_setup_closed(void **state)
{
	uint64_t blocks = PX_PAGE_BYTES;
	uint64_t arena = blocks + SLOTS * sizeof(struct px_block_shm);

	(void)state;
	arena = (arena + PX_UNIT_BYTES - 1) / PX_UNIT_BYTES * PX_UNIT_BYTES;
	memset(&world, 0, sizeof(world));
	world.segment.total_bytes = arena + UNITS * PX_UNIT_BYTES;
	world.base = mmap(NULL, world.segment.total_bytes, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (world.base == MAP_FAILED)
		return -1;
	world.segment.base = world.base;
	world.segment.arena_offset = arena;
	world.segment.arena_bytes = UNITS * PX_UNIT_BYTES;
	world.segment.blocks_offset = blocks;
	world.segment.members = world.members;
	world.segment.units = world.units;
	for (uint64_t i = 0; i < UNITS; i++)
		atomic_store(&world.units[i], (i + 1 < UNITS ? PRODUCER : STRANGER) + 1);
	world.consumer_epoch = 9;
	atomic_store(&world.members[CONSUMER].epoch, world.consumer_epoch);
	world.producer_epoch = 7;
	atomic_store(&world.members[PRODUCER].epoch, world.producer_epoch);
	world.to_consumer =
		&((struct px_block_shm *)(world.base + blocks))[PRODUCER].links[CONSUMER];
	world.to_producer =
		&((struct px_block_shm *)(world.base + blocks))[CONSUMER].links[PRODUCER];
	world.taken_max = CHUNKS_MAX;
	return 0;
}

int ring_setup(void **state)
{
	if (ring_setup_closed(state))
		return -1;
	open_consumer();
	open_producer();
	return 0;
}

int ring_teardown(void **state)
{
	(void)state;
	if (world.producer.chunks)
		px_producer_close(&world.producer);
	munmap(world.base, world.segment.total_bytes);
	return world.taken_count ? -1 : 0;
}

void start_at(uint64_t seq)
{
	world.producer.first_seq = world.producer.frames_seq = world.producer.quiet_seq = seq;
	world.consumer.seq = world.consumer.frames_seq = seq;
	atomic_store(&world.to_producer->consumed_seq, seq);
}

uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

void fill(uint8_t *payload, uint32_t bytes, uint64_t id)
{
	for (uint32_t i = 0; i < bytes; i += 8) {
		uint64_t word = mix(id << 20 | i);

		memcpy(payload + i, &word, bytes - i < 8 ? bytes - i : 8);
	}
}

bool is_intact(const struct px_frame *frame)
{
	for (uint32_t i = 0; i < frame->payload_bytes; i += 8) {
		uint64_t word = mix(frame->id << 20 | i);
		uint32_t rest = frame->payload_bytes - i;

		if (memcmp((const uint8_t *)frame->payload + i, &word, rest < 8 ? rest : 8))
			return false;
	}
	return true;
}

int try_publish(uint64_t id, uint32_t bytes)
{
	void *payload;
	int rc = px_producer_reserve(&world.producer, bytes, &payload);

	if (rc)
		return rc;
	fill(payload, bytes, id);
	px_producer_publish(&world.producer, (uint16_t)(id % 1000), (uint16_t)(id % 7), id, bytes);
	return 0;
}

void publish(uint64_t id, uint32_t bytes)
{
	assert_int_equal(try_publish(id, bytes), 0);
}

void expect(uint64_t id, uint32_t bytes)
{
	struct px_frame frame;

	assert_true(px_consumer_ready(&world.consumer));
	assert_int_equal(px_consumer_peek(&world.consumer, &frame), 1);
	assert_int_equal(frame.id, id);
	assert_int_equal(frame.kind, id % 1000);
	assert_int_equal(frame.flags, id % 7);
	assert_int_equal(frame.payload_bytes, bytes);
	assert_true(is_intact(&frame));
	px_consumer_advance(&world.consumer);
}

void expect_nothing(void)
{
	struct px_frame frame;

	assert_int_equal(px_consumer_peek(&world.consumer, &frame), 0);
	assert_false(px_consumer_ready(&world.consumer));
}

void expect_corrupt(void)
{
	struct px_frame frame;

	/* It stays so, however often one looks. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(px_consumer_peek(&world.consumer, &frame), PX_ECORRUPT);
		assert_non_null(strstr(px_last_error(), "slot 3 "));
	}
}
