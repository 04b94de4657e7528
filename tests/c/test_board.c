/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_board.c - tasks that are posted, claimed, taken back, and made again, without clients and loops.
 */
#include "tests/c/side.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "shm/board.h"
#include "shm/doorbell.h"
#include "shm/error.h"

#define ALL ((uint64_t[PX_ENGINES_MAX / 64]){ ~UINT64_C(0) })
#define ONLY(id) ((uint64_t[PX_ENGINES_MAX / 64]){ UINT64_C(1) << (id) })

static struct px_segment *segment;
static struct side client, engine, other;
static struct px_board *board;
static struct px_board_view view, others;

static int setup(void **state)
{
	(void)state;
	segment = side_segment(40);
	side_open(&client, segment, PX_MEMBER_CLIENT);
	side_open(&engine, segment, PX_MEMBER_ENGINE);
	side_open(&other, segment, PX_MEMBER_ENGINE);
	assert_int_equal(px_board_open(client.endpoint->segment, client.endpoint->arena,
				       client.endpoint->block, &board),
			 0);
	assert_int_equal(px_board_lane(board, 0, ALL), 0);
	px_board_view_open(&view, engine.endpoint->segment, client.id.slot);
	px_board_view_open(&others, other.endpoint->segment, client.id.slot);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	px_board_view_close(&view);
	px_board_view_close(&others);
	px_board_close(board);
	side_close(&client);
	side_close(&engine);
	side_close(&other);
	px_segment_detach(segment);
	return 0;
}

/* A task that says its id, in an entry that it had got. */
static uint32_t post_in(uint32_t lane, uint64_t id)
{
	struct px_task_shm *task;
	uint32_t entry;

	assert_int_equal(px_board_get(board, &entry, &task), 0);
	task->id = id;
	assert_int_equal(px_board_post(board, lane, entry), 0);
	return entry;
}

static uint32_t post(uint64_t id)
{
	return post_in(0, id);
}

/* The id of what that engine gets, 0 for nothing. */
static uint64_t claim_as(struct px_board_view *by, uint32_t engine_id, const struct side *side)
{
	struct px_task_shm task;
	int rc;

	if (!px_board_view_ready(by, engine_id))
		return 0;
	rc = px_board_claim(by, engine_id, side->id, &task);
	assert_true(rc >= 0);
	return rc ? task.id : 0;
}

static uint64_t claim(void)
{
	return claim_as(&view, 0, &engine);
}

static void tasks_are_claimed_in_their_order_each_once(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 10; id++)
		post(id);
	for (uint64_t id = 1; id <= 10; id += 2) {
		assert_int_equal(claim(), id);
		assert_int_equal(claim_as(&others, 1, &other), id + 1);
	}
	assert_int_equal(claim(), 0);
	assert_false(px_board_view_ready(&others, 1));
}

static void who_has_claimed_it_is_known(void **state)
{
	uint32_t entry = post(1);
	struct px_member_id who;

	(void)state;
	assert_false(px_board_claimer(board, entry, &who));
	assert_int_equal(claim(), 1);
	assert_true(px_board_claimer(board, entry, &who));
	assert_true(px_board_same(who, engine.id));
	assert_false(px_board_same(who, other.id));
	/* The next process in that slot is somebody else. */
	assert_false(px_board_same(who,
				   (struct px_member_id){ engine.id.slot, engine.id.epoch + 1 }));
}

static void what_is_taken_back_is_not_claimed(void **state)
{
	uint32_t first = post(1), second = post(2);

	(void)state;
	assert_true(px_board_withdraw(board, first));
	assert_int_equal(claim(), 2);
	assert_int_equal(claim(), 0);
	assert_false(px_board_withdraw(board, second));
	assert_false(px_board_withdraw(board, first));
}

static void entry_is_used_again_under_another_generation(void **state)
{
	uint32_t entry = post(1);

	(void)state;
	for (uint64_t id = 2; id < 3 * PX_TASKS_MAX; id++) {
		assert_true(px_board_withdraw(board, entry));
		px_board_put(board, entry);
		assert_int_equal(post(id), entry);
	}
	/* Every order but the last one names a generation that is over. */
	assert_int_equal(claim(), 3 * PX_TASKS_MAX - 1);
	assert_int_equal(claim(), 0);
}

static void all_entries_can_be_out_and_come_back(void **state)
{
	struct px_task_shm *task;
	uint32_t entries[PX_TASKS_MAX], none;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < PX_TASKS_MAX; i++)
			entries[i] = post(i + 1);
		assert_int_equal(px_board_get(board, &none, &task), PX_EAGAIN);
		for (uint32_t i = 0; i < PX_TASKS_MAX; i++)
			assert_int_equal(claim(), i + 1);
		for (uint32_t i = 0; i < PX_TASKS_MAX; i++)
			px_board_put(board, entries[i]);
	}
}

