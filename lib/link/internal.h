/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * internal.h - what the files of this folder share among themselves.
 *
 * Who:     as endpoint.h: a link has one reader; what needs the endpoint's lock says so.
 * Where:   private memory, and what links say in the member's block.
 * Blocks:  never.
 * Death:   as endpoint.h.
 */
#ifndef PX_LINK_INTERNAL_H
#define PX_LINK_INTERNAL_H

#include "link/endpoint.h"

/* Sends the supervisor a packet that is not answered. */
void px_endpoint_tell(struct px_endpoint *endpoint, uint16_t type, uint64_t a, uint64_t b);
/* With the endpoint's lock: closes a finished link if no loan of its memory is held. */
bool px_link_close_finished(struct px_link *link);
/* The frame of the next message; as px_link_receive(). Rings the sender if this made room. */
int px_link_peek(struct px_link *link, struct px_frame *frame);
/* A loan for a checked descriptor; for a brief one a copy, and a lease is over. PX_ENOMEM. */
int px_loan_new(struct px_link *link, const struct px_region_shm *lent, struct px_loan **out);
/* Unmaps the maps that are kept. */
void px_maps_free(struct px_maps *maps);

#endif
