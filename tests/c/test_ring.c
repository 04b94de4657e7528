/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ring.c - frames, their order, and the room for them.
 */
#include "tests/c/ring_world.h"

#include <string.h>

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

#define CASE_CLOSED(name) cmocka_unit_test_setup_teardown(name, ring_setup_closed, ring_teardown)

int main(void)
{
	const struct CMUnitTest cases[] = {
		RING_CASE(peek_empty_sees_nothing),
		RING_CASE(publish_each_length_arrives),
		RING_CASE(peek_twice_shows_the_same),
		RING_CASE(reserve_too_long_is_refused),
		RING_CASE(reserve_again_replaces),
		RING_CASE(publish_less_than_reserved_sends_that),
		RING_CASE(publish_full_chunk_links_in_last_line),
		RING_CASE(publish_frame_that_fills_chunk_exactly_stays_in_it),
		RING_CASE(publish_and_read_in_turn_needs_no_source),
		RING_CASE(publish_backlog_doubles_chunks),
		RING_CASE(reclaim_drained_gives_all_back),
		RING_CASE(reclaim_unread_keeps_everything),
		RING_CASE(reserve_source_empty_says_again),
		RING_CASE(reserve_sure_frames_need_no_source),
		RING_CASE(reserve_long_frame_says_no_memory),
		RING_CASE(reserve_source_short_takes_a_smaller_chunk),
		RING_CASE(drained_when_all_is_read),
		RING_CASE(publish_across_wrap_of_counters_arrives),
		RING_CASE(close_gives_everything_back),
		CASE_CLOSED(peek_producer_not_open_sees_nothing),
		CASE_CLOSED(reclaim_consumer_not_open_keeps_everything),
		RING_CASE(reclaim_mad_consumer_is_ignored),
	};

	return run_cases(cases, NULL, NULL);
}
