/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/c/case.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/doorbell.h"
#include "shm/error.h"
#include "shm/member.h"
#include "shm/os.h"

#define UNITS 16

static struct px_os real;
static struct px_segment *segment;
static const struct px_death by_signal = { .exit_signal = SIGSEGV, .oom_killed = true };

static int setup(void **state)
{
	(void)state;
	return px_segment_create(UNITS * (uint64_t)PX_UNIT_BYTES, true, &segment);
}

static int teardown(void **state)
{
	(void)state;
	px_os = real;
	px_segment_detach(segment);
	segment = NULL;
	return 0;
}

static uint64_t reserved_bytes(void)
{
	struct stat st;

	assert_int_equal(fstat(segment->fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static struct px_member_id join(enum px_member_kind kind)
{
	struct px_member_id id;

	assert_int_equal(px_member_join(segment, kind, kind == PX_MEMBER_ENGINE ? 3 : -1, &id), 0);
	return id;
}

static struct px_member_id join_live(enum px_member_kind kind)
{
	struct px_member_id id = join(kind);

	px_member_live(segment, id, getpid());
	return id;
}

static struct px_member read_slot(uint32_t slot)
{
	struct px_member member;

	assert_int_equal(px_member_read(segment, slot, &member), 0);
	return member;
}

static void assert_state(uint32_t slot, enum px_member_state expected)
{
	assert_int_equal(read_slot(slot).state, expected);
}

/* A member's block as it maps it itself. */
static struct px_block_shm *map_block(uint32_t slot)
{
	void *at;

	assert_int_equal(px_segment_map(segment, px_segment_block_offset(segment, slot),
					sizeof(struct px_block_shm), &at),
			 0);
	return at;
}

static void unmap_block(struct px_block_shm *block)
{
	px_segment_unmap(block, sizeof(*block));
}

static int sweep(void)
{
	return px_member_sweep(segment, NULL, NULL);
}

static void give_units(uint32_t slot, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		atomic_store(&segment->rw.units[i], (uint16_t)(slot + 1));
	if (count == 0)
		return;
	assert_int_equal(px_segment_reserve(segment,
					    segment->arena_offset + first * (uint64_t)PX_UNIT_BYTES,
					    count * (uint64_t)PX_UNIT_BYTES),
			 0);
}

/* --- join, live, mark_dead --- */

static void join_live_mark_dead_sweep_change_the_state(void **state)
{
	struct px_member_id id = join(PX_MEMBER_ENGINE);
	struct px_member m = read_slot(id.slot);

	(void)state;
	assert_int_equal(id.slot, 0);
	assert_int_equal(id.epoch, 1);
	assert_int_equal(m.id.epoch, 1);
	assert_int_equal(m.state, PX_SLOT_JOINING);
	assert_int_equal(m.kind, PX_MEMBER_ENGINE);
	assert_int_equal(m.engine_id, 3);
	assert_int_equal(m.pid, 0);
	assert_true(m.joined_ns > 0);
	assert_true(px_member_alive(segment, id));

	px_member_live(segment, id, getpid());
	m = read_slot(id.slot);
	assert_int_equal(m.state, PX_SLOT_LIVE);
	assert_int_equal(m.pid, getpid());
	assert_int_equal(m.start_time, px_member_start_time(getpid()));
	assert_true(m.start_time > 0);

	px_member_mark_dead(segment, id, &by_signal);
	m = read_slot(id.slot);
	assert_int_equal(m.state, PX_SLOT_DEAD);
	assert_int_equal(m.exit_signal, SIGSEGV);
	assert_true(m.oom_killed);
	assert_false(m.expected);
	assert_true(m.died_ns >= m.joined_ns);
	assert_false(px_member_alive(segment, id));

	assert_int_equal(sweep(), 0);
	assert_state(id.slot, PX_SLOT_FREE);
	assert_false(px_member_alive(segment, id));

	id = join(PX_MEMBER_CLIENT);
	m = read_slot(id.slot);
	assert_int_equal(id.slot, 0);
	assert_int_equal(id.epoch, 2);
	assert_int_equal(m.exit_signal, 0);
	assert_false(m.oom_killed);
	assert_int_equal(m.died_ns, 0);
	assert_int_equal(m.start_time, 0);
	assert_true(px_member_alive(segment, id));
	assert_false(px_member_alive(segment, (struct px_member_id){ 0, 1 }));
	assert_false(px_member_alive(segment, (struct px_member_id){ 0, 3 }));
}

static void read_no_such_slot_is_refused(void **state)
{
	struct px_member m;

	(void)state;
	assert_int_equal(px_member_read(segment, PX_MEMBERS_MAX, &m), PX_EINVAL);
	assert_int_equal(px_member_read(segment, UINT32_MAX, &m), PX_EINVAL);
	assert_int_equal(px_member_read(segment, PX_MEMBERS_MAX - 1, &m), 0);
	assert_int_equal(m.state, PX_SLOT_FREE);
	assert_false(px_member_alive(segment, m.id));
}

static void join_epochs_exhausted_skips_0(void **state)
{
	struct px_member_id id;

	(void)state;
	atomic_store(&segment->rw.members[0].epoch, UINT32_MAX);
	atomic_store(&segment->rw.members[0].dead_epoch, UINT32_MAX);
	id = join(PX_MEMBER_CLIENT);
	assert_int_equal(id.epoch, 1);
	assert_true(px_member_alive(segment, id));
}

static void join_all_slots_taken_says_nomem(void **state)
{
	struct px_member_id id, middle = { 0 };
	uint64_t full;

	(void)state;
	for (uint32_t i = 0; i < PX_CLIENTS_MAX; i++) {
		id = join(PX_MEMBER_CLIENT);
		assert_int_equal(id.slot, i);
		if (i == PX_CLIENTS_MAX / 2)
			middle = id;
	}
	assert_int_equal(px_member_join(segment, PX_MEMBER_CLIENT, -1, &id), PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), "all 512 places for clients"));
	/* The others are for engines. */
	for (uint32_t i = PX_CLIENTS_MAX; i < PX_MEMBERS_MAX; i++)
		id = join(PX_MEMBER_ENGINE);
	full = reserved_bytes();
	assert_int_equal(px_member_join(segment, PX_MEMBER_ENGINE, 0, &id), PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), "1024"));
	assert_int_equal(id.slot, PX_MEMBERS_MAX - 1); /* untouched */
	assert_int_equal(reserved_bytes(), full);
	px_member_mark_dead(segment, middle, &by_signal);
	assert_int_equal(px_member_join(segment, PX_MEMBER_CLIENT, -1, &id), PX_ENOMEM);
	assert_int_equal(sweep(), 0);
	id = join(PX_MEMBER_CLIENT);
	assert_int_equal(id.slot, middle.slot);
	assert_int_equal(id.epoch, middle.epoch + 1);
	assert_int_equal(reserved_bytes(), full);
}

