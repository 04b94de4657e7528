/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_message.c - no frame that a peer may have written makes its reader crash, or use memory
 * that is not the peer's.
 *
 * The input is the frame's flags (two bytes), then its payload: a head, descriptors of regions, a body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link/endpoint.h"
#include "link/forked.h"
#include "shm/error.h"

#define SELF 0
#define PEER 1
#define ARENA_OFFSET PX_PAGE_BYTES
#define TOTAL_BYTES (ARENA_OFFSET + 2 * (uint64_t)PX_UNIT_BYTES)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct px_member_shm members[2] = { { .epoch = 1 }, { .epoch = 1 } };
static const _Atomic uint16_t units[2] = { PEER + 1, SELF + 1 };
static uint8_t base[TOTAL_BYTES] __attribute__((aligned(PX_PAGE_BYTES)));
static struct px_segment segment = {
	.base = base,
	.total_bytes = TOTAL_BYTES,
	.arena_offset = ARENA_OFFSET,
	.arena_bytes = 2 * (uint64_t)PX_UNIT_BYTES,
	.members = members,
	.units = units,
};
static struct px_endpoint endpoint = { .segment = &segment };
static struct px_link_shm own;
static struct px_doorbell_shm bell;
static struct px_link peer = {
	.endpoint = &endpoint, .peer = { .slot = PEER, .epoch = 1 }, .own = &own, .bell = &bell
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
	check(loan->bytes > 0 && loan->bytes <= PX_UNIT_BYTES);
	check(loan->offset >= ARENA_OFFSET &&
	      loan->offset + loan->bytes <= ARENA_OFFSET + PX_UNIT_BYTES);
	check(loan->shared == (loan->copy ? loan->copy : base + loan->offset));
	check(!loan->copy || memcmp(loan->copy, base + loan->offset, loan->bytes) == 0);
}

static void check_body(const struct px_incoming *in, const struct px_frame *frame)
{
	const uint8_t *body = in->body, *payload = frame->payload;

	if (in->body_loan)
		check(body == in->body_loan->shared && in->body_bytes <= in->body_loan->bytes);
	else
		check(body >= payload && body + in->body_bytes <= payload + frame->payload_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t payload[PX_FRAME_MAX_BYTES] __attribute__((aligned(PX_LINE_BYTES)));
	struct px_frame frame = { .kind = PX_REPLY, .id = 1, .payload = payload };
	struct px_incoming in;
	int rc;

	if (size < 2 || size - 2 > sizeof(payload))
		return 0;
	/* Of a parent's endpoint loans are only freed: the books that a release writes are not here. */
	endpoint.generation = px_forked_generation() + 1;
	memcpy(&frame.flags, data, 2);
	frame.payload_bytes = (uint32_t)(size - 2);
	memcpy(payload, data + 2, size - 2);
	rc = px_link_decode(&peer, &frame, &in);
	check(rc == 1 || (rc == PX_ECORRUPT && strstr(px_last_error(), "member 1")));
	if (rc != 1)
		return 0;
	check_loan(in.body_loan);
	for (uint32_t i = 0; i < in.buffers_count; i++)
		check_loan(in.buffers[i]);
	check_body(&in, &frame);
	px_incoming_free(&in);
	return 0;
}
