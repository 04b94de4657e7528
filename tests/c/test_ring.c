/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/c/case.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/member.h"
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

/* A segment made by hand, in one mapping that is shared with children, and a ring in it. */
static struct world {
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

static const struct px_chunk_source source = { source_get, source_put, NULL };

static void open_producer(void)
{
	assert_int_equal(px_producer_open(&world.producer, world.to_consumer,
					  (uint64_t)((uint8_t *)world.to_consumer - world.base),
					  world.to_producer, world.producer_epoch, source),
			 0);
	atomic_store_explicit(&world.to_consumer->epoch, world.consumer_epoch,
			      memory_order_release);
}

static void open_consumer(void)
{
	px_consumer_open(&world.consumer, &world.segment, world.to_producer, PRODUCER, CONSUMER);
	atomic_store_explicit(&world.to_producer->epoch, world.producer_epoch,
			      memory_order_release);
}

/* A segment and no ring yet. */
static int setup_closed(void **state)
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

static int setup(void **state)
{
	if (setup_closed(state))
		return -1;
	open_consumer();
	open_producer();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (world.producer.chunks)
		px_producer_close(&world.producer);
	munmap(world.base, world.segment.total_bytes);
	return world.taken_count ? -1 : 0;
}

/* The same ring, as if it had run since long ago. */
static void start_at(uint64_t seq)
{
	world.producer.first_seq = world.producer.frames_seq = world.producer.quiet_seq = seq;
	world.consumer.seq = world.consumer.frames_seq = seq;
	atomic_store(&world.to_producer->consumed_seq, seq);
}

static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* What frame number id contains follows from id and length. */
static void fill(uint8_t *payload, uint32_t bytes, uint64_t id)
{
	for (uint32_t i = 0; i < bytes; i += 8) {
		uint64_t word = mix(id << 20 | i);

		memcpy(payload + i, &word, bytes - i < 8 ? bytes - i : 8);
	}
}

static bool is_intact(const struct px_frame *frame)
{
	for (uint32_t i = 0; i < frame->payload_bytes; i += 8) {
		uint64_t word = mix(frame->id << 20 | i);
		uint32_t rest = frame->payload_bytes - i;

		if (memcmp((const uint8_t *)frame->payload + i, &word, rest < 8 ? rest : 8))
			return false;
	}
	return true;
}

static int try_publish(uint64_t id, uint32_t bytes)
{
	void *payload;
	int rc = px_producer_reserve(&world.producer, bytes, &payload);

	if (rc)
		return rc;
	fill(payload, bytes, id);
	px_producer_publish(&world.producer, (uint16_t)(id % 1000), (uint16_t)(id % 7), id, bytes);
	return 0;
}

static void publish(uint64_t id, uint32_t bytes)
{
	assert_int_equal(try_publish(id, bytes), 0);
}

static void expect(uint64_t id, uint32_t bytes)
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

static void expect_nothing(void)
{
	struct px_frame frame;

	assert_int_equal(px_consumer_peek(&world.consumer, &frame), 0);
	assert_false(px_consumer_ready(&world.consumer));
}

static void expect_corrupt(void)
{
	struct px_frame frame;

	/* It stays so, however often one looks. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(px_consumer_peek(&world.consumer, &frame), PX_ECORRUPT);
		assert_non_null(strstr(px_last_error(), "slot 3 "));
	}
}

/* --- order and room */

static void peek_empty_sees_nothing(void **state)
{
	(void)state;
	expect_nothing();
}

static void publish_each_length_arrives(void **state)
{
	(void)state;
	for (uint32_t bytes = 0; bytes <= PAYLOAD_MAX; bytes += bytes < 300 ? 1 : 61) {
		publish(bytes, bytes);
		expect(bytes, bytes);
	}
	publish(1, PAYLOAD_MAX);
	expect(1, PAYLOAD_MAX);
	expect_nothing();
}

static void peek_twice_shows_the_same(void **state)
{
	struct px_frame a, b;

	(void)state;
	publish(5, 10);
	publish(6, 10);
	assert_int_equal(px_consumer_peek(&world.consumer, &a), 1);
	assert_int_equal(px_consumer_peek(&world.consumer, &b), 1);
	assert_int_equal(b.id, 5);
	assert_ptr_equal(a.payload, b.payload);
	px_consumer_advance(&world.consumer);
	expect(6, 10);
}

static void reserve_too_long_is_refused(void **state)
{
	void *payload = NULL;

	(void)state;
	assert_int_equal(px_producer_reserve(&world.producer, PAYLOAD_MAX + 1, &payload),
			 PX_EINVAL);
	assert_int_equal(px_producer_reserve(&world.producer, UINT32_MAX, &payload), PX_EINVAL);
	assert_null(payload);
	publish(1, 1);
	expect(1, 1);
}

static void reserve_again_replaces(void **state)
{
	void *payload;

	(void)state;
	assert_int_equal(px_producer_reserve(&world.producer, 10, &payload), 0);
	assert_int_equal(px_producer_reserve(&world.producer, PAYLOAD_MAX, &payload), 0);
	memset(payload, 0xff, PAYLOAD_MAX);
	assert_int_equal(px_producer_reserve(&world.producer, 3, &payload), 0);
	expect_nothing();
	publish(1, 20);
	expect(1, 20);
	expect_nothing();
}

static void publish_less_than_reserved_sends_that(void **state)
{
	void *payload;

	(void)state;
	assert_int_equal(px_producer_reserve(&world.producer, 400, &payload), 0);
	memset(payload, 0xff, 400); /* also where the next frame's length will be */
	fill(payload, 3, 1);
	px_producer_publish(&world.producer, 1, 1, 1, 3);
	expect(1, 3);
	expect_nothing();
	publish(2, 100);
	expect(2, 100);
	expect_nothing();
}

static void publish_full_chunk_links_in_last_line(void **state)
{
	const struct px_frame_shm *last =
		(const void *)(world.to_consumer->first_chunk[0] + FIRST_LINES * PX_LINE_BYTES);

	(void)state;
	for (uint32_t i = 0; i < FIRST_LINES; i++)
		publish(i, LINE_PAYLOAD);
	assert_int_equal(atomic_load(&last->length), 0);
	publish(FIRST_LINES, LINE_PAYLOAD);
	assert_int_equal(last->kind, PX_FRAME_LINK);
	assert_int_equal(world.gets, 0);
	for (uint32_t i = 0; i <= FIRST_LINES; i++)
		expect(i, LINE_PAYLOAD);
	expect_nothing();
	assert_int_equal(atomic_load(&world.to_producer->consumed_seq), PX_SEQ_START + 1);
}

static void publish_frame_that_fills_chunk_exactly_stays_in_it(void **state)
{
	uint32_t bytes = FIRST_LINES * PX_LINE_BYTES - sizeof(struct px_frame_shm);

	(void)state;
	for (uint64_t i = 0; i < 6; i++) {
		publish(i, bytes);
		expect(i, bytes);
	}
	assert_int_equal(world.gets, 0);
	/* A byte more does not fit a first chunk: it is left where it is, for a larger one. */
	publish(7, bytes + 1);
	assert_int_equal(world.gets, 1);
	assert_in_range(world.got_bytes[0], FIRST_LINES * PX_LINE_BYTES + 2 * PX_LINE_BYTES,
			PX_CHUNK_MAX_BYTES);
	expect(7, bytes + 1);
	expect_nothing();
}

static void publish_and_read_in_turn_needs_no_source(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 2000; i++) {
		publish(i, i % 150);
		expect(i, i % 150);
	}
	assert_int_equal(world.gets, 0);
	assert_int_equal(world.producer.frames_seq, PX_SEQ_START + 2000);
	assert_int_equal(world.consumer.frames_seq, PX_SEQ_START + 2000);
}

static void publish_backlog_doubles_chunks(void **state)
{
	uint64_t expected = PX_CHUNK_MAX_BYTES < 4096 ? 512 : 4096, i = 0;

	(void)state;
	while (world.taken_count < 12)
		publish(i++, 200);
	for (uint32_t get = 0; get < 12; get++) {
		assert_int_equal(world.got_bytes[get], expected);
		expected = expected < PX_CHUNK_MAX_BYTES ? 2 * expected : expected;
	}
	assert_int_equal(expected, PX_CHUNK_MAX_BYTES);
	for (uint64_t k = 0; k < i; k++)
		expect(k, 200);
	expect_nothing();
}

static void reclaim_drained_gives_all_back(void **state)
{
	uint64_t id = 0;

	(void)state;
	for (int round = 0; round < 5; round++) {
		uint64_t read = id;

		while (world.taken_count < 40)
			publish(id++, 1000 % PAYLOAD_MAX);
		assert_true(world.producer.grown_bytes > 0);
		while (read < id)
			expect(read++, 1000 % PAYLOAD_MAX);
		px_producer_reclaim(&world.producer);
		assert_int_equal(world.taken_count, 1);
		assert_int_equal(world.producer.chunks_count, 1); /* busy since the last call */
		px_producer_reclaim(&world.producer);
		px_producer_reclaim(&world.producer);
		expect_nothing();
		px_producer_reclaim(&world.producer);
		assert_int_equal(world.taken_count, 0);
		assert_int_equal(world.producer.grown_bytes, 0);
		publish(id, 7);
		expect(id++, 7);
	}
}

static void reclaim_unread_keeps_everything(void **state)
{
	uint64_t id = 0;

	(void)state;
	while (world.taken_count < 9)
		publish(id++, 100);
	for (int i = 0; i < 3; i++)
		px_producer_reclaim(&world.producer);
	assert_int_equal(world.taken_count, 9);
	for (uint64_t k = 0; k < id; k++)
		expect(k, 100);
	expect_nothing();
}

static void reserve_source_empty_says_again(void **state)
{
	uint64_t sent = 0, read = 0;
	int rc;

	(void)state;
	world.taken_max = 3;
	for (int round = 0; round < 50; round++) {
		while (!(rc = try_publish(sent, 64)))
			sent++;
		assert_int_equal(rc, PX_EAGAIN);
		assert_string_equal(px_last_error(), "no chunk left");
		for (int i = 0; i < 37 && read < sent; i++)
			expect(read++, 64);
	}
	while (read < sent)
		expect(read++, 64);
	expect_nothing();
}

#define SURE_PAYLOAD (PX_FRAME_SURE_BYTES - sizeof(struct px_frame_shm))

/* Whatever was sent and read before: reading makes room. */
static void reserve_sure_frames_need_no_source(void **state)
{
	uint64_t sent = 0, read = 0;

	(void)state;
	world.taken_max = 0;
	while (read < 3000) {
		uint32_t bytes = (uint32_t)(mix(sent) % (SURE_PAYLOAD + 1));
		int rc = try_publish(sent, sent % 3 ? bytes : SURE_PAYLOAD);

		if (!rc) {
			sent++;
			continue;
		}
		assert_int_equal(rc, PX_EAGAIN);
		assert_true(read < sent);
		for (uint64_t n = 1 + mix(sent) % (sent - read); n; n--, read++)
			expect(read, read % 3 ? (uint32_t)(mix(read) % (SURE_PAYLOAD + 1)) :
						SURE_PAYLOAD);
		if (read == sent)
			expect_nothing();
	}
}

static void reserve_long_frame_says_no_memory(void **state)
{
	(void)state;
	world.taken_max = 0;
	assert_int_equal(try_publish(0, SURE_PAYLOAD + 1), PX_ENOMEM);
	assert_int_equal(try_publish(0, PAYLOAD_MAX), PX_ENOMEM);
	publish(0, SURE_PAYLOAD);
	expect(0, SURE_PAYLOAD);
}

/* Chunks grow with the backlog; a source that has no large one left may have a small one. */
static void reserve_source_short_takes_a_smaller_chunk(void **state)
{
	uint64_t sent = 0;

	(void)state;
	while (world.producer.next_bytes < PX_CHUNK_MAX_BYTES)
		publish(sent++, 100);
	world.get_max = PX_CHUNK_MAX_BYTES / 2;
	for (int i = 0; i < 300; i++)
		publish(sent++, 100);
	world.get_max = 0;
	for (uint64_t i = 0; i < sent; i++)
		expect(i, 100);
}

static void drained_when_all_is_read(void **state)
{
	(void)state;
	assert_true(px_producer_drained(&world.producer));
	for (uint64_t id = 0; id < 200; id++)
		publish(id, 50);
	for (uint64_t id = 0; id < 200; id++) {
		assert_false(px_producer_drained(&world.producer));
		expect(id, 50);
	}
	assert_true(px_producer_drained(&world.producer));
}

static void publish_across_wrap_of_counters_arrives(void **state)
{
	uint64_t sent = 0, read = 0;

	(void)state;
	start_at(UINT64_MAX - 3);
	for (int round = 0; round < 40; round++) {
		for (int i = 0; i < 100; i++)
			publish(sent++, 130);
		for (int i = 0; i < 100; i++)
			expect(read++, 130);
		px_producer_reclaim(&world.producer);
	}
	assert_true(world.consumer.seq < 1000);
	assert_in_range(world.taken_count, 0, 1);
}

static void close_gives_everything_back(void **state)
{
	(void)state;
	for (uint64_t i = 0; world.taken_count < 20; i++)
		publish(i, PAYLOAD_MAX);
	px_producer_close(&world.producer);
	assert_int_equal(world.taken_count, 0);
}

/* --- who is there */

static void peek_producer_not_open_sees_nothing(void **state)
{
	struct px_frame_shm *stale = (void *)world.to_consumer->first_chunk[0];

	(void)state;
	/* The link is for an earlier occupant of our slot. */
	atomic_store(&stale->length, 100);
	atomic_store(&world.to_consumer->epoch, world.consumer_epoch - 1);
	open_consumer();
	expect_nothing();
	open_producer();
	expect_nothing();
	publish(1, 1);
	expect(1, 1);
}

static void reclaim_consumer_not_open_keeps_everything(void **state)
{
	uint64_t id = 0;

	(void)state;
	atomic_store(&world.to_producer->epoch, world.producer_epoch - 1);
	atomic_store(&world.to_producer->consumed_seq, PX_SEQ_START + 2);
	open_producer();
	while (world.taken_count < 5)
		publish(id++, 100);
	px_producer_reclaim(&world.producer);
	assert_int_equal(world.taken_count, 5);
	open_consumer();
	for (uint64_t k = 0; k < id; k++)
		expect(k, 100);
	px_producer_reclaim(&world.producer);
	assert_int_equal(world.taken_count, 1);
}

static void reclaim_mad_consumer_is_ignored(void **state)
{
	static const uint64_t mad[] = { 7, 8, 1000, UINT64_MAX, UINT64_MAX / 2, UINT64_C(1) << 32 };
	uint64_t id = 0;

	(void)state;
	while (world.taken_count < 5) /* seven chunks: 0 to 6 */
		publish(id++, 100);
	for (size_t i = 0; i < sizeof(mad) / sizeof(mad[0]); i++) {
		atomic_store(&world.to_producer->consumed_seq, PX_SEQ_START + mad[i]);
		px_producer_reclaim(&world.producer);
		assert_int_equal(world.taken_count, 5);
	}
	atomic_store(&world.to_producer->consumed_seq, PX_SEQ_START + 6);
	px_producer_reclaim(&world.producer);
	assert_int_equal(world.taken_count, 1);
}

/* --- what a broken producer writes */

static struct px_frame_shm *first_frame(void)
{
	return (void *)world.to_consumer->first_chunk[0];
}

static void peek_bad_length_says_corrupt(void **state)
{
	uint32_t bad[] = { 1,
			   sizeof(struct px_frame_shm) - 1,
			   FIRST_LINES * PX_LINE_BYTES + 1,
			   PX_FIRST_CHUNK_BYTES,
			   PX_FRAME_MAX_BYTES + 1,
			   PX_CHUNK_MAX_BYTES,
			   INT32_MAX,
			   UINT32_MAX - 63,
			   UINT32_MAX };

	(void)state;
	publish(1, 10);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		atomic_store(&first_frame()->length, bad[i]);
		expect_corrupt();
	}
	/* As long as the room that is left, and a byte more. */
	atomic_store(&first_frame()->length, FIRST_LINES * PX_LINE_BYTES);
	if (FIRST_LINES * PX_LINE_BYTES <= PX_FRAME_MAX_BYTES) {
		struct px_frame frame;

		assert_int_equal(px_consumer_peek(&world.consumer, &frame), 1);
	}
}

