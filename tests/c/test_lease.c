/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/c/case.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/arena.h"
#include "shm/doorbell.h"
#include "shm/error.h"
#include "shm/lease.h"

#define UNITS 16

/* A segment with an owner that has an arena, and a holder; both played by this process. */
static struct world {
	struct px_segment *segment;
	struct px_usage_shm usage;
	struct px_member_id owner, holder;
	struct px_block_shm *owner_block, *holder_block;
	struct px_link_shm *holder_link; /* what the holder says to the owner */
	struct px_arena *arena;
	struct px_leases leases;
	uint64_t units;
} world;

static int source_get(void *ctx, uint64_t bytes, bool earnest, uint64_t *offset, uint64_t *got)
{
	(void)ctx;
	(void)earnest;
	if (world.units + bytes / PX_UNIT_BYTES > UNITS)
		return px_fail(PX_ENOMEM, "no unit left");
	*offset = world.segment->arena_offset + world.units * PX_UNIT_BYTES;
	*got = bytes;
	world.units += bytes / PX_UNIT_BYTES;
	return 0;
}

static void source_put(void *ctx, uint64_t offset, uint64_t bytes)
{
	(void)ctx;
	(void)offset;
	(void)bytes;
}

static int map_block(uint32_t slot, struct px_block_shm **out)
{
	void *at;
	int rc = px_segment_map(world.segment, px_segment_block_offset(world.segment, slot),
				sizeof(struct px_block_shm), &at);

	if (rc == 0)
		*out = at;
	return rc;
}

static void open_leases(void)
{
	px_leases_open(&world.leases, world.segment, world.holder,
		       &px_segment_block(world.segment, world.holder.slot)->links[world.owner.slot],
		       world.owner.epoch);
}

static bool open_holder_link(void)
{
	return px_member_link_open(world.segment, world.holder_link, world.owner);
}

static int setup_closed(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	if (px_segment_create(UNITS * (uint64_t)PX_UNIT_BYTES, true, &world.segment) ||
	    px_member_join(world.segment, PX_MEMBER_CLIENT, -1, &world.owner) ||
	    px_member_join(world.segment, PX_MEMBER_ENGINE, 0, &world.holder) ||
	    map_block(world.owner.slot, &world.owner_block) ||
	    map_block(world.holder.slot, &world.holder_block) ||
	    px_arena_new(world.segment,
			 (struct px_extent_source){ .get = source_get, .put = source_put },
			 &world.usage, &world.arena))
		return -1;
	px_member_live(world.segment, world.owner, getpid());
	px_member_live(world.segment, world.holder, getpid());
	world.holder_link = &world.holder_block->links[world.owner.slot];
	open_leases();
	return 0;
}

static int setup(void **state)
{
	return setup_closed(state) || !open_holder_link() ? -1 : 0;
}

/* Every case ends without a lease, and then no region may be left. */
static int teardown(void **state)
{
	struct px_arena_usage usage;
	int rc = world.leases.count ? -1 : 0;

	(void)state;
	px_leases_close(&world.leases);
	px_arena_usage(world.arena, &usage);
	if (usage.regions || usage.used_bytes)
		rc = -1;
	px_arena_free(world.arena);
	px_segment_unmap(world.owner_block, sizeof(struct px_block_shm));
	px_segment_unmap(world.holder_block, sizeof(struct px_block_shm));
	px_segment_detach(world.segment);
	return rc;
}

static uint64_t regions(void)
{
	struct px_arena_usage usage;

	px_arena_usage(world.arena, &usage);
	return usage.regions;
}

/* Lends a new region, which is held by its lease alone. */
static struct px_lease grant(void)
{
	struct px_region *region;
	struct px_lease g;

	assert_int_equal(px_region_new(world.arena, 1000, &region), 0);
	assert_int_equal(px_lease_grant(&world.leases, region, NULL, &g), 0);
	px_region_release(region);
	assert_true(g.row < PX_LEASES_MAX);
	assert_int_not_equal(g.generation, 0);
	return g;
}

