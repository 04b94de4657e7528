/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * task.c - packs messages for a board, and receives them from there.
 */
#include "link/task.h"

#include <stdlib.h>
#include <string.h>

#include "shm/error.h"

#define PAYLOAD_MAX (PX_FRAME_MAX_BYTES - sizeof(struct px_frame_shm))

/* Who has it live may write to it for as long as he likes, and nobody knows until when a task's does. */
static int refuse_live(const struct px_outgoing *message)
{
	for (uint32_t i = 0; i < message->buffers_count; i++)
		if (message->buffers[i].region && message->buffers[i].region->live)
			return px_fail(PX_EINVAL,
				       "an array that is shared with engines cannot be an argument "
				       "of a task: push it to the engines, and name it there");
	return 0;
}

static void name_region(const struct px_part *part, struct px_packed *packed,
			struct px_region_shm *out)
{
	*out = (struct px_region_shm){ .bytes = part->bytes, .brief = PX_BRIEF_TASK };
	if (!part->region)
		return;
	out->offset = part->region->offset + part->skip;
	/* Only whoever packs has it. */
	if (atomic_load_explicit(&part->region->holds, memory_order_relaxed) == 1)
		packed->own_bytes += part->region->bytes;
	px_region_hold(part->region);
	packed->regions[packed->regions_count++] = part->region;
}

/* The payload of a frame: a head, regions, and a body if it is not the first of these. */
static void write_payload(const struct px_outgoing *message, const struct px_part *body,
			  struct px_packed *packed)
{
	struct px_message_shm *head = (struct px_message_shm *)packed->payload;
	struct px_region_shm *regions = (struct px_region_shm *)(head + 1);
	uint32_t count = 0;

	if (body)
		name_region(body, packed, &regions[count++]);
	for (uint32_t i = 0; i < message->buffers_count; i++)
		name_region(&message->buffers[i], packed, &regions[count++]);
	*head = (struct px_message_shm){
		.regions = (uint16_t)count,
		.body_bytes = message->body_bytes,
		.started_ns = message->started_ns,
	};
	if (!body && message->body_bytes)
		memcpy(&regions[count], message->body, message->body_bytes);
}

/* Room for the payload and what it names. */
static int allocate(const struct px_outgoing *message, bool far, struct px_packed *out)
{
	uint32_t regions = message->buffers_count + far;

	out->payload_bytes =
		(uint32_t)(sizeof(struct px_message_shm) + regions * sizeof(struct px_region_shm) +
			   (far ? 0 : message->body_bytes));
	out->payload = calloc(1, out->payload_bytes);
	if (regions)
		out->regions = calloc(regions, sizeof(*out->regions));
	if (out->payload && (out->regions || !regions))
		return 0;
	px_packed_free(out);
	return px_fail(PX_ENOMEM, "no private memory for a task");
}

int px_task_pack(struct px_endpoint *endpoint, const struct px_outgoing *message,
		 struct px_packed *out)
{
	uint64_t room = PAYLOAD_MAX - sizeof(struct px_message_shm) -
			(message->buffers_count + 1) * sizeof(struct px_region_shm);
	struct px_part body = { .region = message->body_region, .bytes = message->body_bytes };
	bool far = message->body_region != NULL, made = false;
	int rc = refuse_live(message);

	if (rc < 0)
		return rc;
	if (message->buffers_count >= PX_BUFFERS_MAX)
		return px_fail(PX_EINVAL, "%u buffers in one task: at most %u can be sent",
			       message->buffers_count, (unsigned)PX_BUFFERS_MAX - 1);
	if (!far && message->body_bytes > room) {
		rc = px_endpoint_copy(endpoint, message->body, message->body_bytes, &body);
		far = made = true;
	}
	if (rc < 0)
		return rc;
	*out = (struct px_packed){
		.kind = message->kind,
		.flags = message->flags | (far ? PX_MESSAGE_BODY_REGION : 0),
	};
	rc = allocate(message, far, out);
	if (rc == 0)
		write_payload(message, far ? &body : NULL, out);
	if (made)
		px_region_release(body.region);
	return rc;
}

void px_packed_free(struct px_packed *packed)
{
	for (uint32_t i = 0; i < packed->regions_count; i++)
		px_region_release(packed->regions[i]);
	free(packed->regions);
	free(packed->payload);
	*packed = (struct px_packed){ 0 };
}

static int corrupt(const struct px_link *link)
{
	return px_fail(PX_ECORRUPT,
		       "member %u posted an invalid task: it lies outside of its memory",
		       link->peer.slot);
}

int px_task_decode(struct px_link *link, const struct px_task_shm *task, void **copy,
		   struct px_incoming *in)
{
	struct px_frame frame = {
		.kind = task->kind,
		.flags = task->flags,
		.id = task->id,
		.payload = task->inlined,
		.payload_bytes = task->payload_bytes,
	};

	*copy = NULL;
	if (task->payload_bytes > (task->payload_offset ? PAYLOAD_MAX : sizeof(task->inlined)))
		return corrupt(link);
	if (task->payload_offset) {
		const struct px_segment *segment = link->endpoint->segment;

		if (!px_segment_owned(segment, task->payload_offset, task->payload_bytes,
				      link->peer.slot))
			return corrupt(link);
		*copy = malloc(task->payload_bytes);
		if (!*copy) {
			*in = (struct px_incoming){ .kind = task->kind,
						    .id = task->id,
						    .lost = true };
			return 1;
		}
		frame.payload =
			memcpy(*copy, segment->base + task->payload_offset, task->payload_bytes);
	}
	return px_link_decode(link, &frame, in);
}

void px_task_begin(struct px_link *link)
{
	atomic_store_explicit(&link->own->progress, 0, memory_order_relaxed);
}

bool px_task_is_running(const struct px_link *link, uint64_t id, uint64_t *progress)
{
	const struct px_endpoint *endpoint = link->endpoint;
	const struct px_activity_shm *a =
		&px_segment_block(endpoint->segment, link->peer.slot)->activity;

	/* For displays: these words need not be of the same moment. */
	*progress = atomic_load_explicit(&link->leases.theirs->progress, memory_order_relaxed);
	return atomic_load_explicit(&a->request_id, memory_order_relaxed) == id &&
	       atomic_load_explicit(&a->client_epoch, memory_order_relaxed) ==
		       endpoint->self.epoch &&
	       atomic_load_explicit(&a->client_slot, memory_order_relaxed) == endpoint->self.slot;
}