static void peek_frame_in_last_line_says_corrupt(void **state)
{
	struct px_frame_shm *last =
		(void *)(world.to_consumer->first_chunk[0] + FIRST_LINES * PX_LINE_BYTES);

	(void)state;
	for (uint32_t i = 0; i < FIRST_LINES; i++) {
		publish(i, LINE_PAYLOAD);
		expect(i, LINE_PAYLOAD);
	}
	last->kind = 1;
	atomic_store(&last->length, sizeof(*last));
	expect_corrupt();
}

static void peek_large_chunk_too_long_frame_says_corrupt(void **state)
{
	struct px_frame_shm *frame;
	uint64_t id = 0;

	(void)state;
	while (world.producer.room <= PX_FRAME_MAX_BYTES)
		publish(id++, 10);
	for (uint64_t i = 0; i + 1 < id; i++)
		expect(i, 10);
	frame = (void *)(world.producer.at);
	atomic_store(&frame->length, PX_FRAME_MAX_BYTES + 1);
	expect_corrupt();
}

static void peek_bad_link_says_corrupt(void **state)
{
	uint64_t arena = world.segment.arena_offset;
	uint64_t first = (uint64_t)(world.to_consumer->first_chunk[0] - world.base);
	uint64_t strangers = arena + (UNITS - 1) * PX_UNIT_BYTES;
	uint64_t line = PX_LINE_BYTES, max = PX_CHUNK_MAX_BYTES;
	const struct px_chunk_shm bad[] = {
		{ 0, max, 1 },
		{ UINT64_MAX, max, 1 },
		{ UINT64_MAX - 63, max, 1 },
		{ arena + 32, max, 1 },
		{ arena - line, max, 1 },
		{ arena, 0, 1 },
		{ arena, line, 1 },
		{ arena, max + line, 1 },
		{ arena, max - 1, 1 },
		{ arena, UINT64_MAX, 1 },
		{ arena, UINT64_MAX - 63, 1 },
		{ arena, max, 0 },
		{ arena, max, 2 },
		{ arena, max, UINT64_MAX },
		{ strangers, max, 1 },
		{ strangers - line, max, 1 },
		{ strangers + PX_UNIT_BYTES - line, max, 1 },
		{ world.segment.total_bytes, max, 1 },
		{ first + PX_FIRST_CHUNK_BYTES, PX_FIRST_CHUNK_BYTES - line, 1 },
		{ first + PX_FIRST_CHUNK_BYTES, PX_FIRST_CHUNK_BYTES + line, 1 },
		{ first + PX_FIRST_CHUNK_BYTES, max, 1 },
		{ first + line, PX_FIRST_CHUNK_BYTES, 1 },
		{ (uint64_t)((uint8_t *)world.to_producer->first_chunk[0] - world.base),
		  PX_FIRST_CHUNK_BYTES, 1 },
		{ first + sizeof(struct px_link_shm), PX_FIRST_CHUNK_BYTES, 1 },
	};
	struct px_chunk_shm link = { arena, max, PX_SEQ_START + 1 };

	(void)state;
	first_frame()->kind = PX_FRAME_LINK;
	atomic_store(&first_frame()->length, sizeof(struct px_frame_shm) + sizeof(link));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		link = bad[i];
		link.seq += PX_SEQ_START;
		memcpy(first_frame() + 1, &link, sizeof(link));
		expect_corrupt();
		assert_int_equal(atomic_load(&world.to_producer->consumed_seq), PX_SEQ_START);
	}
	link = (struct px_chunk_shm){ arena, max, PX_SEQ_START + 1 };
	memcpy(first_frame() + 1, &link, sizeof(link));
	for (uint32_t length = 1; length <= 64; length++) {
		if (length == sizeof(struct px_frame_shm) + sizeof(link))
			continue;
		atomic_store(&first_frame()->length, length);
		expect_corrupt();
	}
	atomic_store(&first_frame()->length, sizeof(struct px_frame_shm) + sizeof(link));
	expect_nothing();
}