static void release(struct px_lease g)
{
	assert_int_equal(px_lease_release(world.holder_link, g.row, g.generation,
					  &world.segment->bells[world.owner.slot]),
			 0);
}

static uint32_t collect(void)
{
	return px_leases_collect(&world.leases);
}

/* Looks at every lease, as if the holder had said that it has released one. */
static uint32_t collect_anew(void)
{
	world.leases.seen_seq--;
	return collect();
}

static void kill_holder(void)
{
	static const struct px_death death = { .exit_signal = SIGKILL };

	px_member_mark_dead(world.segment, world.holder, &death);
}

/* Another process takes the dead holder's slot. */
static void replace_holder(void)
{
	struct px_member_id dead = world.holder;

	kill_holder();
	assert_int_equal(px_member_sweep(world.segment, NULL, NULL), 0);
	assert_int_equal(px_member_join(world.segment, PX_MEMBER_ENGINE, 0, &world.holder), 0);
	assert_int_equal(world.holder.slot, dead.slot);
	assert_int_not_equal(world.holder.epoch, dead.epoch);
	px_member_live(world.segment, world.holder, getpid());
}

/* --- grant, release, collect */

static void collect_released_ends_lease(void **state)
{
	struct px_lease g = grant();

	(void)state;
	assert_int_equal(world.leases.count, 1);
	assert_int_equal(regions(), 1);
	assert_int_equal(collect_anew(), 0);
	release(g);
	assert_int_equal(regions(), 1);
	assert_int_equal(collect(), 1);
	assert_int_equal(regions(), 0);
}

static void collect_not_released_ends_nothing(void **state)
{
	struct px_lease g = grant(), other = grant();

	(void)state;
	assert_int_equal(collect(), 0);
	release(other);
	assert_int_equal(collect(), 1);
	assert_int_equal(collect(), 0);
	assert_int_equal(collect_anew(), 0);
	release(g);
	assert_int_equal(collect(), 1);
}

static void grant_twice_holds_region_for_both(void **state)
{
	struct px_region *region;
	struct px_lease a, b;

	(void)state;
	assert_int_equal(px_region_new(world.arena, 64, &region), 0);
	assert_int_equal(px_lease_grant(&world.leases, region, NULL, &a), 0);
	assert_int_equal(px_lease_grant(&world.leases, region, NULL, &b), 0);
	assert_int_not_equal(a.row, b.row);
	release(b);
	assert_int_equal(collect(), 1);
	px_region_release(region);
	assert_int_equal(regions(), 1);
	release(a);
	assert_int_equal(collect(), 1);
	assert_int_equal(regions(), 0);
}

#define LASTING_MAX (PX_LEASES_MAX - PX_LEASES_BRIEF)

static struct px_region *new_region(void)
{
	struct px_region *region;

	assert_int_equal(px_region_new(world.arena, 64, &region), 0);
	return region;
}

static void grant_many_out_makes_brief_ones(void **state)
{
	struct px_lease all[PX_LEASES_MAX];

	(void)state;
	for (unsigned i = 0; i < PX_LEASES_MAX; i++) {
		all[i] = grant();
		assert_int_equal(all[i].brief, i >= LASTING_MAX);
	}
	release(all[LASTING_MAX + 1]);
	assert_int_equal(collect(), 1);
	all[LASTING_MAX + 1] = grant();
	assert_true(all[LASTING_MAX + 1].brief);
	release(all[1]);
	release(all[LASTING_MAX + 1]);
	assert_int_equal(collect(), 2);
	all[1] = grant(), all[LASTING_MAX + 1] = grant();
	assert_false(all[1].brief);
	assert_true(all[LASTING_MAX + 1].brief);
	/* A revoked lease was never lent, so its row and generation are used again. */
	px_lease_revoke(&world.leases, all[1].row);
	px_lease_revoke(&world.leases, all[LASTING_MAX + 1].row);
	all[1] = grant(), all[LASTING_MAX + 1] = grant();
	assert_false(all[1].brief);
	assert_true(all[LASTING_MAX + 1].brief);
	for (unsigned i = 0; i < PX_LEASES_MAX; i++)
		release(all[i]);
	assert_int_equal(collect(), PX_LEASES_MAX);
	assert_int_equal(world.leases.lasting, 0);
}

