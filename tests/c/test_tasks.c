/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_tasks.c - what becomes of a client's tasks; the case plays two engines.
 */
#include "tests/c/side.h"

#include <stdlib.h>
#include <string.h>

#include "client/placing.h"
#include "client/tasks.h"
#include "link/task.h"
#include "shm/error.h"

#define SECOND UINT64_C(1000000000)
#define LIMIT (30 * SECOND)

static struct px_segment *segment;
static struct side client, engines[2];
static struct px_board_view boards[2];

static void meet(int i)
{
	side_open(&engines[i], segment, PX_MEMBER_ENGINE);
	side_show_engine(&engines[i], (uint32_t)i, PX_ENGINE_UP);
}

static int setup(void **state)
{
	(void)state;
	segment = side_segment(60);
	meet(0);
	meet(1);
	side_attach(&client, segment);
	for (int i = 0; i < 2; i++)
		px_board_view_open(&boards[i], engines[i].endpoint->segment, client.id.slot);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		px_board_view_close(&boards[i]);
	side_close(&client);
	for (int i = 0; i < 2; i++)
		side_close(&engines[i]);
	px_segment_detach(segment);
	return 0;
}

static struct px_result *tasks(uint32_t count)
{
	struct px_result *result;

	assert_int_equal(px_result_new_tasks(client.client, count, &result), 0);
	return result;
}

static int try_to_post(struct px_result *result, const char *body, const struct px_engine_set *who,
		       uint32_t retries)
{
	struct px_outgoing message = { .kind = PX_REQUEST_NOOP,
				       .body = body,
				       .body_bytes = strlen(body) };

	return px_tasks_post(result, &message, who, NULL, retries);
}

static void post(struct px_result *result, const char *body)
{
	assert_int_equal(try_to_post(result, body, NULL, 0), 0);
}

/* One task with so many retries. */
static struct px_result *one(const char *body, uint32_t retries)
{
	struct px_result *result = tasks(1);

	assert_int_equal(try_to_post(result, body, NULL, retries), 0);
	return result;
}

static struct px_engine_set only(uint32_t id)
{
	struct px_engine_set set;

	assert_int_equal(px_engine_set(&id, 1, &set), 0);
	return set;
}

/* Claims the next, which has this body; its id. 0: there is none. */
static uint64_t take(int i, const char *body)
{
	struct px_task_shm task;
	struct px_incoming in;
	void *copy;

	if (!px_board_view_ready(&boards[i], (uint32_t)i) ||
	    px_board_claim(&boards[i], (uint32_t)i, engines[i].id, &task) <= 0)
		return 0;
	if (!engines[i].link)
		assert_int_equal(px_endpoint_link(engines[i].endpoint, client.id, &engines[i].link),
				 0);
	assert_int_equal(px_task_decode(engines[i].link, &task, &copy, &in), 1);
	assert_int_equal(in.body_bytes, strlen(body));
	assert_memory_equal(in.body, body, in.body_bytes);
	px_incoming_free(&in);
	free(copy);
	return task.id;
}

static void answer(int i, uint64_t id, int code, const char *words)
{
	struct px_outgoing out = {
		.kind = PX_REPLY, .id = id, .code = code, .body = words, .body_bytes = strlen(words)
	};

	assert_int_equal(px_link_send(engines[i].link, &out), 0);
}

static void kill_engine(int i)
{
	side_kill(&engines[i], &(struct px_death){ .exit_signal = 9 });
	side_show_engine(&engines[i], (uint32_t)i, PX_ENGINE_GONE);
}

static void expect(struct px_result *result, uint32_t entry, int code)
{
	struct px_request *request = &result->requests[entry];

	assert_int_equal(px_request_wait(request, LIMIT), 0);
	assert_int_equal(request->code, code);
}

static void expect_words(struct px_result *result, int code, const char *words)
{
	expect(result, 0, code);
	if (!strstr(result->requests[0].words, words))
		fail_msg("'%s' is not in: %s", words, result->requests[0].words);
	px_result_free(result);
}

