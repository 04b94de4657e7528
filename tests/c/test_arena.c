/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_arena.c - regions: their places, their reuse, threads, and how they are found by address.
 */
#include "tests/c/arena_case.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/error.h"

static uint64_t padded(uint64_t bytes)
{
	uint64_t align = bytes >= LARGE_BYTES ? PX_PAGE_BYTES : PX_LINE_BYTES;

	return (bytes + align - 1) / align * align;
}
static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* --- what a region is */

static void new_each_size_is_aligned_and_padded(void **state)
{
	static const int around[] = { -1, 0, 1 };

	(void)state;
	for (unsigned bit = 1; UINT64_C(8) << bit <= ARENA_BYTES; bit++)
		for (unsigned i = 0; i < 3; i++) {
			uint64_t bytes = (UINT64_C(1) << bit) + (uint64_t)around[i];
			uint64_t align = bytes >= LARGE_BYTES ? PX_PAGE_BYTES : PX_LINE_BYTES;
			struct px_region *odd = region(1), *r = region(bytes);

			assert_int_equal(r->offset % align, 0);
			assert_int_equal((uintptr_t)r->at % align, 0);
			assert_int_equal(usage().used_bytes, PX_LINE_BYTES + padded(bytes));
			px_region_release(r);
			px_region_release(odd);
			px_arena_trim(arena_world.arena, 0);
		}
}

static void new_region_is_seen_by_readers_at_its_offset(void **state)
{
	struct px_region *r = region(100000);

	(void)state;
	memset(r->at, 0x5a, r->bytes);
	assert_memory_equal(arena_world.segment->base + r->offset, r->at, r->bytes);
	px_region_release(r);
}

static void new_no_bytes_is_refused(void **state)
{
	struct px_region *r;

	(void)state;
	assert_int_equal(px_region_new(arena_world.arena, 0, &r), PX_EINVAL);
	assert_int_equal(arena_world.asks, 0);
}

static void new_larger_than_arena_says_no_memory(void **state)
{
	struct px_region *r;

	(void)state;
	assert_int_equal(px_region_new(arena_world.arena, ARENA_BYTES + 1, &r), PX_ENOMEM);
	assert_int_equal(px_region_new(arena_world.arena, UINT64_MAX, &r), PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), "arena:"));
	assert_int_equal(arena_world.asks, 0);
}

static void release_last_hold_gives_memory_back(void **state)
{
	struct px_region *r = region(5000);

	(void)state;
	px_region_hold(r);
	px_region_hold(r);
	px_region_release(r);
	px_region_release(r);
	assert_int_equal(usage().regions, 1);
	px_region_release(r);
	assert_int_equal(usage().regions, 0);
	assert_int_equal(usage().used_bytes, 0);
}

/* --- reuse */

static void new_after_release_is_the_warmest(void **state)
{
	struct px_region *used[4], *walls[4];
	uint64_t offsets[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		used[i] = region(1000);
		walls[i] = region(64);
		offsets[i] = used[i]->offset;
	}
	px_region_release(used[2]);
	px_region_release(used[0]);
	px_region_release(used[3]);
	px_region_release(used[1]);
	used[0] = region(1000);
	used[1] = region(1000);
	used[2] = region(1000);
	used[3] = region(1000);
	assert_int_equal(used[0]->offset, offsets[1]);
	assert_int_equal(used[1]->offset, offsets[3]);
	assert_int_equal(used[2]->offset, offsets[0]);
	assert_int_equal(used[3]->offset, offsets[2]);
	for (unsigned i = 0; i < 4; i++) {
		px_region_release(used[i]);
		px_region_release(walls[i]);
	}
}

static void new_and_release_in_turn_uses_one_place(void **state)
{
	struct px_region *r = region(300000);
	uint64_t offset = r->offset;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		px_region_release(r);
		r = region(300000);
		assert_int_equal(r->offset, offset);
	}
	px_region_release(r);
	assert_int_equal(arena_world.asks, 1);
}