static void grant_all_out_says_again(void **state)
{
	struct px_lease all[PX_LEASES_MAX], more;
	struct px_region *region = new_region();

	(void)state;
	for (unsigned i = 0; i < PX_LEASES_MAX; i++)
		all[i] = grant();
	assert_int_equal(px_lease_grant(&world.leases, region, NULL, &more), PX_EAGAIN);
	assert_int_equal(atomic_load(&region->holds), 1);
	release(all[PX_LEASES_MAX / 2]);
	assert_int_equal(px_lease_grant(&world.leases, region, NULL, &more), PX_EAGAIN);
	assert_int_equal(collect(), 1);
	assert_int_equal(px_lease_grant(&world.leases, region, NULL, &more), 0);
	assert_int_equal(more.row, all[PX_LEASES_MAX / 2].row);
	px_region_release(region);
	all[PX_LEASES_MAX / 2] = more;
	for (unsigned i = 0; i < PX_LEASES_MAX; i++)
		release(all[i]);
	assert_int_equal(collect(), PX_LEASES_MAX);
}

/* It cannot be copied. */
static void grant_live_region_is_never_brief(void **state)
{
	struct px_lease all[LASTING_MAX], more;
	struct px_region *region = new_region();

	(void)state;
	region->live = true;
	for (unsigned i = 0; i < LASTING_MAX; i++) {
		assert_int_equal(px_lease_grant(&world.leases, region, NULL, &all[i]), 0);
		assert_false(all[i].brief);
	}
	assert_int_equal(px_lease_grant(&world.leases, region, NULL, &more), PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), "let go of some"));
	assert_int_equal(atomic_load(&region->holds), 1 + LASTING_MAX);
	release(all[0]);
	assert_int_equal(collect(), 1);
	assert_int_equal(px_lease_grant(&world.leases, region, NULL, &all[0]), 0);
	for (unsigned i = 0; i < LASTING_MAX; i++)
		release(all[i]);
	assert_int_equal(collect(), LASTING_MAX);
	px_region_release(region);
}

static void release_twice_ends_one_lease(void **state)
{
	struct px_lease first = grant(), second;

	(void)state;
	release(first);
	release(first);
	assert_int_equal(collect(), 1);
	second = grant();
	assert_int_equal(second.row, first.row);
	release(first);
	assert_int_equal(collect(), 0);
	assert_int_equal(collect_anew(), 0);
	release(second);
	assert_int_equal(collect(), 1);
}

static void release_wrong_generation_ends_nothing(void **state)
{
	struct px_lease g = grant(), wrong = g;

	(void)state;
	for (unsigned i = 1; i < 100; i++) {
		wrong.generation = (uint16_t)(g.generation + i);
		release(wrong);
		assert_int_equal(collect(), 0);
		assert_int_equal(collect_anew(), 0);
	}
	wrong.generation = 0;
	release(wrong);
	assert_int_equal(collect(), 0);
	release(g);
	assert_int_equal(collect(), 1);
}

static void release_out_of_range_says_corrupt(void **state)
{
	struct px_link_shm before;

	(void)state;
	memcpy(&before, world.holder_link, sizeof(before));
	assert_int_equal(px_lease_release(world.holder_link, PX_LEASES_MAX, 1,
					  &world.segment->bells[world.owner.slot]),
			 PX_ECORRUPT);
	assert_int_equal(px_lease_release(world.holder_link, UINT16_MAX, 1,
					  &world.segment->bells[world.owner.slot]),
			 PX_ECORRUPT);
	assert_memory_equal(&before, world.holder_link, sizeof(before));
}

/* The holder is broken: it says that it has released what it was never lent. */
static void collect_mad_holder_ends_no_more_than_was_lent(void **state)
{
	struct px_lease g = grant();

	(void)state;
	for (unsigned i = 0; i < PX_LEASES_MAX; i++)
		atomic_store(&world.holder_link->released[i], g.generation);
	atomic_fetch_add(&world.holder_link->released_seq, 12345);
	assert_int_equal(collect(), 1);
	assert_int_equal(collect(), 0);
}