/* Both links of a pair, and the engine's crash text. */
static void touch_pair(struct px_member_id a, struct px_member_id b)
{
	struct px_block_shm *of_a = map_block(a.slot), *of_b = map_block(b.slot);

	memset((void *)&of_a->links[b.slot], 0xaa, sizeof(struct px_link_shm));
	memset((void *)&of_b->links[a.slot], 0xbb, sizeof(struct px_link_shm));
	memset((void *)&of_a->activity, 0xcc, PX_PAGE_BYTES);
	memset((void *)&of_b->activity, 0xcc, PX_PAGE_BYTES);
	unmap_block(of_a);
	unmap_block(of_b);
}

static void join_reserves_all_that_is_touched(void **state)
{
	struct px_member_id engine = join(PX_MEMBER_ENGINE), clients[3];
	struct px_block_shm *block = map_block(engine.slot);
	uint64_t before;

	(void)state;
	for (int i = 0; i < 3; i++)
		clients[i] = join(PX_MEMBER_CLIENT);
	before = reserved_bytes();
	for (int i = 0; i < 3; i++)
		touch_pair(engine, clients[i]);
	memset(block->crash, 1, sizeof(block->crash));
	assert_int_equal(reserved_bytes(), before);
	unmap_block(block);
}

static void join_unused_pair_costs_under_16_kib(void **state)
{
	uint64_t before;

	(void)state;
	for (int i = 0; i < 64; i++)
		join(PX_MEMBER_ENGINE);
	before = reserved_bytes();
	for (int i = 0; i < 16; i++)
		join(PX_MEMBER_CLIENT);
	assert_in_range(reserved_bytes() - before, 1, 64 * 16 * UINT64_C(16384));
}

static void live_dead_member_stays_dead(void **state)
{
	struct px_member_id id = join(PX_MEMBER_ENGINE), heir;

	(void)state;
	px_member_mark_dead(segment, id, &by_signal);
	px_member_live(segment, id, getpid()); /* its HELLO was under way */
	assert_state(id.slot, PX_SLOT_DEAD);
	assert_int_equal(sweep(), 0);
	px_member_live(segment, id, getpid());
	assert_state(id.slot, PX_SLOT_FREE);
	heir = join(PX_MEMBER_ENGINE);
	px_member_live(segment, id, getpid());
	assert_state(heir.slot, PX_SLOT_JOINING);
}

