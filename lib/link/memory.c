/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.c - regions of our own: for the caller's code to work in, and to send.
 */
#include <stdlib.h>

#include "link/forked.h"
#include "link/internal.h"
#include "shm/copy.h"
#include "shm/error.h"

static void show(struct px_endpoint *endpoint, struct px_region *region)
{
	atomic_store_explicit(&region->shown, true, memory_order_relaxed);
	atomic_fetch_add_explicit(&endpoint->shown, 1, memory_order_relaxed);
	px_endpoint_hold(endpoint);
}

int px_endpoint_show(struct px_endpoint *endpoint, uint64_t bytes, struct px_region **out)
{
	int rc = px_region_new(endpoint->arena, bytes, out);

	if (rc == 0)
		show(endpoint, *out);
	return rc;
}

int px_endpoint_show_spare(struct px_endpoint *endpoint, uint64_t bytes, struct px_region **out)
{
	int rc = px_region_try(endpoint->arena, bytes, out);

	if (rc == 0)
		show(endpoint, *out);
	return rc;
}

void px_endpoint_hide(struct px_endpoint *endpoint, struct px_region *region)
{
	/* A forked child may use the memory, but the arena's books are its parent's. */
	if (endpoint->generation != px_forked_generation())
		return;
	atomic_store_explicit(&region->shown, false, memory_order_relaxed);
	px_region_release(region);
	atomic_fetch_sub_explicit(&endpoint->shown, 1, memory_order_relaxed);
	px_endpoint_release(endpoint);
}

int px_endpoint_copy(struct px_endpoint *endpoint, const void *data, uint64_t bytes,
		     struct px_part *out)
{
	int rc;

	*out = (struct px_part){ .bytes = bytes };
	if (!bytes)
		return 0;
	rc = px_region_new(endpoint->arena, bytes, &out->region);
	if (rc == 0)
		px_copy(out->region->at, data, bytes);
	return rc;
}

int px_endpoint_pack(struct px_endpoint *endpoint, const void *data, uint64_t bytes,
		     struct px_part *out)
{
	/* Relaxed: what is to be found was shown by this thread, or to it. */
	if (bytes && atomic_load_explicit(&endpoint->shown, memory_order_relaxed)) {
		out->bytes = bytes;
		out->region = px_region_find(endpoint->arena, data, bytes, &out->skip);
		if (out->region && px_region_lendable(out->region))
			return 0;
		if (out->region)
			px_region_release(out->region);
	}
	return px_endpoint_copy(endpoint, data, bytes, out);
}

uint64_t px_endpoint_trim(struct px_endpoint *endpoint)
{
	px_endpoint_collect_all(endpoint);
	return px_arena_trim(endpoint->arena, 0);
}

bool px_endpoint_wanted(const struct px_endpoint *endpoint)
{
	/* Relaxed: px_endpoint_heed() looks again. */
	return atomic_load_explicit(&endpoint->segment->header->wanted_seq, memory_order_relaxed) !=
	       endpoint->heeded_seq;
}

void px_endpoint_heed(struct px_endpoint *endpoint)
{
	/* SYNC memory.wanted: acquire; partner: ask_back(). */
	uint64_t seq =
		atomic_load_explicit(&endpoint->segment->header->wanted_seq, memory_order_acquire);

	if (seq == endpoint->heeded_seq)
		return;
	endpoint->heeded_seq = seq;
	px_endpoint_collect_all(endpoint);
	/* Who was refused may be another thread of this process, and asks again: it has trimmed before. */
	px_arena_trim_if_idle(endpoint->arena);
}

void px_parts_free(struct px_part *parts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (parts[i].region)
			px_region_release(parts[i].region);
	free(parts);
}

static int compare(const void *a, const void *b)
{
	const struct px_region *const *one = a, *const *other = b;

	return (*one > *other) - (*one < *other);
}

/* With the lock: the regions that peers hold, each as often as it is held. Returns their number. */
static size_t lent_regions(const struct px_endpoint *endpoint, const struct px_region **out)
{
	size_t count = 0;

	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (endpoint->links[slot])
			count += px_leases_regions(&endpoint->links[slot]->leases,
						   out ? out + count : NULL);
	return count;
}

int px_endpoint_lent(struct px_endpoint *endpoint, uint64_t *bytes)
{
	const struct px_region **regions;
	size_t count;

	*bytes = 0;
	pthread_mutex_lock(&endpoint->lock);
	regions = malloc((lent_regions(endpoint, NULL) + 1) * sizeof(*regions));
	count = regions ? lent_regions(endpoint, regions) : 0;
	if (count)
		qsort(regions, count, sizeof(*regions), compare);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || regions[i] != regions[i - 1])
			*bytes += regions[i]->bytes;
	pthread_mutex_unlock(&endpoint->lock);
	if (!regions)
		return px_fail(PX_ENOMEM, "no private memory to count what is lent");
	free(regions);
	return 0;
}
