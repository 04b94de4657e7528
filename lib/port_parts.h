/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port_parts.h - what the files of the port share among themselves.
 *
 *   port.c          the port, its links    port_message.c  messages
 *   port_memory.c   regions, loans         port_order.c    out of turn
 */
#ifndef PX_PORT_PARTS_H
#define PX_PORT_PARTS_H

#include "port.h"

/* A note that nobody answers. */
void px_port_tell(struct px_port *port, uint16_t type, uint64_t a, uint64_t b);
/*
 * Of a port that was closed while loans or shown regions were out: the last of them frees it. The
 * pages of the mapping stay valid until then.
 */
void px_port_free(struct px_port *port);
/* With the port's lock: whether loans or shown regions are out. */
bool px_port_holds(const struct px_port *port);
/* With the port's lock: closes a finished link of which nothing is held. */
bool px_link_settle(struct px_link *link);
/* Unmaps what is kept. */
void px_maps_free(struct px_maps *maps);

#endif