static void bury_again_keeps_the_first_reason(void **state)
{
	const struct px_death other = { .exit_code = 7, .expected = true };
	struct px_member_id id = join_live(PX_MEMBER_ENGINE), heir;

	(void)state;
	px_member_mark_dead(segment, id, &by_signal);
	px_member_mark_dead(segment, id, &other);
	assert_int_equal(read_slot(id.slot).exit_signal, SIGSEGV);
	assert_int_equal(read_slot(id.slot).exit_code, 0);
	assert_int_equal(sweep(), 0);
	px_member_mark_dead(segment, id, &other);
	assert_state(id.slot, PX_SLOT_FREE);
	heir = join_live(PX_MEMBER_ENGINE);
	px_member_mark_dead(segment, id, &other);
	assert_true(px_member_alive(segment, heir));
	assert_state(heir.slot, PX_SLOT_LIVE);
}

static void bury_half_done_is_finished(void **state)
{
	struct px_member_id id = join_live(PX_MEMBER_ENGINE);

	(void)state;
	/* As if interrupted between dead_epoch and the state. */
	atomic_store(&segment->rw.members[id.slot].exit_signal, SIGBUS);
	atomic_store(&segment->rw.members[id.slot].dead_epoch, id.epoch);
	px_member_mark_dead(segment, id, &by_signal);
	assert_state(id.slot, PX_SLOT_DEAD);
	assert_int_equal(read_slot(id.slot).exit_signal, SIGBUS);
	assert_int_equal(sweep(), 0);
	assert_state(id.slot, PX_SLOT_FREE);
}

/* --- join without memory --- */

static struct {
	int call, at; /* this call of fallocate is special; -1: none */
	int error;    /* it fails with this error */
	bool after;   /* or, with error 0, jumps out: after its work, else before */
	jmp_buf out;
} script;

static int scripted_fallocate(int fd, int mode, off_t offset, off_t length)
{
	int rc;

	if (script.call++ != script.at)
		return real.fallocate(fd, mode, offset, length);
	if (script.error)
		return script.error;
	if (!script.after)
		longjmp(script.out, 1);
	rc = real.fallocate(fd, mode, offset, length);
	(void)rc;
	longjmp(script.out, 1);
}

static void start_script(int at, int error)
{
	script.call = 0;
	script.at = at;
	script.error = error;
	px_os.fallocate = scripted_fallocate;
}

static void join_failing_at_any_step_reserves_nothing(void **state)
{
	struct px_member_id client, engines[3], late = { 0 };
	uint8_t told[sizeof(struct px_link_shm)];
	struct px_block_shm *block;
	uint64_t before;
	int at, rc = PX_ENOMEM;

	(void)state;
	client = join_live(PX_MEMBER_CLIENT);
	for (int i = 0; i < 3; i++)
		engines[i] = i < 2 ? join_live(PX_MEMBER_ENGINE) : join(PX_MEMBER_ENGINE);
	for (int i = 0; i < 3; i++)
		touch_pair(client, engines[i]);
	before = reserved_bytes();
	for (at = 0; rc < 0; at++) {
		assert_in_range(at, 0, 100);
		start_script(at, at % 2 ? -ENOSPC : -ENOMEM);
		rc = px_member_join(segment, PX_MEMBER_CLIENT, -1, &late);
		px_os = real;
		if (rc == 0)
			break;
		assert_int_equal(rc, PX_ENOMEM);
		assert_int_equal(reserved_bytes(), before);
		assert_int_equal(read_slot(4).id.epoch, 0);
		assert_state(4, PX_SLOT_FREE);
		assert_int_equal(late.epoch, 0);
	}
	assert_int_equal(at, 1 + 3 * 2); /* its page, and three pairs of links */
	assert_int_equal(late.slot, 4);
	/* Links of other members were not damaged meanwhile. */
	memset(told, 0xbb, sizeof(told));
	block = map_block(engines[1].slot);
	assert_memory_equal((void *)&block->links[client.slot], told, sizeof(told));
	unmap_block(block);
	before = reserved_bytes();
	for (int i = 0; i < 3; i++)
		touch_pair(late, engines[i]);
	assert_int_equal(reserved_bytes(), before);
}