/* --- to the end */

static void any_engine_s_answer_finds_its_task(void **state)
{
	struct px_result *result = tasks(3);
	uint64_t a, b, c;

	(void)state;
	post(result, "a");
	post(result, "b");
	post(result, "c");
	assert_int_equal(px_request_engine(&result->requests[0]), PX_NO_ENGINE);
	a = take(0, "a");
	b = take(1, "b");
	c = take(1, "c");
	assert_int_equal(px_request_engine(&result->requests[0]), 0);
	assert_int_equal(px_request_engine(&result->requests[2]), 1);
	answer(1, c, 0, "");
	answer(1, b, PX_EREMOTE, "no");
	expect(result, 2, 0);
	expect(result, 1, PX_EREMOTE);
	assert_false(px_request_is_done(&result->requests[0]));
	answer(0, a, 0, "");
	expect(result, 0, 0);
	assert_int_equal(px_request_engine(&result->requests[1]), 1);
	/* In the order in which they were answered. */
	assert_int_equal(result->requests[0].nth, 2);
	px_result_free(result);
}

static void long_bodies_and_buffers_arrive(void **state)
{
	static char body[3][40000];
	struct px_result *result = tasks(4);
	struct px_part part;
	struct px_outgoing message = { .kind = PX_REQUEST_NOOP,
				       .buffers = &part,
				       .buffers_count = 1 };
	struct px_task_shm task;
	struct px_incoming in;
	void *copy;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		memset(body[i], 'a' + (int)i, (size_t[]){ PX_TASK_BYTES, 9000, 39999 }[i]);
		post(result, body[i]);
	}
	for (int i = 0; i < 3; i++)
		answer(0, take(0, body[i]), 0, "");
	assert_int_equal(px_endpoint_copy(client.client->endpoint, body[2], 39999, &part), 0);
	assert_int_equal(px_tasks_post(result, &message, NULL, NULL, 0), 0);
	px_region_release(part.region); /* the task keeps it */
	assert_int_equal(px_board_claim(&boards[0], 0, engines[0].id, &task), 1);
	assert_int_equal(px_task_decode(engines[0].link, &task, &copy, &in), 1);
	assert_int_equal(in.buffers_count, 1);
	assert_int_equal(in.buffers[0]->bytes, 39999);
	assert_memory_equal(in.buffers[0]->shared, body[2], 39999);
	answer(0, task.id, 0, "");
	expect(result, 3, 0);
	/* A copy, which its receiver may keep. */
	assert_memory_equal(in.buffers[0]->shared, body[2], 39999);
	px_incoming_free(&in);
	free(copy);
	px_result_free(result);
}

static void more_than_the_board_holds_wait_and_follow(void **state)
{
	uint32_t count = 3 * PX_TASKS_MAX + 1;
	struct px_result *result = tasks(count);

	(void)state;
	for (uint32_t i = 0; i < count; i++)
		post(result, "x");
	for (uint32_t i = 0; i < count; i++) {
		uint64_t id = take((int)i % 2, "x");

		assert_int_not_equal(id, 0);
		answer((int)i % 2, id, 0, "");
		expect(result, i, 0);
	}
	assert_int_equal(take(0, ""), 0);
	px_result_free(result);
}

static void result_that_nobody_holds_goes_with_its_last_task(void **state)
{
	struct px_result *result = tasks(2);
	uint64_t id;

	(void)state;
	post(result, "a");
	post(result, "b");
	id = take(0, "a");
	px_result_free(result);
	answer(0, id, 0, "");
	answer(0, take(0, "b"), 0, "");
	assert_int_equal(px_client_wait_idle(client.client, LIMIT), 0);
	assert_false(px_tasks_any(client.client));
}

