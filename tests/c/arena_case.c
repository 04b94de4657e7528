/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/c/arena_case.h"

#include <string.h>

#include "shm/error.h"

struct arena_world arena_world;

static int source_get(void *ctx, uint64_t bytes, bool earnest, uint64_t *offset, uint64_t *got)
{
	uint64_t units = bytes / PX_UNIT_BYTES, first, run = 0;

	(void)ctx;
	assert_int_equal(bytes % PX_UNIT_BYTES, 0);
	assert_true(units > 0);
	arena_world.earnest[arena_world.asks % GETS_MAX] = earnest;
	arena_world.asked[arena_world.asks++ % GETS_MAX] = bytes;
	if (arena_world.taken_units + units > arena_world.taken_max)
		return px_fail(PX_ENOMEM, "no: %llu units are out",
			       (unsigned long long)arena_world.taken_units);
	for (first = 0; first < UNITS && run < units; first++)
		run = arena_world.taken[first] ? 0 : run + 1;
	if (run < units)
		return px_fail(PX_ENOMEM, "no: all is in pieces");
	first -= units;
	memset(&arena_world.taken[first], true, units);
	arena_world.taken_units += units;
	*offset = arena_world.segment->arena_offset + first * PX_UNIT_BYTES + arena_world.shift;
	*got = bytes;
	return 0;
}

static void source_put(void *ctx, uint64_t offset, uint64_t bytes)
{
	uint64_t first = (offset - arena_world.segment->arena_offset) / PX_UNIT_BYTES;

	(void)ctx;
	for (uint64_t i = first; i < first + bytes / PX_UNIT_BYTES; i++) {
		assert_true(arena_world.taken[i]);
		arena_world.taken[i] = false;
		arena_world.taken_units--;
	}
}

static int madvise_scripted(void *at, size_t bytes, int advice)
{
	int nth = atomic_fetch_add(&arena_world.advices, 1) + 1;

	return nth == arena_world.fail_at ? arena_world.fail_how :
					    arena_world.os.madvise(at, bytes, advice);
}

static void source_reclaim(void *ctx)
{
	(void)ctx;
	if (arena_world.let_go)
		px_region_release(arena_world.let_go);
	arena_world.let_go = NULL;
}

static int set_up(struct px_extent_source source)
{
	memset(&arena_world, 0, sizeof(arena_world));
	arena_world.taken_max = UNITS;
	arena_world.os = px_os;
	if (px_segment_create(ARENA_BYTES, true, &arena_world.segment) ||
	    px_arena_new(arena_world.segment, source, &arena_world.usage, &arena_world.arena))
		return -1;
	px_os.madvise = madvise_scripted;
	return 0;
}

int arena_setup(void **state)
{
	(void)state;
	return set_up((struct px_extent_source){ .get = source_get, .put = source_put });
}

int arena_setup_reclaiming(void **state)
{
	(void)state;
	return set_up((struct px_extent_source){
		.get = source_get, .put = source_put, .reclaim = source_reclaim });
}

int arena_teardown(void **state)
{
	struct px_arena_usage usage;
	uint64_t given = arena_world.taken_units * PX_UNIT_BYTES;
	int rc = 0;

	(void)state;
	arena_world.fail_at = 0;
	px_arena_usage(arena_world.arena, &usage);
	if (usage.regions || usage.used_bytes || usage.extent_bytes != given)
		rc = -1;
	if (px_arena_trim(arena_world.arena, 0) != given || arena_world.taken_units)
		rc = -1;
	px_arena_free(arena_world.arena);
	px_segment_detach(arena_world.segment);
	px_os = arena_world.os;
	return rc;
}

struct px_region *region(uint64_t bytes)
{
	struct px_region *r = NULL;

	assert_int_equal(px_region_new(arena_world.arena, bytes, &r), 0);
	assert_int_equal(r->bytes, bytes);
	return r;
}

struct px_arena_usage usage(void)
{
	struct px_arena_usage u;

	px_arena_usage(arena_world.arena, &u);
	return u;
}