static void join_failing_in_a_used_slot_is_bounded(void **state)
{
	struct px_member_id engine = join_live(PX_MEMBER_ENGINE), client, late;
	uint64_t most;

	(void)state;
	client = join_live(PX_MEMBER_CLIENT);
	most = reserved_bytes();
	px_member_mark_dead(segment, client, &by_signal);
	assert_int_equal(sweep(), 0);
	for (int at = 0; at < 3; at++) {
		start_script(at, -ENOSPC);
		assert_int_equal(px_member_join(segment, PX_MEMBER_CLIENT, -1, &late), PX_ENOMEM);
		px_os = real;
		assert_in_range(reserved_bytes(), 0, most);
		assert_state(client.slot, PX_SLOT_FREE);
	}
	late = join(PX_MEMBER_CLIENT);
	assert_int_equal(late.slot, client.slot);
	assert_int_equal(reserved_bytes(), most);
	touch_pair(engine, late);
	assert_int_equal(reserved_bytes(), most);
}

/* --- sweep --- */

struct freed {
	uint32_t slot;
	uint64_t units;
	int calls;
};

static void note_freed(void *ctx, uint32_t slot, uint64_t units)
{
	*(struct freed *)ctx = (struct freed){ slot, units, ((struct freed *)ctx)->calls + 1 };
}

static void sweep_nobody_linked_frees_all(void **state)
{
	struct px_member_id other = join_live(PX_MEMBER_CLIENT);
	uint64_t before = reserved_bytes();
	struct px_member_id id = join_live(PX_MEMBER_CLIENT);
	struct freed freed = { 0 };

	(void)state;
	give_units(other.slot, 4, 1);
	give_units(id.slot, 0, 3);
	give_units(id.slot, 5, 1);
	give_units(id.slot, UNITS - 1, 1);
	px_member_mark_dead(segment, id, &by_signal);
	assert_int_equal(px_member_sweep(segment, note_freed, &freed), 0);
	assert_int_equal(freed.calls, 1);
	assert_int_equal(freed.slot, id.slot);
	assert_int_equal(freed.units, 5);
	assert_int_equal(reserved_bytes(), before + PX_UNIT_BYTES);
	for (unsigned i = 0; i < UNITS; i++)
		assert_int_equal(atomic_load(&segment->units[i]), i == 4 ? other.slot + 1 : 0);
	/* Once more, and again: there is nothing to do. */
	assert_int_equal(px_member_sweep(segment, note_freed, &freed), 0);
	assert_int_equal(px_member_sweep(segment, note_freed, &freed), 0);
	assert_int_equal(freed.calls, 1);
	assert_true(px_member_alive(segment, other));
}

/* An engine, and a client that has a link open to it. */
static struct pair {
	struct px_member_id engine, client;
	struct px_block_shm *block; /* the client's */
	struct px_link_shm *link;   /* what it says to the engine */
} pair;

static void make_pair(void)
{
	pair.engine = join_live(PX_MEMBER_ENGINE);
	pair.client = join_live(PX_MEMBER_CLIENT);
	pair.block = map_block(pair.client.slot);
	pair.link = &pair.block->links[pair.engine.slot];
	assert_true(px_member_link_open(segment, pair.link, pair.engine));
}

static void sweep_link_open_keeps_slot_dead(void **state)
{
	struct px_block_shm *left;
	uint64_t before;

	(void)state;
	make_pair();
	give_units(pair.engine.slot, 2, 2);
	left = map_block(pair.engine.slot);
	left->crash[100] = 42;
	unmap_block(left);
	before = reserved_bytes();
	px_member_mark_dead(segment, pair.engine, &by_signal);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sweep(), 1);
	assert_state(pair.engine.slot, PX_SLOT_DEAD);
	assert_int_equal(reserved_bytes(), before);
	assert_true(px_segment_owned(segment, segment->arena_offset + 2 * (uint64_t)PX_UNIT_BYTES,
				     1, pair.engine.slot));
	assert_int_equal(px_segment_block(segment, pair.engine.slot)->crash[100], 42);
	assert_int_equal(join(PX_MEMBER_ENGINE).slot, 2); /* not that one */
	px_member_link_close(pair.link);
	assert_int_equal(sweep(), 0);
	assert_state(pair.engine.slot, PX_SLOT_FREE);
	assert_false(px_segment_owned(segment, segment->arena_offset + 2 * (uint64_t)PX_UNIT_BYTES,
				      1, pair.engine.slot));
	unmap_block(pair.block);
}