static void generation_wraps_and_is_never_zero(void **state)
{
	uint16_t last = 0;

	(void)state;
	for (unsigned i = 0; i < 2 * 65536 + 10; i++) {
		struct px_lease g = grant();

		assert_int_equal(g.row, 0);
		assert_int_not_equal(g.generation, last);
		assert_int_equal(collect_anew(), 0);
		assert_int_equal(collect(), 0);
		release(g);
		assert_int_equal(collect(), 1);
		last = g.generation;
	}
}

static void released_seq_wraps(void **state)
{
	(void)state;
	atomic_store(&world.holder_link->released_seq, UINT64_MAX - 3);
	world.leases.seen_seq = UINT64_MAX - 3;
	for (unsigned i = 0; i < 8; i++) {
		struct px_lease g = grant();

		assert_int_equal(collect(), 0);
		release(g);
		assert_int_equal(collect(), 1);
	}
}

/* --- revoke, close */

static void revoke_gives_region_and_lease_back(void **state)
{
	struct px_lease a = grant(), b = grant(), c = grant();

	(void)state;
	px_lease_revoke(&world.leases, b.row);
	assert_int_equal(world.leases.count, 2);
	assert_int_equal(regions(), 2);
	assert_int_equal(grant().row, b.row);
	px_lease_revoke(&world.leases, c.row);
	px_lease_revoke(&world.leases, c.row);
	px_lease_revoke(&world.leases, b.row);
	px_lease_revoke(&world.leases, a.row);
	assert_int_equal(regions(), 0);
}

/* However often leases are revoked, the generation that the holder released last is not reached. */
static void revoke_often_is_not_taken_for_released(void **state)
{
	struct px_lease g = grant();

	(void)state;
	release(g);
	assert_int_equal(collect(), 1);
	for (unsigned i = 0; i < 65536 + 10; i++) {
		struct px_lease again = grant();

		assert_int_equal(again.row, g.row);
		assert_int_equal(collect_anew(), 0);
		px_lease_revoke(&world.leases, again.row);
	}
}

static void close_lets_go_of_everything(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PX_LEASES_MAX; i++)
		grant();
	px_leases_close(&world.leases);
	assert_int_equal(world.leases.count, 0);
	assert_int_equal(regions(), 0);
	px_leases_close(&world.leases);
}

/* --- deaths */

static void collect_dead_holder_ends_all(void **state)
{
	struct px_lease g = grant();

	(void)state;
	grant(), grant();
	release(g);
	kill_holder();
	assert_int_equal(collect(), 3);
	assert_int_equal(regions(), 0);
}

static void collect_holder_that_never_looked_ends_nothing(void **state)
{
	(void)state;
	grant();
	assert_int_equal(collect(), 0);
	assert_int_equal(collect_anew(), 0);
	kill_holder();
	assert_int_equal(collect(), 1);
}

static void collect_slot_has_another_holder_ends_all(void **state)
{
	struct px_lease g = grant(), old = g;

	(void)state;
	grant();
	replace_holder();
	assert_int_equal(collect(), 2);
	px_leases_close(&world.leases);

	/* The next occupant has its own leases, and knows nothing of earlier ones. */
	open_leases();
	assert_true(open_holder_link());
	g = grant();
	assert_int_equal(g.row, old.row);
	assert_int_equal(g.generation, old.generation);
	assert_int_equal(collect(), 0);
	assert_int_equal(collect_anew(), 0);
	release(g);
	assert_int_equal(collect(), 1);
}