static void unanswered_tasks_are_outstanding(void **state)
{
	struct px_result *result = tasks(2), **found, *same;
	size_t count;

	(void)state;
	post(result, "a");
	post(result, "b");
	assert_int_equal(px_client_outstanding(client.client, &found, &count), 0);
	assert_int_equal(count, 1);
	assert_ptr_equal(found[0], result);
	px_result_release(found[0]);
	free(found);
	assert_int_equal(px_client_find(client.client, px_result_id(result), &same), 0);
	assert_ptr_equal(same, result);
	px_result_release(same);
	assert_int_equal(px_client_wait_idle(client.client, 1), PX_ETIMEDOUT);
	answer(0, take(0, "a"), 0, "");
	answer(0, take(0, "b"), 0, "");
	assert_int_equal(px_client_wait_idle(client.client, LIMIT), 0);
	px_result_free(result);
}

/* --- taken back */

static void waiting_task_is_taken_back_and_a_taken_one_is_not(void **state)
{
	struct px_result *result = tasks(2);
	uint64_t id;

	(void)state;
	post(result, "a");
	post(result, "b");
	id = take(0, "a");
	assert_int_equal(px_request_abort(&result->requests[0]), 0);
	assert_int_equal(px_request_abort(&result->requests[1]), 1);
	expect(result, 1, PX_EABORTED);
	assert_int_equal(take(1, ""), 0);
	answer(0, id, 0, "");
	expect(result, 0, 0);
	assert_int_equal(px_request_abort(&result->requests[0]), 0);
	px_result_free(result);
}

static void room_of_what_is_taken_back_is_used_again(void **state)
{
	struct px_result *result = tasks(2 * PX_TASKS_MAX);

	(void)state;
	for (uint32_t i = 0; i < 2 * PX_TASKS_MAX; i++)
		post(result, i < PX_TASKS_MAX ? "first" : "then");
	/* Also one that is not on the board yet. */
	assert_int_equal(px_request_abort(&result->requests[2 * PX_TASKS_MAX - 1]), 1);
	for (uint32_t i = 0; i < PX_TASKS_MAX; i++)
		assert_int_equal(px_request_abort(&result->requests[i]), 1);
	for (uint32_t i = PX_TASKS_MAX; i < 2 * PX_TASKS_MAX - 1; i++)
		answer(1, take(1, "then"), 0, "");
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	px_result_free(result);
}

/* --- engines that die, fail, or are not there */

static void task_of_a_dead_engine_fails_in_words(void **state)
{
	struct px_result *result = one("a", 0), *next = one("b", 0);

	(void)state;
	assert_int_not_equal(take(0, "a"), 0);
	kill_engine(0);
	expect_words(result, PX_EENGINE, "SIGKILL");
	answer(1, take(1, "b"), 0, "");
	expect(next, 0, 0);
	px_result_free(next);
}

static void task_of_a_dead_engine_runs_again_on_another(void **state)
{
	struct px_result *result = one("a", 1);

	(void)state;
	assert_int_not_equal(take(0, "a"), 0);
	kill_engine(0);
	assert_int_equal(px_client_poll(client.client), 0);
	answer(1, take(1, "a"), 0, "");
	expect(result, 0, 0);
	assert_int_equal(px_request_engine(&result->requests[0]), 1);
	px_result_free(result);
}

static void what_a_dead_engine_had_answered_counts(void **state)
{
	struct px_result *result = one("a", 5);

	(void)state;
	answer(0, take(0, "a"), 0, "");
	kill_engine(0);
	expect(result, 0, 0);
	assert_int_equal(take(1, ""), 0);
	px_result_free(result);
}

static void task_that_fails_is_tried_again_and_then_fails(void **state)
{
	struct px_result *result = one("a", 2);

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(px_client_poll(client.client), 0);
		assert_int_equal(px_result_ready(result), 0);
		answer(i % 2, take(i % 2, "a"), PX_EREMOTE, "no");
	}
	expect(result, 0, PX_EREMOTE);
	assert_int_equal(take(1, ""), 0);
	px_result_free(result);
}

