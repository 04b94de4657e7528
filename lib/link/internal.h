/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * internal.h - what the files of this folder share among themselves.
 */
#ifndef PX_LINK_INTERNAL_H
#define PX_LINK_INTERNAL_H

#include "link/endpoint.h"

/* Sends the supervisor a packet that is not answered. */
void px_endpoint_tell(struct px_endpoint *endpoint, uint16_t type, uint64_t a, uint64_t b);
/* With the endpoint's lock: closes a finished link if no loan of its memory is held. */
bool px_link_settle(struct px_link *link);
/* Unmaps the maps that are kept. */
void px_maps_free(struct px_maps *maps);

#endif