static void sweep_link_of_the_dead_counts_for_nothing(void **state)
{
	(void)state;
	make_pair();
	px_member_mark_dead(segment, pair.engine, &by_signal);
	px_member_mark_dead(segment, pair.client, &by_signal);
	assert_int_equal(sweep(), 0);
	assert_state(pair.engine.slot, PX_SLOT_FREE);
	assert_state(pair.client.slot, PX_SLOT_FREE);
	unmap_block(pair.block);
}

static void sweep_link_to_an_earlier_occupant_counts_for_nothing(void **state)
{
	(void)state;
	make_pair();
	/* As a client that writes garbage would leave it. */
	atomic_store(&pair.link->epoch, pair.engine.epoch + 1);
	px_member_mark_dead(segment, pair.engine, &by_signal);
	assert_int_equal(sweep(), 0);
	unmap_block(pair.block);
}

/*
 * Reading a hole allocates a page, so the sweep may only read what a join has reserved. That is
 * not the case between two engines, nor for members that joined after the death.
 */
static void sweep_makes_no_pages(void **state)
{
	struct px_member_id late[2];
	uint64_t before;

	(void)state;
	make_pair();
	for (int i = 0; i < 4; i++)
		join_live(PX_MEMBER_ENGINE);
	before = reserved_bytes();
	px_member_mark_dead(segment, pair.engine, &by_signal);
	assert_int_equal(sweep(), 1);
	assert_int_equal(reserved_bytes(), before);
	late[0] = join_live(PX_MEMBER_CLIENT);
	late[1] = join_live(PX_MEMBER_ENGINE);
	before = reserved_bytes();
	assert_int_equal(sweep(), 1);
	assert_int_equal(reserved_bytes(), before);
	px_member_mark_dead(segment, late[0], &by_signal);
	px_member_mark_dead(segment, late[1], &by_signal);
	before = reserved_bytes();
	assert_int_equal(sweep(), 1);
	assert_in_range(reserved_bytes(), 0, before - 1);
	px_member_link_close(pair.link);
	assert_int_equal(sweep(), 0);
	unmap_block(pair.block);
}

/* The dead engine's pages cannot be given back: the next occupant would not find zeros. */
static void sweep_punch_failing_keeps_slot_dead(void **state)
{
	struct freed freed = { 0 };
	struct px_member_id id;
	uint64_t before = reserved_bytes();
	int at;

	(void)state;
	id = join_live(PX_MEMBER_ENGINE);
	give_units(id.slot, 0, 1);
	give_units(id.slot, 3, 2);
	px_member_mark_dead(segment, id, &by_signal);
	for (at = 0; at < 3; at++) { /* two runs of units and the block */
		start_script(at, -EIO);
		assert_int_equal(px_member_sweep(segment, note_freed, &freed), 1);
		px_os = real;
		assert_state(id.slot, PX_SLOT_DEAD);
		assert_int_equal(freed.calls, 0);
	}
	start_script(at, -EIO);
	assert_int_equal(px_member_sweep(segment, note_freed, &freed), 0);
	px_os = real;
	assert_int_equal(freed.units, 3);
	assert_int_equal(reserved_bytes(), before);
}

/* Interrupted in the middle, before or after each punch, then started over. */
static void sweep_begun_again_after_any_step_ends_the_same(void **state)
{
	uint64_t before;

	(void)state;
	join_live(PX_MEMBER_CLIENT);
	before = reserved_bytes();
	for (int step = 0; step < 6; step++) {
		struct px_member_id id = join_live(PX_MEMBER_CLIENT);

		give_units(id.slot, 0, 2);
		give_units(id.slot, 7, 1);
		px_member_mark_dead(segment, id, &by_signal);
		start_script(step / 2, 0);
		script.after = step % 2;
		if (setjmp(script.out) == 0) {
			(void)sweep();
			fail_msg("step %d was not reached", step);
		}
		px_os = real;
		assert_int_equal(sweep(), 0);
		assert_state(id.slot, PX_SLOT_FREE);
		assert_int_equal(reserved_bytes(), before);
		for (unsigned i = 0; i < UNITS; i++)
			assert_int_equal(atomic_load(&segment->units[i]), 0);
	}
	/* No call between the stores can be scripted, so the words are set as they leave them. */
	for (unsigned left = 0; left <= 3; left++) {
		struct px_member_id id = join_live(PX_MEMBER_CLIENT);

		give_units(id.slot, 3 - left, left);
		assert_int_equal(px_segment_punch(segment, segment->arena_offset,
						  segment->arena_bytes),
				 0);
		px_member_mark_dead(segment, id, &by_signal);
		assert_int_equal(px_segment_punch(segment,
						  px_segment_block_offset(segment, id.slot),
						  sizeof(struct px_block_shm)),
				 0);
		assert_int_equal(sweep(), 0);
		assert_int_equal(reserved_bytes(), before);
	}
}