/* A bin holds blocks that differ by up to a quarter: the one that fits may come last. */
static void new_finds_the_one_block_that_fits(void **state)
{
	struct px_region *fits, *regions[40], *walls[41];
	struct px_region *rest[PX_UNIT_BYTES / 1024];
	uint64_t offset, bytes = 0;
	unsigned count = 0;

	(void)state;
	arena_world.taken_max = 1;
	fits = region(1216);
	walls[40] = region(64);
	offset = fits->offset;
	for (unsigned i = 0; i < 40; i++) {
		regions[i] = region(1024);
		walls[i] = region(64);
	}
	bytes = PX_UNIT_BYTES - usage().used_bytes;
	while (bytes >= 1024 && px_region_new(arena_world.arena, 1024, &rest[count]) == 0)
		count++;
	bytes = PX_UNIT_BYTES - usage().used_bytes;
	if (bytes > 0)
		rest[count++] = region(bytes);
	px_region_release(fits);
	for (unsigned i = 0; i < 40; i++)
		px_region_release(regions[i]);
	fits = region(1216);
	assert_int_equal(fits->offset, offset);
	px_region_release(fits);
	for (unsigned i = 0; i < 41; i++)
		px_region_release(walls[i]);
	while (count > 0)
		px_region_release(rest[--count]);
}

static void release_in_any_order_makes_one_block(void **state)
{
	enum { PIECES = 64 };
	struct px_region *pieces[PIECES];
	uint64_t seed = 7;

	(void)state;
	px_region_release(region(PX_UNIT_BYTES));
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < PIECES; i++)
			pieces[i] = region(PX_UNIT_BYTES / PIECES);
		for (unsigned left = PIECES; left > 0; left--) {
			unsigned i = (unsigned)(random_next(&seed) % left);

			px_region_release(pieces[i]);
			pieces[i] = pieces[left - 1];
		}
		px_region_release(region(PX_UNIT_BYTES));
	}
	assert_int_equal(arena_world.asks, 1);
}

/* --- against a model: who has which line */

#define LIVE_MAX 2000
#define LINES (ARENA_BYTES / PX_LINE_BYTES)

static uint64_t random_size(uint64_t *seed)
{
	uint64_t r = random_next(seed), most;

	most = r % 100 < 70 ? 2000 : r % 100 < 95 ? 40000 : PX_UNIT_BYTES / 2;
	return 1 + (r >> 8) % most;
}

static void stamp(const struct px_region *r, uint64_t value)
{
	*(uint64_t *)r->at = value;
	if (r->bytes >= 16)
		memcpy((uint8_t *)r->at + r->bytes - 8, &value, 8);
}

static void check_stamp(const struct px_region *r, uint64_t value)
{
	assert_int_equal(*(uint64_t *)r->at, value);
	if (r->bytes >= 16)
		assert_memory_equal((uint8_t *)r->at + r->bytes - 8, &value, 8);
}

static void check_and_mark(uint8_t *lines, const struct px_region *r, bool used)
{
	uint64_t first = (r->offset - arena_world.segment->arena_offset) / PX_LINE_BYTES;
	uint64_t count = padded(r->bytes) / PX_LINE_BYTES;

	assert_true(first + count <= LINES);
	for (uint64_t i = first; i < first + count; i++)
		assert_int_equal(lines[i], !used);
	memset(lines + first, used, count);
}

static void random_operations_never_overlap(void **state)
{
	static struct px_region *live[LIVE_MAX];
	uint8_t *lines = calloc(LINES, 1);
	uint64_t seed = 20240607, used = 0;
	unsigned count = 0, refused = 0;

	(void)state;
	assert_non_null(lines);
	arena_world.taken_max = UNITS / 4;
	for (unsigned op = 0; op < 200000; op++) {
		bool grows = random_next(&seed) % 64 < ((op / 20000) % 2 ? 28u : 36u);

		if (grows && count < LIVE_MAX) {
			uint64_t bytes = random_size(&seed);
			int rc = px_region_new(arena_world.arena, bytes, &live[count]);

			if (rc) {
				assert_int_equal(rc, PX_ENOMEM);
				refused++;
				continue;
			}
			check_and_mark(lines, live[count], true);
			stamp(live[count], live[count]->offset ^ bytes);
			used += padded(bytes);
			count++;
		} else if (count > 0) {
			unsigned i = (unsigned)(random_next(&seed) % count);

			check_stamp(live[i], live[i]->offset ^ live[i]->bytes);
			check_and_mark(lines, live[i], false);
			used -= padded(live[i]->bytes);
			px_region_release(live[i]);
			live[i] = live[--count];
		}
		if (op % 1000 == 0) {
			px_arena_trim(arena_world.arena, random_next(&seed) % (8 * PX_UNIT_BYTES));
			assert_int_equal(usage().used_bytes, used);
			assert_int_equal(usage().regions, count);
			assert_int_equal(usage().extent_bytes,
					 arena_world.taken_units * PX_UNIT_BYTES);
		}
	}
	assert_true(refused > 0);
	while (count > 0)
		px_region_release(live[--count]);
	free(lines);
}

