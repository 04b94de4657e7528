/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_board.c - no board that a client may have written, and no claims that anybody may, make an engine
 * crash, hang, or use memory that is not the client's.
 *
 * The input is what the client's block says of its board (claims, a lane, a piece: offsets in its
 * memory), then how far the lane is posted and taken, an order, the order's word, and the entry.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "link/forked.h"
#include "link/task.h"
#include "shm/error.h"

#define SELF 0
#define PEER 1
#define ARENA_OFFSET PX_PAGE_BYTES
#define PEER_BYTES (4 * (uint64_t)PX_UNIT_BYTES)
#define TOTAL_BYTES (ARENA_OFFSET + PEER_BYTES + PX_UNIT_BYTES)

/* Where a board that is as it should be has these. */
#define CLAIMS ARENA_OFFSET
#define LANE (CLAIMS + ((sizeof(struct px_claims_shm) + PX_PAGE_BYTES - 1) & ~(uint64_t)4095))
#define PIECE (LANE + ((sizeof(struct px_lane_shm) + PX_PAGE_BYTES - 1) & ~(uint64_t)4095))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct px_member_shm members[2] = { { .epoch = 1 }, { .epoch = 1 } };
static const _Atomic uint16_t units[5] = { PEER + 1, PEER + 1, PEER + 1, PEER + 1, SELF + 1 };
static uint8_t base[TOTAL_BYTES] __attribute__((aligned(PX_PAGE_BYTES)));
static struct px_segment segment = {
	.base = base,
	.total_bytes = TOTAL_BYTES,
	.arena_offset = ARENA_OFFSET,
	.arena_bytes = TOTAL_BYTES - ARENA_OFFSET,
	.members = members,
	.units = units,
};
static struct px_endpoint endpoint = { .segment = &segment };
static struct px_link_shm own;
static struct px_doorbell_shm bell;
static struct px_link peer = {
	.endpoint = &endpoint, .peer = { .slot = PEER, .epoch = 1 }, .own = &own, .bell = &bell
};

/* The input; offsets are counted from where the memory begins that they should name. */
struct said {
	uint64_t claims, lane, piece;
	uint64_t posted, next, order, word;
	struct px_task_shm task;
};

static void check(int holds)
{
	if (!holds)
		abort();
}

static void check_loan(const struct px_loan *loan)
{
	if (!loan)
		return;
	check(loan->bytes > 0 && loan->bytes <= PEER_BYTES);
	check(loan->offset >= ARENA_OFFSET &&
	      loan->offset + loan->bytes <= ARENA_OFFSET + PEER_BYTES);
}

static void use(const struct px_task_shm *task)
{
	struct px_incoming in;
	void *copy = NULL;
	int rc;

	/* Of a parent's endpoint loans are only freed: the books that a release writes are not here. */
	endpoint.generation = px_forked_generation() + 1;
	rc = px_task_decode(&peer, task, &copy, &in);
	check(rc == 1 || (rc == PX_ECORRUPT && strstr(px_last_error(), "member 1")));
	if (rc == 1) {
		check_loan(in.body_loan);
		for (uint32_t i = 0; i < in.buffers_count; i++)
			check_loan(in.buffers[i]);
		px_incoming_free(&in);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct px_board_shm shared;
	struct px_claims_shm *claims = (struct px_claims_shm *)(base + CLAIMS);
	struct px_lane_shm *lane = (struct px_lane_shm *)(base + LANE);
	struct said said = { 0 };
	struct px_task_shm task;
	int rc;

	if (size > sizeof(said))
		return 0;
	memcpy(&said, data, size);
	atomic_store(&shared.claims, CLAIMS + said.claims);
	atomic_store(&shared.lanes[0], LANE + said.lane);
	for (size_t i = 0; i < PX_TASKS_MAX / PX_TASKS_PIECE; i++)
		atomic_store(&shared.pieces[i], PIECE + said.piece);
	atomic_store(&lane->engines[0], 1);
	atomic_store(&lane->posted, said.posted);
	atomic_store(&claims->lanes[0].next, said.next);
	for (size_t i = 0; i < PX_TASKS_MAX; i++)
		atomic_store(&lane->order[i], said.order);
	for (size_t i = 0; i < PX_TASKS_MAX; i++)
		atomic_store(&claims->words[i], said.word);
	memcpy(base + PIECE + (said.order % PX_TASKS_PIECE) * sizeof(task), &said.task,
	       sizeof(task));

	/* The map of the claims is the engine's own: here it is what everybody sees. */
	struct px_board_view view = {
		.segment = &segment, .slot = PEER, .shared = &shared, .claims = claims
	};

	(void)px_board_view_ready(&view, 0);
	rc = px_board_claim(&view, 0, (struct px_member_id){ SELF, 1 }, &task);
	check(rc == 0 || rc == 1 || (rc == PX_ECORRUPT && strstr(px_last_error(), "member 1")));
	if (rc == 1)
		use(&task);
	return 0;
}