static void peek_link_in_a_circle_says_corrupt(void **state)
{
	struct px_chunk_shm link = { (uint64_t)(world.to_consumer->first_chunk[0] - world.base),
				     PX_FIRST_CHUNK_BYTES, PX_SEQ_START + 1 };

	(void)state;
	memcpy(first_frame() + 1, &link, sizeof(link));
	first_frame()->kind = PX_FRAME_LINK;
	atomic_store(&first_frame()->length, sizeof(struct px_frame_shm) + sizeof(link));
	expect_corrupt();
}

/* Whether the whole payload lies in one of the producer's chunks. */
static bool is_producers(const struct px_frame *frame)
{
	const uint8_t *from = frame->payload, *to = from + frame->payload_bytes;
	const uint8_t *first = world.to_consumer->first_chunk[0];
	const uint8_t *arena = world.base + world.segment.arena_offset;

	return (from >= first && to <= first + sizeof(world.to_consumer->first_chunk)) ||
	       (from >= arena && to <= arena + (UNITS - 1) * PX_UNIT_BYTES);
}

static uint32_t damaged(uint32_t word, uint32_t other, uint64_t random)
{
	switch (random >> 61) {
	case 0:
	case 1:
		return word ^ UINT32_C(1) << (random >> 32) % 32;
	case 2:
		return (uint32_t)mix(random);
	case 3:
		return 0;
	case 4:
	case 5:
		return word + (uint32_t)(random >> 32) % 129 - 64;
	default:
		return other;
	}
}