/* --- without the handle */

static void get_and_put_need_no_handle(void **state)
{
	uint64_t offsets[100];
	void *at;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(px_arena_get(arena_world.arena, 64 + i * 512, PX_ARENA_EARNEST,
					      &offsets[i], &at),
				 0);
		assert_memory_equal(arena_world.segment->base + offsets[i], at, 64);
	}
	assert_int_equal(usage().regions, 0);
	for (unsigned i = 0; i < 100; i++)
		px_arena_put(arena_world.arena, offsets[i], 64 + i * 512);
}

/* Whether a wrong px_arena_put() ends in an assertion; in a child. */
static bool put_aborts(uint64_t offset, uint64_t bytes)
{
	struct rlimit no_core = { 0, 0 };
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &no_core);
		close(STDERR_FILENO);
		px_arena_put(arena_world.arena, offset, bytes);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void put_wrong_offset_is_noticed(void **state)
{
	uint64_t offset;
	void *at;

	(void)state;
#ifdef NDEBUG
	skip();
#endif
	assert_int_equal(px_arena_get(arena_world.arena, 1000, PX_ARENA_EARNEST, &offset, &at), 0);
	assert_true(put_aborts(offset + 64, 1000));
	assert_true(put_aborts(offset + UINT64_C(0x1000000), 1000));
	assert_true(put_aborts(offset, 1100));
	assert_false(put_aborts(offset, 1000));
	px_arena_put(arena_world.arena, offset, 1000);
	assert_true(put_aborts(offset, 1000));
}

/* --- threads */

#define THREADS 4

static void *use_arena(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;
	struct px_region *mine[32] = { NULL };
	uintptr_t wrong = 0;

	for (unsigned op = 0; op < 20000; op++) {
		uint64_t r = random_next(&seed);
		struct px_region **place = &mine[r % 32];

		if (*place) {
			uint64_t found = *(uint64_t *)(*place)->at;

			wrong += found != ((*place)->offset ^ *(uint64_t *)arg);
			if (r >> 8 & 1) {
				px_region_hold(*place);
				px_region_release(*place);
			}
			px_region_release(*place);
			*place = NULL;
		} else if (px_region_new(arena_world.arena, 8 + (r >> 8) % 8000, place) == 0) {
			*(uint64_t *)(*place)->at = (*place)->offset ^ *(uint64_t *)arg;
		} else {
			wrong++;
		}
		if (op % 500 == 0)
			px_arena_trim(arena_world.arena, PX_UNIT_BYTES);
	}
	for (unsigned i = 0; i < 32; i++)
		if (mine[i])
			px_region_release(mine[i]);
	return (void *)wrong;
}

