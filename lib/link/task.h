/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * task.h - messages that whoever claims them receives: as a client's board holds them.
 *
 * Who:     the client packs; the engine that has claimed the task decodes.
 * Where:   private memory; what the message names lies in regions of the client's.
 * Blocks:  px_task_pack(), on the supervisor while it grants an extent.
 * Death:   as board.h.
 *
 * Nobody knows who will receive it, so nothing is lent: the receiver copies the message's body and
 * buffers, and the client keeps their regions until the task is done.
 */
#ifndef PX_TASK_H
#define PX_TASK_H

#include "link/endpoint.h"
#include "shm/board.h"

struct px_packed {
	uint16_t kind, flags;
	uint32_t payload_bytes;
	uint8_t *payload;           /* from malloc */
	struct px_region **regions; /* held; from malloc, or NULL */
	uint32_t regions_count;
	uint64_t own_bytes; /* of those regions that nothing else holds */
};

/*
 * Packs kind, flags, body and buffers, which are the message's own regions. PX_ENOMEM; PX_EINVAL:
 * too many buffers.
 */
int px_task_pack(struct px_endpoint *endpoint, const struct px_outgoing *message,
		 struct px_packed *out);
/* Lets go of the regions. */
void px_packed_free(struct px_packed *packed);
/*
 * Makes a message of a task that was claimed on the board of the link's peer: as px_link_decode().
 * *copy: what the message lies in, free(3) after px_incoming_free(); NULL: the task itself.
 */
int px_task_decode(struct px_link *link, const struct px_task_shm *task, void **copy,
		   struct px_incoming *in);
/* The receiver, as it begins to work on it: its progress is none. */
void px_task_begin(struct px_link *link);
/* The sender: whether the peer works on that task, and its progress. */
bool px_task_is_running(const struct px_link *link, uint64_t id, uint64_t *progress);

#endif