static void peek_random_damage_never_crashes(void **state)
{
	/* Bits of headers are changed more often than others. */
	uint32_t *words[4096], undo[8], *hit[8];
	uint64_t random = 1, frames = 0, corrupt = 0, id = 0;
	size_t words_count = 0;

	(void)state;
	/* An image of first chunks, got chunks, and links between them. */
	for (uint32_t i = 0; world.taken_count < 4 && words_count < 4000; i++) {
		const uint8_t *before = world.producer.at;
		struct px_frame_shm *frame = (void *)(world.producer.at + world.producer.position);

		publish(id++, i % 5 ? i % 90 : PAYLOAD_MAX / 3);
		if (world.producer.at != before) {
			for (size_t k = 0; k < 10; k++)
				words[words_count++] = (uint32_t *)frame + k;
			frame = (void *)world.producer.at;
		}
		words[words_count++] = (uint32_t *)frame;
		words[words_count++] = (uint32_t *)frame + 1;
	}
	for (int round = 0; round < 100000; round++) {
		struct px_consumer consumer = world.consumer;
		struct px_frame frame;
		uint32_t hits, i;
		int rc;

		random = mix(random);
		hits = 1 + random % 8;
		for (i = 0; i < hits; i++) {
			random = mix(random);
			hit[i] = words[random % words_count];
			undo[i] = *hit[i];
			*hit[i] = damaged(*hit[i], *words[mix(random) % words_count], random);
		}
		while ((rc = px_consumer_peek(&consumer, &frame)) == 1) {
			assert_true(is_producers(&frame));
			(void)is_intact(&frame);
			px_consumer_advance(&consumer);
			frames++;
		}
		assert_true(rc == 0 || rc == PX_ECORRUPT);
		corrupt += rc == PX_ECORRUPT;
		while (i--)
			*hit[i] = undo[i];
	}
	assert_true(frames > 100000 && corrupt > 10000);
	/* The image is whole again. */
	for (uint32_t i = 0; i < id; i++)
		expect(i, i % 5 ? i % 90 : PAYLOAD_MAX / 3);
}