static void reuse_10000_times_takes_no_more_memory(void **state)
{
	struct px_member_id engine = join_live(PX_MEMBER_ENGINE);
	struct px_block_shm *of_engine = map_block(engine.slot);
	uint64_t after_first = 0;

	(void)state;
	for (uint32_t i = 1; i <= 10000; i++) {
		struct px_member_id client = join(PX_MEMBER_CLIENT);
		struct px_block_shm *block;

		assert_int_equal(client.slot, 1);
		assert_int_equal(client.epoch, i);
		if (i % 500 == 1) {
			block = map_block(client.slot);
			assert_int_equal(atomic_load(&block->links[engine.slot].epoch), 0);
			assert_true(px_member_link_open(segment, &block->links[engine.slot],
							engine));
			unmap_block(block);
			give_units(client.slot, i % UNITS, 1);
			px_member_live(segment, client, getpid());
		}
		assert_true(px_member_link_open(segment, &of_engine->links[client.slot], client));
		px_member_mark_dead(segment, client, &by_signal);
		assert_int_equal(sweep(), 1);
		px_member_link_close(&of_engine->links[client.slot]);
		assert_int_equal(sweep(), 0);
		if (i == 1)
			after_first = reserved_bytes();
	}
	assert_int_equal(reserved_bytes(), after_first);
	unmap_block(of_engine);
}

/* --- links --- */

static void link_open_wipes_what_was_said_before(void **state)
{
	(void)state;
	make_pair();
	atomic_store(&pair.link->consumed_seq, 99);
	atomic_store(&pair.link->released_seq, 98);
	for (unsigned i = 0; i < PX_LEASES_MAX; i++)
		atomic_store(&pair.link->released[i], 97);
	pair.link->first_chunk[0][5] = 96; /* the caller's ring */
	px_member_link_close(pair.link);
	assert_true(px_member_link_open(segment, pair.link, pair.engine));
	assert_int_equal(atomic_load(&pair.link->epoch), pair.engine.epoch);
	assert_int_equal(atomic_load(&pair.link->consumed_seq), PX_SEQ_START);
	assert_int_equal(atomic_load(&pair.link->released_seq), 0);
	for (unsigned i = 0; i < PX_LEASES_MAX; i++)
		assert_int_equal(atomic_load(&pair.link->released[i]), 0);
	assert_int_equal(pair.link->first_chunk[0][5], 96);
	unmap_block(pair.block);
}

static void link_open_dead_peer_is_refused_and_closed(void **state)
{
	struct px_member_id gone;

	(void)state;
	make_pair();
	px_member_link_close(pair.link);
	px_member_mark_dead(segment, pair.engine, &by_signal);
	assert_false(px_member_link_open(segment, pair.link, pair.engine));
	assert_int_equal(atomic_load(&pair.link->epoch), 0);
	assert_int_equal(sweep(), 0);
	gone = pair.engine;
	pair.engine = join_live(PX_MEMBER_ENGINE);
	assert_int_equal(pair.engine.slot, gone.slot);
	assert_false(px_member_link_open(segment, pair.link, gone));
	assert_int_equal(atomic_load(&pair.link->epoch), 0);
	assert_true(px_member_link_open(segment, pair.link, pair.engine));
	unmap_block(pair.block);
}

/* --- the same by threads through one mapping, for TSan --- */

#define ROUNDS 1000

static struct race {
	_Atomic int round, opened, swept; /* the round in which it was done */
	_Atomic int engine_epoch;
	_Atomic int broken;
} race;

static void wait_until(_Atomic int *word, int value)
{
	while (atomic_load(word) < value)
		sched_yield();
}

static void *open_in_each_round(void *ctx)
{
	uint32_t slot = pair.engine.slot;

	(void)ctx;
	for (int i = 1; i <= ROUNDS; i++) {
		struct px_member_id peer = { .slot = slot };

		wait_until(&race.round, i);
		peer.epoch = (uint32_t)atomic_load(&race.engine_epoch);
		if (i % 3 == 0)
			sched_yield();
		if (px_member_link_open(segment, pair.link, peer)) {
			/* From here on the slot cannot be freed before we close the link. */
			wait_until(&race.swept, i);
			if (atomic_load(&segment->members[slot].state) == PX_SLOT_FREE ||
			    atomic_load(&segment->members[slot].epoch) != peer.epoch)
				atomic_store(&race.broken, i);
			px_member_link_close(pair.link);
		}
		atomic_store(&race.opened, i);
	}
	return NULL;
}

