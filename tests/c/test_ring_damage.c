/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ring_damage.c - what a broken producer writes is found out by the consumer.
 */
#include "tests/c/ring_world.h"

#include <string.h>

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

int main(void)
{
	const struct CMUnitTest cases[] = {
		RING_CASE(peek_bad_length_says_corrupt),
		RING_CASE(peek_frame_in_last_line_says_corrupt),
		RING_CASE(peek_large_chunk_too_long_frame_says_corrupt),
		RING_CASE(peek_bad_link_says_corrupt),
		RING_CASE(peek_link_in_a_circle_says_corrupt),
		RING_CASE(peek_random_damage_never_crashes),
	};

	return run_cases(cases, NULL, NULL);
}