static void lane_is_full_of_what_is_ready_and_of_nothing_else(void **state)
{
	uint32_t entry = post(1), last;

	(void)state;
	/* One that waits, and orders behind it that are over: the client goes past none of them. */
	last = post(2);
	for (uint32_t i = 2; i < PX_TASKS_MAX; i++) {
		assert_true(px_board_withdraw(board, last));
		assert_int_equal(px_board_post(board, 0, last), 0);
	}
	assert_true(px_board_withdraw(board, last));
	assert_int_equal(px_board_post(board, 0, last), PX_EAGAIN);
	/* The first is over, too: now it does. */
	assert_true(px_board_withdraw(board, entry));
	assert_int_equal(px_board_post(board, 0, last), 0);
	assert_int_equal(claim(), 2);
}

static void engine_takes_from_its_lanes_only(void **state)
{
	(void)state;
	assert_int_equal(px_board_lane(board, 1, ONLY(1)), 0);
	post_in(1, 1);
	assert_false(px_board_view_ready(&view, 0));
	assert_int_equal(claim(), 0);
	assert_int_equal(claim_as(&others, 1, &other), 1);
	/* An empty lane may become that of others. */
	assert_int_equal(px_board_lane(board, 1, ONLY(0)), 0);
	post_in(1, 2);
	assert_int_equal(claim_as(&others, 1, &other), 0);
	assert_int_equal(claim(), 2);
}

/* An engine that was counted as idle begins something else, before it has seen the lane. */
static void what_is_ready_in_a_new_lane_is_passed_on(void **state)
{
	struct px_doorbell_shm *bell = &segment->bells[other.id.slot];
	uint32_t ticket;

	(void)state;
	atomic_store(&segment->rw.engines[1].slot, other.id.slot);
	atomic_store(&segment->rw.engines[1].state, PX_ENGINE_UP);
	atomic_store(&segment->rw.header->engines_count, 2);
	assert_int_equal(claim(), 0);
	ticket = px_doorbell_announce(bell, PX_BELL_TASK);
	assert_int_equal(px_board_lane(board, 1, ONLY(1)), 0);
	px_board_pass_on(&view);
	assert_int_equal(atomic_load(&bell->seq), ticket);
	post_in(1, 1);
	px_board_pass_on(&view);
	assert_int_not_equal(atomic_load(&bell->seq), ticket);
	assert_int_equal(claim_as(&others, 1, &other), 1);
}

static void what_a_dead_engine_claimed_can_be_posted_again(void **state)
{
	uint32_t entry = post(1);

	(void)state;
	post(2);
	assert_int_equal(claim(), 1);
	side_kill(&engine, &(struct px_death){ .exit_signal = 9 });
	assert_int_equal(px_board_post(board, 0, entry), 0);
	assert_int_equal(claim_as(&others, 1, &other), 2);
	assert_int_equal(claim_as(&others, 1, &other), 1);
}

/* --- claims that somebody has scribbled on */

static void scribbled_hints_lose_nothing(void **state)
{
	static const uint64_t steps[] = { 1, 2, 3, 4, 1000000, UINT64_MAX, UINT64_MAX / 2 };
	uint32_t entries[3];

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		uint64_t posted = atomic_load(&board->lanes[0]->posted), sum = 0;

		for (uint32_t k = 0; k < 3; k++)
			entries[k] = post(k + 1);
		atomic_store(&board->claims->lanes[0].next, posted + steps[i]);
		px_board_mend(board);
		for (uint32_t k = 0; k < 3; k++)
			if (px_board_lost(board, entries[k])) {
				assert_true(px_board_withdraw(board, entries[k]));
				assert_int_equal(px_board_post(board, 0, entries[k]), 0);
			}
		for (uint32_t k = 0; k < 3; k++)
			sum += claim();
		assert_int_equal(sum, 6);
		assert_int_equal(claim(), 0);
		for (uint32_t k = 0; k < 3; k++)
			px_board_put(board, entries[k]);
	}
}

static void scribbled_words_are_noticed(void **state)
{
	uint32_t entry = post(1);

	(void)state;
	assert_false(px_board_lost(board, entry));
	atomic_store(&board->claims->words[entry], 0);
	assert_true(px_board_lost(board, entry));
	assert_int_equal(px_board_post(board, 0, entry), 0);
	atomic_store(&board->claims->words[entry], UINT64_MAX);
	assert_true(px_board_lost(board, entry));
	assert_int_equal(px_board_post(board, 0, entry), 0);
	assert_false(px_board_lost(board, entry));
	assert_int_equal(claim(), 1);
	assert_false(px_board_lost(board, entry));
}

static void offsets_outside_of_the_client_s_memory_are_refused(void **state)
{
	struct px_board_shm *shared = &client.endpoint->block->board;
	struct px_task_shm task;
	uint64_t claims = atomic_load(&shared->claims), piece;

	(void)state;
	post(1);
	atomic_store(&shared->claims, segment->blocks_offset);
	assert_false(px_board_view_ready(&view, 0));
	assert_int_equal(px_board_claim(&view, 0, engine.id, &task), PX_ECORRUPT);
	assert_non_null(strstr(px_last_error(), "task board"));
	atomic_store(&shared->claims, claims);
	piece = atomic_exchange(&shared->pieces[0], segment->total_bytes);
	assert_int_equal(px_board_claim(&view, 0, engine.id, &task), PX_ECORRUPT);
	post(2);
	atomic_store(&shared->pieces[0], piece + 1);
	assert_int_equal(px_board_claim(&view, 0, engine.id, &task), PX_ECORRUPT);
	atomic_store(&shared->pieces[0], piece);
	/* A lane that cannot be is not looked at. */
	for (int i = 1; i < PX_LANES_MAX; i++)
		atomic_store(&shared->lanes[i], UINT64_MAX - 63);
	assert_false(px_board_view_ready(&others, 1));
	assert_int_equal(others.count, 1);
}