/* We are the second occupant of our slot, and the holder has not opened a link to us yet. */
static void release_to_dead_owner_is_ignored(void **state)
{
	struct px_lease before[3] = { grant(), grant(), grant() }, g;

	(void)state;
	assert_int_equal(world.leases.count, 3);
	px_leases_close(&world.leases);
	world.owner.epoch++;
	open_leases();
	g = grant();
	assert_int_equal(g.row, before[0].row);
	assert_int_equal(g.generation, before[0].generation);
	for (unsigned i = 0; i < 3; i++)
		release(before[i]);
	assert_int_equal(collect(), 0);
	assert_int_equal(collect_anew(), 0);

	/* Now it opens it, and its earlier releases are wiped. */
	atomic_store(&world.segment->rw.members[world.owner.slot].epoch, world.owner.epoch);
	assert_true(open_holder_link());
	assert_int_equal(collect(), 0);
	assert_int_equal(collect_anew(), 0);
	release(g);
	assert_int_equal(collect(), 1);
}

/* --- threads through one mapping */

#define PASSED_MAX 64

struct passed_item {
	struct px_lease grant;
	const uint64_t *at;
	uint64_t value;
};

/* What the owner lends, in order; each item is for one of the holders. */
static struct {
	struct passed_item items[PASSED_MAX];
	_Atomic uint64_t published, wrong;
	_Atomic bool closing;
	pthread_mutex_t lock; /* between holders */
	uint64_t claimed;
} passed;

static bool claim(struct passed_item *out)
{
	bool found;

	pthread_mutex_lock(&passed.lock);
	found = passed.claimed != atomic_load(&passed.published);
	if (found)
		*out = passed.items[passed.claimed++ % PASSED_MAX];
	pthread_mutex_unlock(&passed.lock);
	return found;
}

static void *hold(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	struct passed_item item;

	while (!atomic_load(&passed.closing)) {
		if (!claim(&item)) {
			sched_yield();
			continue;
		}
		for (unsigned i = 0; i < 16; i++)
			if (item.at[i] != item.value + i)
				atomic_fetch_add(&passed.wrong, 1);
		if (rand_r(&seed) % 4 == 0)
			sched_yield();
		release(item.grant);
	}
	return NULL;
}

static int some_collected(void *ctx)
{
	(void)ctx;
	return collect() > 0;
}

static void threads_never_see_a_region_used_again(void **state)
{
	struct px_doorbell_shm *bell = &world.segment->bells[world.owner.slot];
	pthread_t holders[2];
	uint64_t sent = 0;

	(void)state;
	memset(&passed, 0, sizeof(passed));
	pthread_mutex_init(&passed.lock, NULL);
	/* ThreadSanitizer sees no order between two mappings of a word. */
	world.leases.theirs = world.holder_link;
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&holders[i], NULL, hold, (void *)(i + 1)), 0);
	while (sent < 20000) {
		struct px_region *region;
		struct px_lease g;
		uint64_t *words;

		while (world.leases.count >= PX_LEASES_MAX || world.leases.count >= PASSED_MAX / 2)
			assert_int_equal(px_doorbell_wait(bell, PX_BELL_RELEASE, 1000,
							  UINT64_C(20000000000), some_collected,
							  NULL, NULL),
					 1);
		assert_int_equal(px_region_new(world.arena, 16 * 8, &region), 0);
		words = region->at;
		for (unsigned i = 0; i < 16; i++)
			words[i] = sent * 100 + i;
		assert_int_equal(px_lease_grant(&world.leases, region, NULL, &g), 0);
		px_region_release(region);
		passed.items[sent % PASSED_MAX] = (struct passed_item){ g, words, sent * 100 };
		atomic_store(&passed.published, ++sent);
	}
	while (world.leases.count > 0)
		assert_int_equal(px_doorbell_wait(bell, PX_BELL_RELEASE, 1000,
						  UINT64_C(20000000000), some_collected, NULL,
						  NULL),
				 1);
	atomic_store(&passed.closing, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(holders[i], NULL);
	pthread_mutex_destroy(&passed.lock);
	assert_int_equal(atomic_load(&passed.wrong), 0);
}

static void *release_late(void *arg)
{
	struct timespec while_it_sleeps = { .tv_nsec = 20000000 };

	nanosleep(&while_it_sleeps, NULL);
	release(*(struct px_lease *)arg);
	return NULL;
}

static struct px_lease tracked;