/* --- deaths */

/* Counts what a consumer would find if nothing more were written. -1: damage. */
static int frames_there(uint64_t first_id, const uint32_t *bytes)
{
	struct px_consumer consumer = world.consumer;
	uint64_t consumed = atomic_load(&world.to_producer->consumed_seq);
	struct px_frame frame;
	int count = 0, rc;

	while ((rc = px_consumer_peek(&consumer, &frame)) == 1) {
		if (frame.id != first_id + (uint64_t)count || frame.payload_bytes != bytes[count] ||
		    !is_intact(&frame))
			return -1;
		px_consumer_advance(&consumer);
		count++;
	}
	atomic_store(&world.to_producer->consumed_seq, consumed);
	return rc ? -1 : count;
}

static void publish_killed_before_or_after_is_unsent_or_sent(void **state)
{
	static const uint32_t bytes[2] = { 100, 100 };

	(void)state;
	for (int visible = 0; visible < 2; visible++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (!child) {
			void *payload;

			if (px_producer_reserve(&world.producer, 100, &payload))
				_exit(1);
			fill(payload, 100, 0);
			if (visible)
				px_producer_publish(&world.producer, 0, 0, 0, 100);
			raise(SIGKILL);
		}
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_int_equal(frames_there(0, bytes), visible);
	}
}