/* --- many at once */

#define THREADS 3
#define ROUNDS 20000

static _Atomic uint32_t counts[ROUNDS + 1];
static _Atomic uint32_t answered;

struct claimer {
	pthread_t thread;
	uint32_t number;
	struct px_member_id id;
	/* As a ring would: what it has claimed, for the client. */
	_Atomic uint64_t said, heard;
};

static void *keep_claiming(void *ctx)
{
	struct claimer *c = ctx;
	struct px_board_view mine;
	struct px_task_shm task;

	px_board_view_open(&mine, engine.endpoint->segment, client.id.slot);
	while (atomic_load(&answered) < ROUNDS) {
		if (!px_board_view_ready(&mine, c->number) ||
		    px_board_claim(&mine, c->number, c->id, &task) <= 0) {
			sched_yield();
			continue;
		}
		atomic_fetch_add(&counts[task.id], 1);
		while (atomic_load(&c->heard) != atomic_load(&c->said) &&
		       atomic_load(&answered) < ROUNDS)
			sched_yield();
		atomic_store(&c->said, task.id);
	}
	px_board_view_close(&mine);
	return NULL;
}

/*
 * A lane may be full though fewer are out: who claims by a hint that was late leaves older ones behind it
 * for a moment, and a lane has room behind its oldest one that is ready.
 */
static bool try_post(uint64_t id, uint32_t *entry)
{
	struct px_task_shm *task;
	int rc;

	assert_int_equal(px_board_get(board, entry, &task), 0);
	task->id = id;
	rc = px_board_post(board, 0, *entry);
	if (rc == PX_EAGAIN)
		px_board_put(board, *entry);
	else
		assert_int_equal(rc, 0);
	return rc == 0;
}

/* One posts and takes back now and then, three claim: each id once. */
static void several_claim_each_task_once(void **state)
{
	struct claimer claimers[THREADS] = { 0 };
	uint32_t entries[ROUNDS + 1], posted = 0, out = 0, withdrawn = 0;

	(void)state;
	for (uint32_t i = 0; i < THREADS; i++) {
		claimers[i].number = i;
		claimers[i].id = (struct px_member_id){ 100 + i, 7 };
		assert_int_equal(pthread_create(&claimers[i].thread, NULL, keep_claiming,
						&claimers[i]),
				 0);
	}
	while (atomic_load(&answered) < ROUNDS) {
		if (posted < ROUNDS && out < PX_TASKS_MAX &&
		    try_post(posted + 1, &entries[posted + 1])) {
			posted++;
			out++;
			if (posted % 7 == 0 && px_board_withdraw(board, entries[posted])) {
				px_board_put(board, entries[posted]);
				atomic_fetch_add(&counts[posted], 1);
				atomic_fetch_add(&answered, 1);
				out--;
				withdrawn++;
			}
		}
		for (uint32_t i = 0; i < THREADS; i++) {
			uint64_t id = atomic_load(&claimers[i].said);

			if (id == atomic_load(&claimers[i].heard))
				continue;
			px_board_put(board, entries[id]);
			out--;
			atomic_store(&claimers[i].heard, id);
			atomic_fetch_add(&answered, 1);
		}
		sched_yield();
	}
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(claimers[i].thread, NULL);
	for (uint32_t i = 1; i <= ROUNDS; i++)
		assert_int_equal(atomic_load(&counts[i]), 1);
	assert_int_equal(out, 0);
	assert_true(withdrawn < ROUNDS);
}

#define BOARD_CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest cases[] = {
		BOARD_CASE(tasks_are_claimed_in_their_order_each_once),
		BOARD_CASE(who_has_claimed_it_is_known),
		BOARD_CASE(what_is_taken_back_is_not_claimed),
		BOARD_CASE(entry_is_used_again_under_another_generation),
		BOARD_CASE(all_entries_can_be_out_and_come_back),
		BOARD_CASE(lane_is_full_of_what_is_ready_and_of_nothing_else),
		BOARD_CASE(engine_takes_from_its_lanes_only),
		BOARD_CASE(what_is_ready_in_a_new_lane_is_passed_on),
		BOARD_CASE(what_a_dead_engine_claimed_can_be_posted_again),
		BOARD_CASE(scribbled_hints_lose_nothing),
		BOARD_CASE(scribbled_words_are_noticed),
		BOARD_CASE(offsets_outside_of_the_client_s_memory_are_refused),
		BOARD_CASE(several_claim_each_task_once),
	};

	return run_cases(cases, NULL, NULL);
}