static void words_of_abort_say_whether_it_has_failed_before(void **state)
{
	struct px_result *result = one("a", 1);

	(void)state;
	assert_int_equal(px_request_abort(&result->requests[0]), 1);
	expect_words(result, PX_EABORTED, "was aborted before it ran");
	result = one("a", 1);
	answer(0, take(0, "a"), PX_EREMOTE, "no");
	assert_int_equal(px_client_poll(client.client), 0);
	assert_int_equal(px_request_abort(&result->requests[0]), 1);
	expect_words(result, PX_EABORTED, "had failed, and was aborted before it ran again");
}

static void stopped_task_is_not_tried_again(void **state)
{
	struct px_result *result = one("a", 2);
	uint64_t id = take(0, "a");

	(void)state;
	px_task_stop(&result->requests[0]);
	answer(0, id, PX_EREMOTE, "KeyboardInterrupt");
	expect(result, 0, PX_EREMOTE);
	assert_int_equal(take(1, ""), 0);
	px_result_free(result);
}

/* What an engine answers whose code has raised UnmetDependency, or what looks like it. */
static void refuse(int i, uint64_t id, uint16_t flags)
{
	static const char words[] = "s\x0f\0\0\0\0\0\0\0UnmetDependency";
	struct px_outgoing out = { .kind = PX_REPLY,
				   .flags = flags,
				   .id = id,
				   .code = PX_EREMOTE,
				   .body = words,
				   .body_bytes = sizeof(words) - 1 };

	assert_int_equal(px_link_send(engines[i].link, &out), 0);
}

static void task_that_is_not_for_an_engine_goes_to_each_other_once(void **state)
{
	struct px_result *result = one("a", 9), *other;

	(void)state;
	refuse(1, take(1, "a"), PX_REPLY_UNMET);
	assert_int_equal(px_client_poll(client.client), 0);
	assert_int_equal(px_result_engine(result, 0), PX_NO_ENGINE);
	other = one("b", 0);
	assert_int_equal(take(1, "b") >> 63, 1); /* and not the first */
	refuse(0, take(0, "a"), PX_REPLY_UNMET);
	expect(result, 0, PX_EREMOTE);
	assert_true(px_engine_set_has(result->requests[0].refused, 0));
	assert_true(px_engine_set_has(result->requests[0].refused, 1));
	assert_int_equal(take(0, ""), 0);
	px_result_free(other);
	px_result_free(result);
}

static void task_that_was_refused_before_goes_to_the_others(void **state)
{
	struct px_result *result = tasks(1), *none = tasks(1);
	struct px_outgoing message = { .kind = PX_REQUEST_NOOP, .body = "a", .body_bytes = 1 };
	struct px_engine_set set = only(0);

	(void)state;
	assert_int_equal(px_tasks_post(result, &message, NULL, &set, 0), 0);
	assert_int_equal(take(0, ""), 0);
	answer(1, take(1, "a"), 0, "");
	expect(result, 0, 0);
	assert_int_equal(px_tasks_post(none, &message, &set, &set, 0), PX_EENGINE);
	px_result_free(none);
	px_result_free(result);
}

static void exception_of_that_name_alone_does_not_move_a_task(void **state)
{
	struct px_result *result = one("a", 0);

	(void)state;
	refuse(1, take(1, "a"), 0);
	expect(result, 0, PX_EREMOTE);
	px_result_free(result);
}

static void stopped_task_does_not_move(void **state)
{
	struct px_result *result = one("a", 0);
	uint64_t id = take(0, "a");

	(void)state;
	px_task_stop(&result->requests[0]);
	refuse(0, id, PX_REPLY_UNMET);
	expect(result, 0, PX_EREMOTE);
	px_result_free(result);
}

static void task_that_waits_for_dead_engines_after_it_moved_fails_in_words(void **state)
{
	struct px_result *result = one("a", 0);

	(void)state;
	refuse(1, take(1, "a"), PX_REPLY_UNMET);
	assert_int_equal(px_client_poll(client.client), 0);
	kill_engine(0);
	expect(result, 0, PX_EENGINE);
	assert_null(strchr(px_last_error(), ':')); /* no list of all other ids that there may be */
	px_result_free(result);
}

