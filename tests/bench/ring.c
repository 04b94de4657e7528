/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring.c - what a ring costs by itself: a frame written and read by one thread, frames one way
 * between two processes, and a round trip. Both sides wait by spinning with sched_yield.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/member.h"
#include "shm/ring.h"

#define CHUNKS 64u /* a member's */
#define PAYLOAD 48 /* a frame of one line */
#define ONE_THREAD 20000000u
#define ONE_WAY 10000000u
#define ROUND_TRIPS 200000u

/* A place on the segment, with two rings to and from the peer. */
struct side {
	uint32_t slot;
	struct px_segment *segment;
	uint8_t *arena;
	uint64_t arena_offset; /* of this side's half */
	uint32_t idle[CHUNKS], idle_count;
	struct px_link_shm *own;
	struct px_producer tx;
	struct px_consumer rx;
};

static void must(int rc)
{
	if (rc < 0) {
		fprintf(stderr, "ring: %s\n", px_last_error());
		exit(1);
	}
}

static int chunk_get(void *ctx, uint64_t bytes, uint64_t *offset, void **at)
{
	struct side *side = ctx;
	uint64_t skip;

	(void)bytes;
	if (!side->idle_count)
		return PX_ENOMEM;
	skip = (uint64_t)side->idle[--side->idle_count] * PX_CHUNK_MAX_BYTES;
	*offset = side->arena_offset + skip;
	*at = side->arena + skip;
	return 0;
}

static void chunk_put(void *ctx, uint64_t offset, void *at, uint64_t bytes)
{
	struct side *side = ctx;

	(void)at;
	(void)bytes;
	side->idle[side->idle_count++] =
		(uint32_t)((offset - side->arena_offset) / PX_CHUNK_MAX_BYTES);
}

static void side_open(struct side *side, int fd, uint32_t slot, uint32_t peer)
{
	struct px_segment *segment;
	uint64_t block_offset, half;
	void *block, *arena;

	must(px_segment_attach(fd, &segment));
	half = segment->arena_bytes / 2;
	*side = (struct side){ .slot = slot,
			       .segment = segment,
			       .arena_offset = segment->arena_offset + slot * half,
			       .idle_count = CHUNKS };
	for (uint32_t i = 0; i < CHUNKS; i++)
		side->idle[i] = i;
	block_offset = px_segment_block_offset(segment, slot);
	must(px_segment_map(segment, block_offset, sizeof(struct px_block_shm), &block));
	must(px_segment_map(segment, side->arena_offset, half, &arena));
	side->arena = arena;
	side->own = &((struct px_block_shm *)block)->links[peer];
	must(px_producer_open(&side->tx, side->own,
			      block_offset + offsetof(struct px_block_shm, links) +
				      peer * sizeof(struct px_link_shm),
			      &px_segment_block(segment, peer)->links[slot],
			      atomic_load(&segment->members[slot].epoch),
			      (struct px_chunk_source){ chunk_get, chunk_put, side }));
	px_consumer_open(&side->rx, segment, side->own, peer, slot);
	atomic_store_explicit(&side->own->epoch, atomic_load(&segment->members[peer].epoch),
			      memory_order_release);
}

static void side_close(struct side *side)
{
	px_producer_close(&side->tx);
	atomic_store_explicit(&side->own->epoch, 0, memory_order_release);
}

static void put(struct side *side, uint64_t id)
{
	void *payload;

	while (px_producer_reserve(&side->tx, PAYLOAD, &payload))
		sched_yield();
	memcpy(payload, &id, sizeof(id));
	px_producer_publish(&side->tx, 1, 0, id, PAYLOAD);
}

static void get(struct side *side, uint64_t id)
{
	struct px_frame frame;
	int rc;

	while (!(rc = px_consumer_peek(&side->rx, &frame)))
		sched_yield();
	must(rc);
	if (frame.id != id) {
		fprintf(stderr, "ring: a frame is lost\n");
		exit(1);
	}
	px_consumer_advance(&side->rx);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void peer_run(struct side *side)
{
	for (uint64_t i = 0; i < ONE_WAY; i++)
		get(side, i);
	put(side, 0);
	for (uint64_t i = 1; i <= ROUND_TRIPS; i++) {
		get(side, i);
		put(side, i);
	}
}

/* A writer and a reader in turns: both sides live in this process. */
static double one_thread(struct side *a, struct side *b)
{
	double start = now_ns();

	for (uint64_t i = 0; i < ONE_THREAD; i++) {
		put(a, i);
		get(b, i);
	}
	return (now_ns() - start) / ONE_THREAD;
}

static struct px_segment *segment_make(void)
{
	struct px_segment *segment;
	struct px_member_id id;
	uint64_t units;

	must(px_segment_create(2 * CHUNKS * (uint64_t)PX_CHUNK_MAX_BYTES, false, &segment));
	must(px_segment_reserve(segment, segment->arena_offset, segment->arena_bytes));
	must(px_member_join(segment, PX_MEMBER_CLIENT, -1, &id));
	must(px_member_join(segment, PX_MEMBER_ENGINE, 0, &id));
	units = segment->arena_bytes / PX_UNIT_BYTES;
	for (uint64_t i = 0; i < units; i++)
		atomic_store(&segment->rw.units[i], (uint16_t)(i < units / 2 ? 1 : 2));
	return segment;
}

int main(void)
{
	static struct side here, there;
	struct px_segment *segment = segment_make();
	double start, one_way, round_trip;
	int status;
	pid_t child;

	side_open(&here, dup(segment->fd), 0, 1);
	side_open(&there, dup(segment->fd), 1, 0);
	printf("%-44s %10.1f ns\n", "a frame written and read, one thread",
	       one_thread(&here, &there));
	side_close(&here);
	side_close(&there);

	child = fork();
	if (child < 0)
		return 1;
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		side_open(&there, dup(segment->fd), 1, 0);
		peer_run(&there);
		_exit(0);
	}
	side_open(&here, dup(segment->fd), 0, 1);
	start = now_ns();
	for (uint64_t i = 0; i < ONE_WAY; i++)
		put(&here, i);
	get(&here, 0);
	one_way = (now_ns() - start) / ONE_WAY;
	start = now_ns();
	for (uint64_t i = 1; i <= ROUND_TRIPS; i++) {
		put(&here, i);
		get(&here, i);
	}
	round_trip = (now_ns() - start) / ROUND_TRIPS;
	if (waitpid(child, &status, 0) != child || status)
		return 1;
	printf("%-44s %10.2f million/s\n", "frames one way, two processes", 1e3 / one_way);
	printf("%-44s %10.0f ns\n", "round trip, two processes, hot", round_trip);
	return 0;
}