static void link_open_while_swept_one_sees_the_other(void **state)
{
	pthread_t thread;

	(void)state;
	memset(&race, 0, sizeof(race));
	make_pair();
	px_member_link_close(pair.link);
	assert_int_equal(pthread_create(&thread, NULL, open_in_each_round, NULL), 0);
	for (int i = 1; i <= ROUNDS; i++) {
		atomic_store(&race.engine_epoch, (int)pair.engine.epoch);
		atomic_store(&race.round, i);
		if (i % 2)
			sched_yield();
		px_member_mark_dead(segment, pair.engine, &by_signal);
		(void)sweep();
		atomic_store(&race.swept, i);
		wait_until(&race.opened, i);
		assert_int_equal(sweep(), 0);
		pair.engine = join(PX_MEMBER_ENGINE);
		assert_int_equal(pair.engine.slot, 0);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(atomic_load(&race.broken), 0);
	unmap_block(pair.block);
}

/* All fields of an occupant are derived from its epoch, so that a mixture of two is noticed. */
static bool mixed(const struct px_member *m)
{
	if (m->state == PX_SLOT_FREE)
		return false;
	return m->engine_id != (int32_t)m->id.epoch || m->kind != PX_MEMBER_ENGINE ||
	       (m->state == PX_SLOT_LIVE && m->pid != INT32_MAX - (int32_t)m->id.epoch) ||
	       (m->state == PX_SLOT_DEAD && m->exit_code != (int32_t)m->id.epoch);
}

static void *read_all_the_time(void *ctx)
{
	struct px_member m;

	while (!atomic_load(&race.swept)) {
		if (px_member_read(segment, 0, &m) < 0 || mixed(&m))
			atomic_store(&race.broken, 1);
		(*(long *)ctx)++;
	}
	return NULL;
}

static void read_while_changed_never_mixes(void **state)
{
	long reads = 0;
	pthread_t thread;

	(void)state;
	memset(&race, 0, sizeof(race));
	assert_int_equal(pthread_create(&thread, NULL, read_all_the_time, &reads), 0);
	for (int32_t i = 1; i <= 4 * ROUNDS; i++) {
		const struct px_death death = { .exit_code = i };
		struct px_member_id id;

		assert_int_equal(px_member_join(segment, PX_MEMBER_ENGINE, i, &id), 0);
		assert_int_equal(id.slot, 0);
		assert_int_equal(id.epoch, i);
		px_member_live(segment, id, INT32_MAX - i);
		px_member_mark_dead(segment, id, &death);
		assert_int_equal(sweep(), 0);
	}
	atomic_store(&race.swept, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(reads > 0);
	assert_int_equal(atomic_load(&race.broken), 0);
}

/* --- real processes --- */

/* A client process that has only the descriptor; reports through the pipe, and is killed. */
static int be_client(struct px_member_id self, struct px_member_id engine, int say)
{
	struct px_segment *own;
	struct px_block_shm *block;
	void *at;

	if (px_segment_attach(fcntl(segment->fd, F_DUPFD_CLOEXEC, 0), &own) < 0 ||
	    px_segment_map(own, px_segment_block_offset(own, self.slot), sizeof(*block), &at) < 0)
		return 1;
	block = at;
	block->links[engine.slot].first_chunk[0][0] = 77;
	if (!px_member_link_open(own, &block->links[engine.slot], engine))
		return 2;
	if (write(say, "!", 1) != 1)
		return 3;
	pause();
	return 4;
}

static void sweep_killed_process_is_read_to_the_end(void **state)
{
	struct px_member_id engine = join_live(PX_MEMBER_ENGINE), client = join(PX_MEMBER_CLIENT);
	const struct px_link_shm *theirs;
	struct px_block_shm *block = map_block(engine.slot);
	struct px_link_shm *ours = &block->links[client.slot];
	int status, say[2];
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(pipe(say), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		_exit(be_client(client, engine, say[1]));
	}
	close(say[1]);
	px_member_live(segment, client, child);
	assert_int_equal(read_slot(client.slot).start_time, px_member_start_time(child));
	assert_int_equal(read(say[0], &byte, 1), 1); /* 0: it did not get so far */
	close(say[0]);
	assert_true(px_member_link_open(segment, ours, client));

	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	px_member_mark_dead(segment, client, &(struct px_death){ .exit_signal = WTERMSIG(status) });
	assert_int_equal(sweep(), 1);
	theirs = &px_segment_block(segment, client.slot)->links[engine.slot];
	assert_int_equal(atomic_load(&theirs->epoch), engine.epoch);
	assert_int_equal(theirs->first_chunk[0][0], 77);
	px_member_link_close(ours);
	assert_int_equal(sweep(), 0);
	assert_state(client.slot, PX_SLOT_FREE);

	/* The next one finds zeros. */
	client = join(PX_MEMBER_CLIENT);
	assert_int_equal(atomic_load(&theirs->epoch), 0);
	assert_int_equal(theirs->first_chunk[0][0], 0);
	unmap_block(block);
}

/* --- the rest --- */

static int wakes;

static void count_wake(_Atomic uint32_t *word)
{
	(void)word;
	wakes++;
}

static void announce_counts_and_wakes_all(void **state)
{
	struct px_member_id asleep = join_live(PX_MEMBER_CLIENT), joining = join(PX_MEMBER_ENGINE);
	uint64_t seq = atomic_load(&segment->header->members_seq);
	uint32_t before = atomic_load(&segment->bells[asleep.slot].seq);

	(void)state;
	wakes = 0;
	px_os.futex_wake = count_wake;
	join_live(PX_MEMBER_CLIENT); /* may sleep: somebody who died had its announcement */
	px_doorbell_announce(&segment->bells[asleep.slot], PX_BELL_RELEASE);
	px_doorbell_announce(&segment->bells[joining.slot], PX_BELL_FRAME);
	px_doorbell_announce(&segment->bells[PX_MEMBERS_MAX - 1], PX_BELL_FRAME); /* no member's */
	px_member_announce(segment);
	assert_int_equal(atomic_load(&segment->header->members_seq), seq + 1);
	assert_int_equal(atomic_load(&segment->bells[asleep.slot].seq), before + 1);
	assert_int_equal(wakes, 3);
}

static int with_name(const char *name)
{
	uint64_t start;

	if (prctl(PR_SET_NAME, name) < 0)
		return 1;
	start = px_member_start_time(getpid());
	if (prctl(PR_SET_NAME, "plain") < 0)
		return 1;
	return start > 0 && start == px_member_start_time(getpid()) ? 0 : 2;
}

static void start_time_odd_names_do_not_matter(void **state)
{
	static const char *const names[] = { ") S 1 2", "(", "))))", "a b\nc", ") 9 9 9 9 9 9" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (child == 0)
			_exit(with_name(names[i]));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

static void start_time_of_nobody_is_0(void **state)
{
	(void)state;
	assert_int_equal(px_member_start_time(0), 0);
	assert_int_equal(px_member_start_time(-1), 0);
	assert_int_equal(px_member_start_time(INT32_MAX), 0);
}

#define ON(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(join_live_mark_dead_sweep_change_the_state),
		ON(read_no_such_slot_is_refused),
		ON(join_epochs_exhausted_skips_0),
		ON(join_all_slots_taken_says_nomem),
		ON(join_reserves_all_that_is_touched),
		ON(join_unused_pair_costs_under_16_kib),
		ON(join_failing_at_any_step_reserves_nothing),
		ON(join_failing_in_a_used_slot_is_bounded),
		ON(live_dead_member_stays_dead),
		ON(bury_again_keeps_the_first_reason),
		ON(bury_half_done_is_finished),
		ON(sweep_nobody_linked_frees_all),
		ON(sweep_link_open_keeps_slot_dead),
		ON(sweep_link_of_the_dead_counts_for_nothing),
		ON(sweep_link_to_an_earlier_occupant_counts_for_nothing),
		ON(sweep_makes_no_pages),
		ON(sweep_punch_failing_keeps_slot_dead),
		ON(sweep_begun_again_after_any_step_ends_the_same),
		ON(reuse_10000_times_takes_no_more_memory),
		ON(link_open_wipes_what_was_said_before),
		ON(link_open_dead_peer_is_refused_and_closed),
		ON(link_open_while_swept_one_sees_the_other),
		ON(read_while_changed_never_mixes),
		ON(sweep_killed_process_is_read_to_the_end),
		ON(announce_counts_and_wakes_all),
		ON(start_time_odd_names_do_not_matter),
		ON(start_time_of_nobody_is_0),
	};

	real = px_os;
	return run_cases(tests, NULL, NULL);
}