static void second_answer_to_a_task_is_ignored(void **state)
{
	struct px_result *result = one("a", 0), *next;
	uint64_t id = take(0, "a");

	(void)state;
	answer(0, id, 0, "");
	answer(0, id, 0, "");
	expect(result, 0, 0);
	next = one("b", 0);
	answer(0, id, PX_EREMOTE, "late");
	answer(0, take(0, "b"), 0, "");
	expect(next, 0, 0);
	px_result_free(next);
	px_result_free(result);
}

static void task_for_engines_that_are_not_there_is_refused(void **state)
{
	struct px_result *result = tasks(1);
	struct px_engine_set nobody = only(7);

	(void)state;
	assert_int_equal(try_to_post(result, "a", &nobody, 0), PX_EENGINE);
	assert_non_null(strstr(px_last_error(), ": 7"));
	memset(&nobody.bits[1], 0xff, sizeof(nobody.bits) - sizeof(nobody.bits[0]));
	assert_int_equal(try_to_post(result, "a", &nobody, 0), PX_EENGINE);
	assert_non_null(strstr(px_last_error(), ": 7, 64, 65, "));
	assert_string_equal(strrchr(px_last_error(), ','), ", …");
	px_result_free(result);
}

static void tasks_that_nobody_is_left_to_take_fail_in_words(void **state)
{
	struct px_engine_set set = only(0);
	struct px_result *result = tasks(1), *all = one("b", 9);

	(void)state;
	assert_int_equal(try_to_post(result, "a", &set, 0), 0);
	kill_engine(0);
	expect_words(result, PX_EENGINE, "may run the task: 0");
	kill_engine(1);
	expect_words(all, PX_EENGINE, "no engines");
}

/* --- lanes */

static void each_goes_to_its_engines(void **state)
{
	struct px_engine_set set[2] = { only(0), only(1) };
	struct px_result *result = tasks(4);

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(try_to_post(result, i % 2 ? "b" : "a", &set[i % 2], 0), 0);
	for (int i = 0; i < 2; i++) {
		answer(1, take(1, "b"), 0, "");
		answer(0, take(0, "a"), 0, "");
	}
	assert_int_equal(take(0, "") + take(1, ""), 0);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	px_result_free(result);
}

/* More sets of engines than lanes: what has none waits until one is empty. */
static void sets_of_engines_share_the_lanes(void **state)
{
	uint32_t count = 2 * PX_LANES_MAX;
	struct px_result *result = tasks(count);

	(void)state;
	for (uint32_t i = 0; i < count; i++) {
		struct px_engine_set set = only(0);

		set.bits[1] = i; /* engines that are not there */
		assert_int_equal(try_to_post(result, "x", &set, 0), 0);
	}
	for (uint32_t i = 0; i < count; i++) {
		uint64_t id = take(0, "x");

		assert_int_not_equal(id, 0);
		answer(0, id, 0, "");
		assert_int_equal(px_client_poll(client.client), 0);
	}
	assert_int_equal(px_result_ready(result), 1);
	px_result_free(result);
}

/* --- a client that ends */

static void closing_the_client_ends_its_tasks(void **state)
{
	struct px_result *result = tasks(2);

	(void)state;
	post(result, "a");
	post(result, "b");
	assert_int_not_equal(take(0, "a"), 0);
	px_client_detach(client.client);
	expect(result, 0, PX_ECLOSED);
	expect(result, 1, PX_ECLOSED);
	px_result_free(result);
	side_forget(&client);
	/* For the teardown. */
	side_attach(&client, segment);
}

static void claims_that_a_mad_engine_wrote_are_mended(void **state)
{
	struct px_result *result = tasks(2);
	struct px_claims_shm *claims;
	void *at;

	(void)state;
	post(result, "a");
	post(result, "b");
	answer(0, take(0, "a"), 0, "");
	expect(result, 0, 0);
	claims = boards[0].claims;
	assert_int_equal(px_segment_map(engines[1].endpoint->segment,
					atomic_load(&boards[0].shared->claims), sizeof(*claims),
					&at),
			 0);
	atomic_store(&((struct px_claims_shm *)at)->lanes[0].next, 77);
	px_segment_unmap(at, sizeof(*claims));
	assert_int_equal(take(1, ""), 0);
	/* A wait that naps. */
	assert_int_equal(px_result_wait(result, SECOND / 5), PX_ETIMEDOUT);
	answer(1, take(1, "b"), 0, "");
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	px_result_free(result);
}

