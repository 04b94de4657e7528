/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loan.c - memory of peers that was lent to us with a message, and private views of it.
 */
#include <stdlib.h>

#include "link/forked.h"
#include "link/internal.h"
#include "pool/control.h"
#include "shm/copy.h"
#include "shm/error.h"
#include "shm/killpoint.h"

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
static int view_map(struct px_endpoint *endpoint, uint64_t offset, uint64_t bytes, void **out)
{
	struct px_map *kept;

	pthread_mutex_lock(&endpoint->lock);
	kept = find_map(&endpoint->maps, offset, bytes);
	*out = kept ? kept->at : NULL;
	if (kept)
		kept->at = NULL;
	pthread_mutex_unlock(&endpoint->lock);
	return *out ? 0 : px_segment_map_private(endpoint->segment, offset, bytes, out);
}

/* Drops what was written, and keeps the map in place of the oldest that is kept. */
static void view_unmap(struct px_endpoint *endpoint, uint64_t offset, uint64_t bytes, void *at)
{
	struct px_maps *maps = &endpoint->maps;
	struct px_map oldest = { 0 };

	if (endpoint->generation != px_forked_generation() ||
	    px_segment_clean_private(at, bytes) < 0) {
		px_segment_unmap(at, bytes);
		return;
	}
	pthread_mutex_lock(&endpoint->lock);
	oldest = maps->kept[maps->next];
	maps->kept[maps->next] = (struct px_map){ offset, bytes, at };
	maps->next = (maps->next + 1) % PX_MAPS_KEPT;
	pthread_mutex_unlock(&endpoint->lock);
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

int px_loan_new(struct px_link *link, const struct px_region_shm *lent, struct px_loan **out)
{
	const uint8_t *shared = link->endpoint->segment->base + lent->offset;
	struct px_loan *loan = calloc(1, sizeof(*loan));

	if (loan && lent->brief)
		loan->copy = malloc(lent->bytes);
	if (!loan || (lent->brief && !loan->copy)) {
		free(loan);
		return PX_ENOMEM;
	}
	loan->offset = lent->offset;
	loan->bytes = lent->bytes;
	loan->shared = shared;
	*out = loan;
	if (lent->brief) {
		px_copy(loan->copy, shared, lent->bytes);
		loan->shared = loan->copy;
		if (lent->brief != PX_BRIEF_TASK)
			(void)px_lease_release(link->own, lent->lease, lent->generation,
					       link->bell);
		return 0;
	}
	loan->link = link;
	loan->lease = lent->lease;
	loan->generation = lent->generation;
	loan->live = lent->live;
	atomic_fetch_add_explicit(&link->held, 1, memory_order_relaxed);
	px_endpoint_hold(link->endpoint);
	return 0;
}

int px_loan_map(struct px_loan *loan, void **out)
{
	if (loan->copy) {
		*out = loan->copy;
		return 0;
	}
	if (!loan->mapped) {
		uint64_t skip = loan->offset % PX_PAGE_BYTES;
		uint64_t bytes =
			(skip + loan->bytes + PX_PAGE_BYTES - 1) & ~(uint64_t)(PX_PAGE_BYTES - 1);
		struct px_endpoint *endpoint = loan->link->endpoint;
		int rc = loan->live ? px_segment_map_arrays(endpoint->segment, loan->offset - skip,
							    bytes, &loan->mapped) :
				      view_map(endpoint, loan->offset - skip, bytes, &loan->mapped);

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
		view_unmap(loan->link->endpoint, loan->offset - loan->mapped_skip,
			   loan->mapped_bytes, loan->mapped);
}

void px_loan_release(struct px_loan *loan)
{
	struct px_link *link;
	struct px_endpoint *endpoint;
	bool tell = false;

	if (!loan)
		return;
	if (loan->copy) {
		free(loan->copy);
		free(loan);
		return;
	}
	link = loan->link;
	endpoint = link->endpoint;
	unmap(loan);
	if (endpoint->generation == px_forked_generation()) {
		(void)px_lease_release(link->own, loan->lease, loan->generation, link->bell);
		PX_KILLPOINT("endpoint.loan.released"); /* dead here: the lease is over anyway */
		pthread_mutex_lock(&endpoint->lock);
		if (atomic_fetch_sub_explicit(&link->held, 1, memory_order_relaxed) == 1)
			tell = px_link_close_finished(link) && !endpoint->closed;
		pthread_mutex_unlock(&endpoint->lock);
		if (tell)
			px_endpoint_tell(endpoint, PX_CONTROL_SWEEP, 0, 0);
		px_endpoint_release(endpoint);
	}
	free(loan);
}

void px_incoming_free(struct px_incoming *in)
{
	px_loan_release(in->body_loan);
	for (uint32_t i = 0; in->buffers && i < in->buffers_count; i++)
		px_loan_release(in->buffers[i]);
	free(in->buffers);
	in->body_loan = NULL;
	in->buffers = NULL;
	in->buffers_count = 0;
}
