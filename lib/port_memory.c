/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port_memory.c - regions of our own to show and to send, and loans of others'.
 */
#include <stdlib.h>

#include "control.h"
#include "copy.h"
#include "error.h"
#include "forked.h"
#include "killpoint.h"
#include "port_parts.h"

/* --- memory of our own --- */

int px_port_show(struct px_port *port, uint64_t bytes, struct px_region **out)
{
	int rc = px_region_new(port->arena, bytes, out);

	if (rc < 0)
		return rc;
	atomic_store_explicit(&(*out)->shown, true, memory_order_relaxed);
	pthread_mutex_lock(&port->lock);
	port->shown++;
	pthread_mutex_unlock(&port->lock);
	return 0;
}

void px_port_hide(struct px_port *port, struct px_region *region)
{
	bool last;

	/* A forked child has the memory for reading; the books are its parent's. */
	if (port->generation != px_forked_generation())
		return;
	atomic_store_explicit(&region->shown, false, memory_order_relaxed);
	px_region_release(region);
	pthread_mutex_lock(&port->lock);
	port->shown--;
	last = port->closed && !px_port_holds(port);
	pthread_mutex_unlock(&port->lock);
	if (last)
		px_port_free(port);
}

int px_port_copy(struct px_port *port, const void *data, uint64_t bytes, struct px_part *out)
{
	int rc;

	*out = (struct px_part){ .bytes = bytes };
	if (!bytes)
		return 0;
	rc = px_region_new(port->arena, bytes, &out->region);
	if (rc == 0)
		px_copy(out->region->at, data, bytes);
	return rc;
}

int px_port_pack(struct px_port *port, const void *data, uint64_t bytes, struct px_part *out)
{
	if (port->shown && bytes) {
		out->bytes = bytes;
		out->region = px_region_find(port->arena, data, bytes, &out->skip);
		if (out->region && px_region_lendable(out->region))
			return 0;
		if (out->region)
			px_region_release(out->region);
	}
	return px_port_copy(port, data, bytes, out);
}

void px_parts_free(struct px_part *parts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (parts[i].region)
			px_region_release(parts[i].region);
	free(parts);
}

/* --- private views of others' memory --- */

static struct px_map *find_map(struct px_maps *maps, uint64_t offset, uint64_t bytes)
{
	for (unsigned i = 0; i < PX_MAPS_KEPT; i++)
		if (maps->kept[i].at && maps->kept[i].offset == offset &&
		    maps->kept[i].bytes == bytes)
			return &maps->kept[i];
	return NULL;
}

/* A private map of whole pages: one that was used before, if there is one. */
static int view_map(struct px_port *port, uint64_t offset, uint64_t bytes, void **out)
{
	struct px_map *kept;

	pthread_mutex_lock(&port->lock);
	kept = find_map(&port->maps, offset, bytes);
	*out = kept ? kept->at : NULL;
	if (kept)
		kept->at = NULL;
	pthread_mutex_unlock(&port->lock);
	return *out ? 0 : px_segment_map_private(port->segment, offset, bytes, out);
}

/* Drops what was written, and keeps the map in place of the oldest that is kept. */
static void view_unmap(struct px_port *port, uint64_t offset, uint64_t bytes, void *at)
{
	struct px_maps *maps = &port->maps;
	struct px_map oldest = { 0 };

	if (port->generation != px_forked_generation() || px_segment_clean_private(at, bytes) < 0) {
		px_segment_unmap(at, bytes);
		return;
	}
	pthread_mutex_lock(&port->lock);
	oldest = maps->kept[maps->next];
	maps->kept[maps->next] = (struct px_map){ offset, bytes, at };
	maps->next = (maps->next + 1) % PX_MAPS_KEPT;
	pthread_mutex_unlock(&port->lock);
	if (oldest.at)
		px_segment_unmap(oldest.at, oldest.bytes);
}

void px_maps_free(struct px_maps *maps)
{
	for (unsigned i = 0; i < PX_MAPS_KEPT; i++)
		if (maps->kept[i].at)
			px_segment_unmap(maps->kept[i].at, maps->kept[i].bytes);
}

/* --- loans --- */

int px_loan_map(struct px_loan *loan, void **out)
{
	if (!loan->mapped) {
		uint64_t skip = loan->offset % PX_PAGE_BYTES;
		uint64_t bytes =
			(skip + loan->bytes + PX_PAGE_BYTES - 1) & ~(uint64_t)(PX_PAGE_BYTES - 1);
		struct px_port *port = loan->link->port;
		int rc = loan->live ? px_segment_map_arrays(port->segment, loan->offset - skip,
							    bytes, &loan->mapped) :
				      view_map(port, loan->offset - skip, bytes, &loan->mapped);

		if (rc < 0)
			return rc;
		loan->mapped_bytes = bytes;
		loan->mapped_skip = skip;
	}
	*out = (uint8_t *)loan->mapped + loan->mapped_skip;
	return 0;
}

static void unmap(struct px_loan *loan)
{
	if (!loan->mapped)
		return;
	if (loan->live)
		px_segment_unmap(loan->mapped, loan->mapped_bytes);
	else
		view_unmap(loan->link->port, loan->offset - loan->mapped_skip, loan->mapped_bytes,
			   loan->mapped);
}

void px_loan_hold(struct px_loan *loan)
{
	atomic_fetch_add_explicit(&loan->holds, 1, memory_order_relaxed);
}

void px_loan_release(struct px_loan *loan)
{
	struct px_link *link;
	struct px_port *port;
	bool closed = false, last = false;

	if (!loan || atomic_fetch_sub_explicit(&loan->holds, 1, memory_order_acq_rel) != 1)
		return;
	link = loan->link;
	port = link->port;
	unmap(loan);
	if (port->generation == px_forked_generation()) {
		(void)px_lease_release(link->own, loan->lease, loan->generation, link->bell);
		PX_KILLPOINT("port.loan.released"); /* dead here: the lease is over either way */
		pthread_mutex_lock(&port->lock);
		if (atomic_fetch_sub_explicit(&link->held, 1, memory_order_acq_rel) == 1) {
			closed = px_link_settle(link);
			last = port->closed && !px_port_holds(port);
		}
		pthread_mutex_unlock(&port->lock);
		if (closed && !port->closed)
			px_port_tell(port, PX_CONTROL_SWEEP, 0, 0);
		if (last)
			px_port_free(port);
	}
	free(loan);
}

void px_incoming_free(struct px_incoming *in)
{
	px_loan_release(in->body_loan);
	for (uint32_t i = 0; i < in->buffers_count; i++)
		px_loan_release(in->buffers[i]);
	free(in->buffers);
	in->body_loan = NULL;
	in->buffers = NULL;
	in->buffers_count = 0;
}