/* --- claims in the name of others */

/* Writes, as a mad engine might, who has the task. */
static void scribble(struct px_request *request, uint32_t generation_more, uint32_t holder)
{
	struct px_claims_shm *claims;
	_Atomic uint64_t *word;
	void *at;

	assert_int_equal(px_segment_map(engines[1].endpoint->segment,
					atomic_load(&boards[1].shared->claims), sizeof(*claims),
					&at),
			 0);
	claims = at;
	word = &claims->words[request->task->entry];
	atomic_store(word, ((atomic_load(word) >> 32) + generation_more) << 32 | holder);
	px_segment_unmap(at, sizeof(*claims));
}

static uint32_t holder(uint32_t slot, uint32_t epoch)
{
	return epoch << 12 | (slot + 1);
}

static void open_link(int i)
{
	assert_int_equal(px_endpoint_link(engines[i].endpoint, client.id, &engines[i].link), 0);
}

/* The client waits, and takes naps, until it has asked that engine for nothing: the id. */
static uint64_t await_probe(struct px_result *result, int i)
{
	struct px_incoming in;
	uint64_t id;

	while (!px_link_ready(engines[i].link))
		assert_int_equal(px_result_wait(result, SECOND / 20), PX_ETIMEDOUT);
	in = side_receive(&engines[i]);
	assert_int_equal(in.kind, PX_REQUEST_NOOP);
	id = in.id;
	px_link_next(engines[i].link);
	return id;
}

/* The same, until the task is ready again. */
static void await_again(struct px_result *result, const char *body)
{
	uint64_t id;

	while ((id = take(1, body)) == 0)
		assert_int_equal(px_result_wait(result, SECOND / 20), PX_ETIMEDOUT);
	answer(1, id, 0, "");
	expect(result, 0, 0);
	px_result_free(result);
}

