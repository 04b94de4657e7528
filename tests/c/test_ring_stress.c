/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ring_stress.c - both ends at once, as threads and as processes.
 */
#include "tests/c/ring_world.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/member.h"

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

int main(void)
{
	const struct CMUnitTest cases[] = {
		RING_CASE(stress_two_threads_lose_nothing),
		cmocka_unit_test_setup_teardown(stress_two_processes_lose_nothing, setup_real,
						teardown_real),
	};

	return run_cases(cases, NULL, NULL);
}