/*
 * Runs a child one instruction at a time, and after each one looks at the ring as a
 * consumer would if the child had been killed there.
 */
static void step_producer(const uint32_t *bytes, int count)
{
	static uint8_t payloads[4][PX_FRAME_MAX_BYTES];
	int seen = 0, status;
	long steps = 0;
	pid_t child;

	/* What the chunks held before. */
	memset(world.to_consumer->first_chunk[0] + PX_LINE_BYTES, 0xa5,
	       sizeof(world.to_consumer->first_chunk) - PX_LINE_BYTES);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		/* A sandbox may forbid tracing: then the test is skipped. */
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(77);
		for (int i = 0; i < count; i++)
			fill(payloads[i], bytes[i], (uint64_t)i);
		raise(SIGSTOP);
		for (int i = 0; i < count; i++) {
			void *payload;

			if (px_producer_reserve(&world.producer, bytes[i], &payload))
				_exit(1);
			memcpy(payload, payloads[i], bytes[i]);
			px_producer_publish(&world.producer, 0, 0, (uint64_t)i, bytes[i]);
		}
		_exit(0);
	}
	for (;;) {
		int now;

		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status))
			break;
		assert_true(WIFSTOPPED(status));
		now = frames_there(0, bytes);
		assert_in_range(now, seen, seen + 1);
		seen = now;
		/* Once all is sent, it does not matter how the child ends. */
		assert_int_equal(ptrace(seen == count ? PTRACE_CONT : PTRACE_SINGLESTEP, child, 0,
					0),
				 0);
		steps++;
	}
	if (WEXITSTATUS(status) == 77) {
		print_message("ptrace is not allowed here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(seen, count);
	assert_true(steps > 20 * count);
}

static void publish_killed_at_any_instruction_leaves_a_sound_ring(void **state)
{
	static const uint32_t bytes[] = { 10, LINE_PAYLOAD, 70, 0 };

	(void)state;
	step_producer(bytes, 4);
}

static void grow_killed_at_any_instruction_leaves_a_sound_ring(void **state)
{
	/* The other first chunk, then two from the source. */
	static const uint32_t bytes[] = { FIRST_LINES * PX_LINE_BYTES - 16,
					  FIRST_LINES * PX_LINE_BYTES - 16, 60,
					  PX_FIRST_CHUNK_BYTES };

	(void)state;
	step_producer(bytes, 4);
}

static void advance_killed_consumer_lets_producer_go_on(void **state)
{
	uint64_t id = 0;
	pid_t child;

	(void)state;
	while (world.taken_count < 5)
		publish(id++, 100);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		for (uint64_t k = 0; k < FIRST_LINES; k++)
			expect(k, 100);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	px_producer_reclaim(&world.producer);
	while (world.taken_count < 20)
		publish(id++, 100);
	px_producer_close(&world.producer);
	assert_int_equal(world.taken_count, 0);
}

/* --- both at once */

#define STRESS_NS 700000000

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint32_t stress_bytes(uint64_t id)
{
	uint64_t random = mix(id ^ 0x5555);

	/* Mostly short; bursts of long ones make it grow. */
	if (id / 512 % 8 == 7)
		return (uint32_t)(random % (PAYLOAD_MAX + 1));
	return (uint32_t)(random % 120 % (PAYLOAD_MAX + 1));
}

/* Publishes for a while, then an end mark: kind 1001. Returns the number of frames. */
static uint64_t stress_producer(void)
{
	uint64_t end = now_ns() + STRESS_NS, id = 0;
	void *payload;

	while (id % 64 || now_ns() < end) {
		if (try_publish(id, stress_bytes(id))) {
			sched_yield();
			continue;
		}
		id++;
		if (id % 1000 == 0)
			px_producer_reclaim(&world.producer);
		if (mix(id) % 4096 == 0)
			sched_yield();
	}
	while (px_producer_reserve(&world.producer, 0, &payload))
		sched_yield();
	px_producer_publish(&world.producer, 1001, 0, id, 0);
	return id;
}

/* NULL, or what was wrong. */
static const char *stress_consumer(void)
{
	struct px_frame frame;

	for (uint64_t id = 0;;) {
		int rc = px_consumer_peek(&world.consumer, &frame);

		if (rc < 0)
			return px_last_error();
		if (!rc) {
			sched_yield();
			continue;
		}
		if (frame.id != id)
			return "a frame is lost, or there twice";
		if (frame.kind == 1001)
			return NULL;
		if (frame.kind != id % 1000 || frame.flags != id % 7 ||
		    frame.payload_bytes != stress_bytes(id) || !is_intact(&frame))
			return "a frame is torn";
		px_consumer_advance(&world.consumer);
		id++;
	}
}

static void *consumer_thread(void *arg)
{
	(void)arg;
	return (void *)(uintptr_t)stress_consumer();
}

static void stress_two_threads_lose_nothing(void **state)
{
	pthread_t thread;
	void *wrong;

	(void)state;
	start_at(UINT64_MAX - 20);
	world.taken_max = 30;
	assert_int_equal(pthread_create(&thread, NULL, consumer_thread, NULL), 0);
	assert_true(stress_producer() > 1000);
	assert_int_equal(pthread_join(thread, &wrong), 0);
	if (wrong)
		fail_msg("%s", (const char *)wrong);
}

/* A pool's own segment, in which slots 1 and 3 may talk to each other. */
static struct px_segment *real;

static void join(enum px_member_kind kind, uint32_t slot, uint32_t *epoch)
{
	struct px_member_id id;

	assert_int_equal(px_member_join(real, kind, kind == PX_MEMBER_ENGINE ? 0 : -1, &id), 0);
	assert_int_equal(id.slot, slot);
	*epoch = id.epoch;
}

static struct px_link_shm *map_link(struct px_segment *segment, uint32_t from, uint32_t to)
{
	void *block;

	if (px_segment_map(segment, px_segment_block_offset(segment, from),
			   sizeof(struct px_block_shm), &block))
		return NULL;
	return &((struct px_block_shm *)block)->links[to];
}

static int setup_real(void **state)
{
	uint64_t arena_bytes = UNITS * PX_UNIT_BYTES;
	uint32_t epoch;
	void *arena;

	(void)state;
	memset(&world, 0, sizeof(world));
	world.taken_max = 30;
	if (px_segment_create(arena_bytes, false, &real) ||
	    px_segment_reserve(real, real->arena_offset, arena_bytes) ||
	    px_segment_map(real, real->arena_offset, arena_bytes, &arena))
		return -1;
	join(PX_MEMBER_CLIENT, 0, &epoch);
	join(PX_MEMBER_ENGINE, CONSUMER, &world.consumer_epoch);
	join(PX_MEMBER_CLIENT, STRANGER, &epoch);
	join(PX_MEMBER_CLIENT, PRODUCER, &world.producer_epoch);
	for (uint64_t i = 0; i < UNITS; i++)
		atomic_store(&real->rw.units[i], PRODUCER + 1);
	world.segment = *real;
	/* Only the arena is there, which is all that the source touches. */
	world.base = (uint8_t *)arena - real->arena_offset;
	return 0;
}

static int teardown_real(void **state)
{
	(void)state;
	px_producer_close(&world.producer);
	px_segment_unmap(world.base + real->arena_offset, real->arena_bytes);
	px_segment_detach(real);
	return world.taken_count ? -1 : 0;
}

/* Another process has none of our maps: it attaches. */
static int be_consumer(int fd)
{
	struct px_segment *segment;
	struct px_link_shm *own;
	const char *wrong;

	if (px_segment_attach(fd, &segment) || !(own = map_link(segment, CONSUMER, PRODUCER))) {
		fprintf(stderr, "%s\n", px_last_error());
		return 1;
	}
	px_consumer_open(&world.consumer, segment, own, PRODUCER, CONSUMER);
	atomic_store_explicit(&own->epoch, world.producer_epoch, memory_order_release);
	wrong = stress_consumer();
	if (wrong)
		fprintf(stderr, "%s\n", wrong);
	px_segment_detach(segment);
	return wrong != NULL;
}

static void stress_two_processes_lose_nothing(void **state)
{
	struct px_link_shm *own = map_link(real, PRODUCER, CONSUMER);
	uint64_t own_offset = px_segment_block_offset(real, PRODUCER) +
			      offsetof(struct px_block_shm, links[CONSUMER]);
	int status, fd = dup(real->fd);
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0 && fd >= 0 && own);
	if (!child)
		_exit(be_consumer(fd));
	close(fd);
	assert_int_equal(px_producer_open(&world.producer, own, own_offset,
					  &px_segment_block(real, CONSUMER)->links[PRODUCER],
					  world.producer_epoch, source),
			 0);
	/* Late: the consumer looks before. */
	sched_yield();
	atomic_store_explicit(&own->epoch, world.consumer_epoch, memory_order_release);
	assert_true(stress_producer() > 1000);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	px_segment_unmap((uint8_t *)own - offsetof(struct px_block_shm, links[CONSUMER]),
			 sizeof(struct px_block_shm));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CASE_CLOSED(name) cmocka_unit_test_setup_teardown(name, setup_closed, teardown)

int main(void)
{
	const struct CMUnitTest cases[] = {
		CASE(peek_empty_sees_nothing),
		CASE(publish_each_length_arrives),
		CASE(peek_twice_shows_the_same),
		CASE(reserve_too_long_is_refused),
		CASE(reserve_again_replaces),
		CASE(publish_less_than_reserved_sends_that),
		CASE(publish_full_chunk_links_in_last_line),
		CASE(publish_frame_that_fills_chunk_exactly_stays_in_it),
		CASE(publish_and_read_in_turn_needs_no_source),
		CASE(publish_backlog_doubles_chunks),
		CASE(reclaim_drained_gives_all_back),
		CASE(reclaim_unread_keeps_everything),
		CASE(reserve_source_empty_says_again),
		CASE(reserve_sure_frames_need_no_source),
		CASE(reserve_long_frame_says_no_memory),
		CASE(reserve_source_short_takes_a_smaller_chunk),
		CASE(drained_when_all_is_read),
		CASE(publish_across_wrap_of_counters_arrives),
		CASE(close_gives_everything_back),
		CASE_CLOSED(peek_producer_not_open_sees_nothing),
		CASE_CLOSED(reclaim_consumer_not_open_keeps_everything),
		CASE(reclaim_mad_consumer_is_ignored),
		CASE(peek_bad_length_says_corrupt),
		CASE(peek_frame_in_last_line_says_corrupt),
		CASE(peek_large_chunk_too_long_frame_says_corrupt),
		CASE(peek_bad_link_says_corrupt),
		CASE(peek_link_in_a_circle_says_corrupt),
		CASE(peek_random_damage_never_crashes),
		CASE(publish_killed_before_or_after_is_unsent_or_sent),
		CASE(publish_killed_at_any_instruction_leaves_a_sound_ring),
		CASE(grow_killed_at_any_instruction_leaves_a_sound_ring),
		CASE(advance_killed_consumer_lets_producer_go_on),
		CASE(stress_two_threads_lose_nothing),
		cmocka_unit_test_setup_teardown(stress_two_processes_lose_nothing, setup_real,
						teardown_real),
	};

	return run_cases(cases, NULL, NULL);
}
