/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map.c - calls a function for each of many items, in chunks.
 */
#include <stdlib.h>
#include <sys/types.h>

#include "client/how.h"
#include "client/internal.h"
#include "client/parts.h"
#include "client/values.h"
#include "client/view.h"
#include "shm/error.h"

/* Chunks for each engine of a load-balanced view: enough that none waits long for the last. */
#define CHUNKS_PER_ENGINE 8

struct map {
	const char *function;
	const struct px_value *items;
	uint64_t count, chunk; /* chunk 0: dealt evenly */
	uint32_t chunks;
	struct px_encoder encoder; /* of the chunk that is sent */
};

static struct px_part_range range_of(uint64_t count, uint64_t chunk, uint32_t chunks,
				     uint32_t index)
{
	uint64_t start = index * chunk;

	if (!chunk)
		return px_part_range(PX_BLOCK, (int64_t)count, chunks, index);
	return (struct px_part_range){ (int64_t)start, 1,
				       (int64_t)(count - start < chunk ? count - start : chunk) };
}

static int make_chunk(void *ctx, struct px_result *result, uint32_t index, struct px_outgoing *out)
{
	struct map *map = ctx;
	struct px_endpoint *endpoint = map->encoder.endpoint;
	struct px_part_range range = range_of(map->count, map->chunk, map->chunks, index);
	struct px_value name = px_string(map->function), first = px_int(range.start);
	struct px_value items = px_list(&map->items[range.start], (uint64_t)range.count);
	int rc;

	/* Before it is sent: another thread may have the result soon after. */
	result->items = map->count;
	result->chunk = map->chunk;
	px_encoder_free(&map->encoder);
	map->encoder = (struct px_encoder)PX_ENCODER(endpoint);
	rc = px_encode(&map->encoder, &name);
	if (rc == 0)
		rc = px_encode(&map->encoder, &first);
	if (rc == 0)
		rc = px_encode(&map->encoder, &items);
	px_encoder_message(&map->encoder, PX_REQUEST_MAP, out);
	return rc;
}

static int count_chunks(struct map *map, uint64_t wanted)
{
	uint64_t chunks = map->chunk          ? (map->count - 1) / map->chunk + 1 :
			  wanted < map->count ? wanted :
						map->count;

	if (chunks > UINT32_MAX)
		return px_fail(PX_EINVAL, "a map of %llu chunks: let them be larger",
			       (unsigned long long)chunks);
	map->chunks = (uint32_t)chunks;
	return 0;
}

/* Chunks are dealt to the engines in turn. */
static int map_direct(struct px_view *view, struct map *map, const struct px_how *how,
		      struct px_result **result)
{
	uint32_t ids[PX_ENGINES_MAX], *engines = ids;
	int n = px_view_targets(view, ids);
	int rc = n < 0 ? n : count_chunks(map, (uint64_t)n);

	if (rc < 0)
		return rc;
	if (map->chunks > (uint32_t)n) {
		engines = malloc(map->chunks * sizeof(*engines));
		if (!engines)
			return px_fail(PX_ENOMEM, "no private memory for %u chunks", map->chunks);
		for (uint32_t i = 0; i < map->chunks; i++)
			engines[i] = ids[i % (uint32_t)n];
	}
	rc = px_client_submit_each(px_view_client(view), engines, map->chunks, make_chunk, map, how,
				   result);
	if (engines != ids)
		free(engines);
	return rc;
}

static int map_any(struct px_view *view, struct map *map, const struct px_how *how,
		   struct px_result **result)
{
	struct px_engine_set set;
	uint32_t ids[PX_ENGINES_MAX];
	int some = px_view_set(view, &set);
	int n = some < 0 ? some : px_view_targets(view, ids);
	int rc = n < 0 ? n : count_chunks(map, CHUNKS_PER_ENGINE * (uint64_t)n);

	return rc < 0 ? rc :
			px_client_post(px_view_client(view), some ? &set : NULL, map->chunks,
				       make_chunk, map, how, result);
}

/* The client was entered. */
static int send(struct px_view *view, struct map *map, const struct px_how *how,
		struct px_result **result)
{
	struct px_how known;
	int rc = px_how_read(how, &known);

	if (rc < 0)
		return rc;
	map->encoder = (struct px_encoder)PX_ENCODER(px_view_client(view)->endpoint);
	rc = px_view_is_any(view) ? map_any(view, map, &known, result) :
				    map_direct(view, map, &known, result);
	px_encoder_free(&map->encoder);
	return rc;
}

int px_view_map(struct px_view *view, const char *function, size_t count,
		const struct px_value *items, size_t chunk, const struct px_how *how,
		struct px_result **result)
{
	struct map map = { .function = function, .items = items, .count = count, .chunk = chunk };
	int rc = px_view_begin(view);

	if (rc < 0)
		return rc;
	rc = px_need(function, "function");
	if (rc == 0 && count)
		rc = px_need(items, "items");
	if (rc == 0 && !count)
		rc = px_fail(PX_EINVAL, "a map of no items");
	if (rc == 0)
		rc = send(view, &map, how, result);
	px_client_leave(px_view_client(view));
	return rc;
}

/* The chunk that has an item, and what it has. */
static uint32_t chunk_of(const struct px_result *result, uint64_t item, struct px_part_range *range)
{
	uint64_t each = result->items / result->count, more = result->items % result->count;
	uint64_t larger = more * (each + 1); /* items of the chunks that have one more */
	uint64_t index = result->chunk ? item / result->chunk :
			 item < larger ? item / (each + 1) :
					 more + (item - larger) / each;

	*range = range_of(result->items, result->chunk, result->count, (uint32_t)index);
	return (uint32_t)index;
}

/* Of an item whose chunk has: another item may be what it has failed with. */
static int failed(int rc, struct px_part_range chunk)
{
	if (rc != PX_EREMOTE || chunk.count == 1)
		return rc;
	return px_fail(rc, "one of the items %lld to %lld, a chunk: %s", (long long)chunk.start,
		       (long long)(chunk.start + chunk.count - 1), px_last_error());
}

static int check_item(const struct px_result *result, size_t index, const void *to,
		      const char *name)
{
	int rc = px_handle_check(result, PX_HANDLE_RESULT, "result");

	if (rc == 0)
		rc = px_need(to, name);
	if (rc < 0)
		return rc;
	if (!result->items)
		return px_fail(PX_EINVAL, "the result is none of px_view_map()");
	if (index >= result->items)
		return px_fail(PX_EINVAL, "item %zd, counted from 0, of a map of %llu",
			       (ssize_t)index, (unsigned long long)result->items);
	return 0;
}

int px_result_item_entry(struct px_result *result, size_t index, size_t *entry)
{
	struct px_part_range range;
	int rc = check_item(result, index, entry, "entry");

	if (rc == 0)
		*entry = chunk_of(result, index, &range);
	return rc;
}

int px_result_item(struct px_result *result, size_t index, struct px_value *value)
{
	struct px_value chunk;
	struct px_part_range range;
	int rc = check_item(result, index, value, "value");

	if (rc < 0)
		return rc;
	rc = px_result_value(result, chunk_of(result, index, &range), &chunk);
	if (rc < 0)
		return failed(rc, range);
	index -= (size_t)range.start;
	if (chunk.type != PX_LIST || index >= chunk.as.list.count)
		return px_fail(PX_ECORRUPT, "an engine's reply has not one value for each item");
	*value = chunk.as.list.items[index];
	return 0;
}