static void claim_for_nobody_is_found_out(void **state)
{
	const struct {
		uint32_t generation_more, holder;
	} claims[] = {
		{ 0, holder(4000, 3) },
		{ 0, holder(UINT32_MAX, 7) },
		{ 0, holder(engines[0].id.slot, engines[0].id.epoch + 1) },
		{ 0, holder(client.id.slot, client.id.epoch) },
		{ 0, UINT32_MAX },
		{ 5, holder(engines[0].id.slot, engines[0].id.epoch) },
		{ UINT32_MAX, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		struct px_result *result = one("a", 0);

		scribble(&result->requests[0], claims[i].generation_more, claims[i].holder);
		await_again(result, "a");
	}
}

static void claim_is_found_out_also_by_who_only_looks(void **state)
{
	struct px_result *result = one("a", 0);
	uint64_t id;

	(void)state;
	scribble(&result->requests[0], 0, holder(4000, 3));
	while ((id = take(1, "a")) == 0)
		assert_int_equal(px_result_ready(result), 0);
	answer(1, id, 0, "");
	while (!px_result_ready(result))
		;
	px_result_free(result);
}

static void claim_for_an_engine_that_has_it_not_is_found_out(void **state)
{
	struct px_result *result = one("a", 0);

	(void)state;
	open_link(0);
	scribble(&result->requests[0], 0, holder(engines[0].id.slot, engines[0].id.epoch));
	uint64_t id = await_probe(result, 0);

	assert_int_equal(px_result_wait(result, SECOND / 5), PX_ETIMEDOUT);
	assert_int_equal(take(1, ""), 0);
	assert_false(px_link_ready(engines[0].link)); /* it is asked once */
	answer(0, id, 0, "");
	await_again(result, "a");
}

static void claim_that_is_true_stays(void **state)
{
	struct px_result *result = one("a", 0);
	uint64_t id = take(0, "a"), probe;

	(void)state;
	probe = await_probe(result, 0);
	answer(0, id, 0, "");
	answer(0, probe, 0, "");
	expect(result, 0, 0);
	assert_int_equal(take(1, ""), 0);
	px_result_free(result);
}

static void engine_that_says_that_it_works_on_it_is_not_asked(void **state)
{
	struct px_result *result = one("a", 0);
	struct px_activity_shm *says = &engines[0].endpoint->block->activity;
	uint64_t id = take(0, "a");

	(void)state;
	atomic_store(&says->client_slot, client.id.slot);
	atomic_store(&says->request_id, id);
	atomic_store(&says->client_epoch, client.id.epoch);
	assert_int_equal(px_result_wait(result, SECOND / 5), PX_ETIMEDOUT);
	assert_false(px_link_ready(engines[0].link));
	answer(0, id, 0, "");
	expect(result, 0, 0);
	px_result_free(result);
}

/* It lives, and goes on taking tasks. */
static void what_an_engine_that_was_given_up_takes_fails_in_words(void **state)
{
	struct px_result *result = one("a", 0), *again = one("b", 1);

	(void)state;
	open_link(0);
	answer(0, 12345, 0, "nobody asked that");
	assert_int_equal(px_client_poll(client.client), 0);
	assert_int_not_equal(take(0, "a"), 0);
	expect_words(result, PX_EENGINE, "engine 0 has taken the task");
	assert_int_not_equal(take(0, "b"), 0);
	await_again(again, "b");
}

#define TASK_CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest cases[] = {
		TASK_CASE(any_engine_s_answer_finds_its_task),
		TASK_CASE(long_bodies_and_buffers_arrive),
		TASK_CASE(more_than_the_board_holds_wait_and_follow),
		TASK_CASE(result_that_nobody_holds_goes_with_its_last_task),
		TASK_CASE(unanswered_tasks_are_outstanding),
		TASK_CASE(waiting_task_is_taken_back_and_a_taken_one_is_not),
		TASK_CASE(room_of_what_is_taken_back_is_used_again),
		TASK_CASE(task_of_a_dead_engine_fails_in_words),
		TASK_CASE(task_of_a_dead_engine_runs_again_on_another),
		TASK_CASE(what_a_dead_engine_had_answered_counts),
		TASK_CASE(task_that_fails_is_tried_again_and_then_fails),
		TASK_CASE(words_of_abort_say_whether_it_has_failed_before),
		TASK_CASE(stopped_task_is_not_tried_again),
		TASK_CASE(task_that_is_not_for_an_engine_goes_to_each_other_once),
		TASK_CASE(task_that_was_refused_before_goes_to_the_others),
		TASK_CASE(exception_of_that_name_alone_does_not_move_a_task),
		TASK_CASE(stopped_task_does_not_move),
		TASK_CASE(task_that_waits_for_dead_engines_after_it_moved_fails_in_words),
		TASK_CASE(second_answer_to_a_task_is_ignored),
		TASK_CASE(task_for_engines_that_are_not_there_is_refused),
		TASK_CASE(tasks_that_nobody_is_left_to_take_fail_in_words),
		TASK_CASE(each_goes_to_its_engines),
		TASK_CASE(sets_of_engines_share_the_lanes),
		TASK_CASE(closing_the_client_ends_its_tasks),
		TASK_CASE(claims_that_a_mad_engine_wrote_are_mended),
		TASK_CASE(claim_for_nobody_is_found_out),
		TASK_CASE(claim_is_found_out_also_by_who_only_looks),
		TASK_CASE(claim_for_an_engine_that_has_it_not_is_found_out),
		TASK_CASE(claim_that_is_true_stays),
		TASK_CASE(engine_that_says_that_it_works_on_it_is_not_asked),
		TASK_CASE(what_an_engine_that_was_given_up_takes_fails_in_words),
	};

	return run_cases(cases, NULL, NULL);
}