static void release_wakes_the_tracker(void **state)
{
	struct px_doorbell_shm *bell = &world.segment->bells[world.owner.slot];
	pthread_t thread;
	uint32_t before = atomic_load(&bell->seq);

	(void)state;
	tracked = grant();
	assert_int_equal(pthread_create(&thread, NULL, release_late, &tracked), 0);
	assert_int_equal(px_doorbell_wait(bell, PX_BELL_RELEASE, 0, UINT64_C(10000000000),
					  some_collected, NULL, NULL),
			 1);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&bell->seq), before + 1);
	assert_int_equal(world.leases.count, 0);
}

/* --- two processes */

#define ROUNDS 200
#define WORDS 64

/* Shared by owner and holder: what is lent, and what went wrong. */
struct mailbox {
	_Atomic uint64_t published, done, wrong;
	struct {
		uint64_t offset, value;
		struct px_lease grant;
	} items[PASSED_MAX];
};

static _Noreturn void be_holder(struct mailbox *box, int fd)
{
	struct px_segment *segment;
	struct px_link_shm *own;
	void *block;
	uint64_t next = 0;

	if (px_segment_attach(fd, &segment) ||
	    px_segment_map(segment, px_segment_block_offset(segment, world.holder.slot),
			   sizeof(struct px_block_shm), &block))
		_exit(1);
	own = &((struct px_block_shm *)block)->links[world.owner.slot];
	if (!px_member_link_open(segment, own, world.owner))
		_exit(2);
	for (;;) {
		const uint64_t *words;

		if (next == atomic_load(&box->published)) {
			sched_yield();
			continue;
		}
		words = (const void *)(segment->base + box->items[next % PASSED_MAX].offset);
		for (unsigned i = 0; i < WORDS; i++)
			if (words[i] != box->items[next % PASSED_MAX].value + i)
				atomic_fetch_add(&box->wrong, 1);
		if (px_lease_release(own, box->items[next % PASSED_MAX].grant.row,
				     box->items[next % PASSED_MAX].grant.generation,
				     &segment->bells[world.owner.slot]))
			_exit(3);
		atomic_store(&box->done, ++next);
	}
}