static void threads_share_an_arena(void **state)
{
	pthread_t threads[THREADS];
	uint64_t seeds[THREADS];
	void *wrong;

	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		seeds[i] = 1000 + i;
		assert_int_equal(pthread_create(&threads[i], NULL, use_arena, &seeds[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
}

/* A region may be released by another thread than the one that made it. */
static void *release_one(void *arg)
{
	px_region_release(arg);
	return NULL;
}

static void threads_release_last_hold_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct px_region *r = region(4096);
		pthread_t thread;

		px_region_hold(r);
		memset(r->at, (int)i, 64);
		assert_int_equal(pthread_create(&thread, NULL, release_one, r), 0);
		px_region_release(r);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(usage().regions, 0);
	}
}

/* --- regions by address --- */

static struct px_region *found(const uint8_t *at, uint64_t bytes, uint64_t *skip)
{
	struct px_region *r = px_region_find(arena_world.arena, at, bytes, skip);

	if (r)
		px_region_release(r);
	return r;
}

static void find_knows_every_part_of_large_regions(void **state)
{
	struct px_region *a = region(PX_REGION_LARGE_BYTES), *b = region(3 * PX_UNIT_BYTES + 5);
	const uint8_t *at = b->at;
	uint64_t skip;

	(void)state;
	assert_ptr_equal(found(a->at, 1, &skip), a);
	assert_int_equal(skip, 0);
	for (uint64_t i = 0; i < b->bytes; i += 40961) {
		assert_ptr_equal(found(at + i, b->bytes - i, &skip), b);
		assert_int_equal(skip, i);
	}
	assert_ptr_equal(found(at + b->bytes - 1, 1, &skip), b);
	assert_null(found(at + b->bytes, 1, &skip));
	assert_null(found(at + 10, b->bytes - 9, &skip));
	assert_null(found(at, UINT64_MAX, &skip));
	assert_null(found((const uint8_t *)&skip, 1, &skip));
	px_region_release(b);
	assert_null(found(at, 1, &skip));
	px_region_release(a);
}

static void find_knows_no_small_regions_and_no_rings(void **state)
{
	struct px_region *small = region(PX_REGION_LARGE_BYTES - 1);
	uint64_t offset, skip;
	void *at;

	(void)state;
	assert_null(found(small->at, 8, &skip));
	assert_int_equal(px_arena_get(arena_world.arena, 2 * PX_REGION_LARGE_BYTES,
				      PX_ARENA_EARNEST, &offset, &at),
			 0);
	assert_null(found(at, 8, &skip));
	px_arena_put(arena_world.arena, offset, 2 * PX_REGION_LARGE_BYTES);
	px_region_release(small);
}

/* Memory is used again by regions of other sizes, and earlier ones are no longer found there. */
static void find_among_many(void **state)
{
	struct px_region *r[24] = { NULL };
	uint64_t skip;
	unsigned seed = 3;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		unsigned i = (unsigned)rand_r(&seed) % 24;

		if (r[i]) {
			px_region_release(r[i]);
			r[i] = NULL;
		} else if (px_region_new(arena_world.arena,
					 PX_REGION_LARGE_BYTES + (uint64_t)(rand_r(&seed) % 99999),
					 &r[i]) < 0) {
			r[i] = NULL;
		}
		for (i = 0; i < 24; i++) {
			if (!r[i])
				continue;
			assert_ptr_equal(found((uint8_t *)r[i]->at + r[i]->bytes - 1, 1, &skip),
					 r[i]);
			assert_int_equal(skip, r[i]->bytes - 1);
		}
	}
	for (unsigned i = 0; i < 24; i++)
		if (r[i])
			px_region_release(r[i]);
}

static void fork_makes_what_is_shown_private(void **state)
{
	struct px_region *shown = region(3 * PX_REGION_LARGE_BYTES),
			 *lent = region(PX_REGION_LARGE_BYTES);
	struct px_region *live = region(PX_REGION_LARGE_BYTES);
	const uint8_t *file = arena_world.segment->base;

	(void)state;
	atomic_store(&shown->shown, true);
	atomic_store(&live->shown, true);
	live->live = true;
	memset(shown->at, 1, shown->bytes);
	for (int i = 0; i < 2; i++) {
		px_arena_before_fork(arena_world.arena);
		px_arena_after_fork(arena_world.arena);
	}
	assert_true(shown->forked && !lent->forked && !live->forked);
	((uint8_t *)shown->at)[70000] = 2;
	((uint8_t *)lent->at)[1] = 3;
	((uint8_t *)live->at)[1] = 4;
	assert_int_equal(file[shown->offset + 70000], 1);
	assert_int_equal(file[lent->offset + 1], 3);
	assert_int_equal(file[live->offset + 1], 4);
	px_region_release(shown);
	shown = region(3 * PX_REGION_LARGE_BYTES); /* the same place */
	((uint8_t *)shown->at)[70000] = 5;
	assert_int_equal(file[shown->offset + 70000], 5);
	assert_false(shown->forked);
	px_region_release(shown);
	px_region_release(lent);
	px_region_release(live);
}
int main(void)
{
	const struct CMUnitTest cases[] = {
		CASE(new_each_size_is_aligned_and_padded),
		CASE(new_region_is_seen_by_readers_at_its_offset),
		CASE(new_no_bytes_is_refused),
		CASE(new_larger_than_arena_says_no_memory),
		CASE(release_last_hold_gives_memory_back),
		CASE(new_after_release_is_the_warmest),
		CASE(new_and_release_in_turn_uses_one_place),
		CASE(new_finds_the_one_block_that_fits),
		CASE(release_in_any_order_makes_one_block),
		CASE(random_operations_never_overlap),
		CASE(get_and_put_need_no_handle),
		CASE(put_wrong_offset_is_noticed),
		CASE(find_knows_every_part_of_large_regions),
		CASE(find_knows_no_small_regions_and_no_rings),
		CASE(find_among_many),
		CASE(fork_makes_what_is_shown_private),
		CASE(threads_share_an_arena),
		CASE(threads_release_last_hold_once),
	};

	return run_cases(cases, NULL, NULL);
}