static void lend_one(struct mailbox *box)
{
	uint64_t sent = atomic_load(&box->published);
	struct px_region *region;
	struct px_lease g;
	uint64_t *words;

	assert_int_equal(px_region_new(world.arena, WORDS * 8, &region), 0);
	words = region->at;
	for (unsigned i = 0; i < WORDS; i++)
		words[i] = sent * 1000 + i;
	assert_int_equal(px_lease_grant(&world.leases, region, NULL, &g), 0);
	box->items[sent % PASSED_MAX].offset = region->offset;
	box->items[sent % PASSED_MAX].value = sent * 1000;
	box->items[sent % PASSED_MAX].grant = g;
	px_region_release(region);
	atomic_store(&box->published, sent + 1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static void holder_killed_any_time_leaks_nothing(void **state)
{
	struct mailbox *box =
		mmap(NULL, sizeof(*box), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t released = 0;
	unsigned seed = 1;

	(void)state;
	assert_ptr_not_equal(box, MAP_FAILED);
	for (unsigned round = 0; round < ROUNDS; round++) {
		int fd = dup(world.segment->fd), status;
		uint64_t until;
		pid_t child;

		assert_true(fd >= 0);
		memset(box, 0, sizeof(*box));
		child = fork();
		assert_true(child >= 0);
		if (!child)
			be_holder(box, fd);
		close(fd);
		until = now_ns() + 1000000 + (uint64_t)rand_r(&seed) % 7000000;
		while (now_ns() < until) {
			if (world.leases.count < PX_LEASES_MAX / 2 + 1 &&
			    world.leases.count < PASSED_MAX / 2)
				lend_one(box);
			else
				sched_yield();
			collect();
		}
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		assert_int_equal(atomic_load(&box->wrong), 0);
		released += atomic_load(&box->done);
		/*
		 * It holds its lease until it is marked dead: before that the region is not used
		 * again.
		 */
		replace_holder();
		collect();
		assert_int_equal(world.leases.count, 0);
		assert_int_equal(regions(), 0);
		px_leases_close(&world.leases);
		open_leases();
	}
	assert_true(released > ROUNDS);
	munmap(box, sizeof(*box));
}

/* --- trackers --- */

/* Lends to one tracker; the region is held by its leases alone. */
static struct px_lease grant_tracked(struct px_tracker *tracker)
{
	struct px_region *region;
	struct px_lease g;

	assert_int_equal(px_region_new(world.arena, 1000, &region), 0);
	assert_int_equal(px_lease_grant(&world.leases, region, tracker, &g), 0);
	px_region_release(region);
	return g;
}

static void tracker_is_over_with_its_last_lease(void **state)
{
	struct px_tracker *tracker = px_tracker_new(), *other = px_tracker_new();
	struct px_lease a, b, c;

	(void)state;
	assert_true(px_tracker_over(tracker));
	a = grant_tracked(tracker), b = grant_tracked(tracker), c = grant_tracked(other);
	assert_false(px_tracker_over(tracker));
	release(a);
	release(c);
	px_leases_collect(&world.leases);
	assert_false(px_tracker_over(tracker));
	assert_true(px_tracker_over(other));
	release(b);
	assert_false(px_tracker_over(tracker)); /* nobody has looked yet */
	px_leases_collect(&world.leases);
	assert_true(px_tracker_over(tracker));
	px_tracker_release(tracker);
	px_tracker_release(other);
	px_tracker_release(NULL);
}

static void tracker_outlived_by_its_leases(void **state)
{
	struct px_tracker *tracker = px_tracker_new();
	struct px_lease a = grant_tracked(tracker);

	(void)state;
	px_tracker_release(tracker); /* the user of the tracker has released it */
	release(a);
	assert_int_equal(px_leases_collect(&world.leases), 1);
}

static void tracker_is_over_when_leases_are_revoked_or_closed(void **state)
{
	struct px_tracker *tracker = px_tracker_new();
	struct px_lease a = grant_tracked(tracker);

	(void)state;
	px_lease_revoke(&world.leases, a.row);
	assert_true(px_tracker_over(tracker));
	(void)grant_tracked(tracker), (void)grant_tracked(tracker);
	assert_false(px_tracker_over(tracker));
	px_leases_close(&world.leases);
	assert_true(px_tracker_over(tracker));
	px_tracker_release(tracker);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CASE_CLOSED(name) cmocka_unit_test_setup_teardown(name, setup_closed, teardown)

int main(void)
{
	const struct CMUnitTest cases[] = {
		CASE(collect_released_ends_lease),
		CASE(collect_not_released_ends_nothing),
		CASE(grant_twice_holds_region_for_both),
		CASE(grant_many_out_makes_brief_ones),
		CASE(grant_all_out_says_again),
		CASE(grant_live_region_is_never_brief),
		CASE(release_twice_ends_one_lease),
		CASE(release_wrong_generation_ends_nothing),
		CASE(release_out_of_range_says_corrupt),
		CASE(collect_mad_holder_ends_no_more_than_was_lent),
		CASE(generation_wraps_and_is_never_zero),
		CASE(released_seq_wraps),
		CASE(revoke_gives_region_and_lease_back),
		CASE(revoke_often_is_not_taken_for_released),
		CASE(tracker_is_over_with_its_last_lease),
		CASE(tracker_outlived_by_its_leases),
		CASE(tracker_is_over_when_leases_are_revoked_or_closed),
		CASE(close_lets_go_of_everything),
		CASE(collect_dead_holder_ends_all),
		CASE_CLOSED(collect_holder_that_never_looked_ends_nothing),
		CASE(collect_slot_has_another_holder_ends_all),
		CASE(release_to_dead_owner_is_ignored),
		CASE(threads_never_see_a_region_used_again),
		CASE(release_wakes_the_tracker),
		CASE_CLOSED(holder_killed_any_time_leaks_nothing),
	};

	return run_cases(cases, NULL, NULL);
}
