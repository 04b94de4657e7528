/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_replies.c - what a client makes of replies, output and deaths; the case plays the engine.
 */
#include "tests/c/side.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "shm/error.h"

#define MILLISECOND UINT64_C(1000000)
#define LIMIT (30 * 1000 * MILLISECOND)

static struct px_segment *segment;
static struct side client, engine;
static struct px_view *view;

static int setup(void **state)
{
	(void)state;
	segment = side_segment(40);
	side_open(&engine, segment, PX_MEMBER_ENGINE);
	side_show_engine(&engine, 0, PX_ENGINE_UP);
	side_attach(&client, segment);
	assert_int_equal(px_view_of(client.client, (uint32_t[]){ 0 }, 1, &view), 0);
	assert_int_equal(px_endpoint_link(engine.endpoint, client.id, &engine.link), 0);
	return 0;
}

/* A request, and its id as the engine gets it. */
static struct px_result *ask(uint64_t *id)
{
	struct px_result *result;
	struct px_incoming in;

	assert_int_equal(px_view_noop(view, NULL, &result), 0);
	in = side_await(&engine);
	*id = in.id;
	px_link_next(engine.link);
	return result;
}

static void say(uint16_t kind, uint16_t flags, uint64_t id, const void *body, size_t bytes)
{
	struct px_outgoing out = {
		.kind = kind, .flags = flags, .id = id, .body = body, .body_bytes = bytes
	};

	assert_int_equal(px_link_send(engine.link, &out), 0);
}

static void reply(uint64_t id)
{
	say(PX_REPLY, 0, id, NULL, 0);
}

static void print(uint64_t id, const char *text)
{
	say(PX_STREAM, PX_STREAM_STDOUT, id, text, strlen(text));
}

/* The result is there, and this is its code. */
static void expect(struct px_result *result, int code)
{
	struct px_value value;

	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_value(result, 0, &value), code);
}

static void expect_words(struct px_result *result, int code, const char *words)
{
	expect(result, code);
	if (!strstr(px_last_error(), words))
		fail_msg("'%s' is not in: %s", words, px_last_error());
}

static void expect_output(struct px_result *result, const char *text)
{
	char found[64];
	size_t bytes;

	assert_int_equal(px_result_output(result, 0, 1, 0, found, sizeof(found), &bytes), 0);
	assert_int_equal(bytes, strlen(text));
	assert_memory_equal(found, text, bytes);
}

/* --- replies */

static void each_reply_is_its_request_s(void **state)
{
	struct px_result *results[20];
	uint64_t ids[20];

	(void)state;
	for (int i = 0; i < 20; i++)
		results[i] = ask(&ids[i]);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(px_result_ready(results[i]), 0);
		reply(ids[i]);
		expect(results[i], 0);
		px_result_free(results[i]);
	}
}

static void an_error_comes_with_its_words(void **state)
{
	struct px_outgoing out = {
		.kind = PX_REPLY, .code = PX_ENOMEM, .body = "full up", .body_bytes = 7
	};
	struct px_result *result = ask(&out.id);

	(void)state;
	assert_int_equal(px_link_send(engine.link, &out), 0);
	expect_words(result, PX_ENOMEM, "full up");
}

/* The engine is mad: all that was asked of it fails, and says so. */
static void an_answer_that_was_not_asked_for_ends_the_queue(void **state)
{
	uint64_t first, second;
	struct px_result *results[2] = { ask(&first), ask(&second) };

	(void)state;
	reply(second + 1);
	expect_words(results[0], PX_ECORRUPT, "answered a request that was not asked");
	expect_words(results[1], PX_ECORRUPT, "engine 0");
}

/* Its ring is not read a second time from the beginning. */
static void an_engine_that_was_given_up_is_not_asked_again(void **state)
{
	uint64_t id;
	struct px_result *result = ask(&id);

	(void)state;
	reply(id + 1);
	expect(result, PX_ECORRUPT);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(px_view_noop(view, NULL, &result), PX_ECORRUPT);
		assert_words("engine 0 has sent what could not be read, and is not asked again: "
			     "restart it");
	}
}

static void an_answer_out_of_turn_ends_the_queue(void **state)
{
	uint64_t first, second;
	struct px_result *results[2] = { ask(&first), ask(&second) };

	(void)state;
	reply(second);
	expect_words(results[0], PX_ECORRUPT, "answered a request that was not asked");
	expect(results[1], PX_ECORRUPT);
}

static void an_urgent_request_is_answered_before_its_turn(void **state)
{
	struct px_outgoing message = { .kind = PX_REQUEST_NOOP, .flags = PX_MESSAGE_URGENT };
	uint64_t first;
	struct px_result *before = ask(&first), *urgent;

	(void)state;
	assert_int_equal(px_client_submit(client.client, (uint32_t[]){ 0 }, 1, &message,
					  &(struct px_how)PX_HOW, &urgent),
			 0);
	reply(message.id);
	expect(urgent, 0);
	assert_int_equal(px_result_ready(before), 0);
	reply(first);
	expect(before, 0);
}

static void what_was_taken_back_is_passed_by(void **state)
{
	struct px_result *results[2];
	struct px_incoming in;
	uint64_t ids[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(px_view_noop(view, NULL, &results[i]), 0);
	assert_int_equal(px_result_abort(results[0]), 1);
	expect(results[0], PX_EABORTED);
	px_result_free(results[0]);
	for (int i = 0; i < 2; i++) {
		in = side_await(&engine);
		ids[i] = in.id;
		assert_int_equal(px_link_begin(engine.link, &in), i == 1);
		px_link_next(engine.link);
	}
	reply(ids[0]);
	reply(ids[1]);
	expect(results[1], 0);
}

/* It waits for room in the ring: there is nothing to take back yet. */
static void what_is_not_sent_yet_is_not_taken_back(void **state)
{
	struct px_outgoing message = { .kind = PX_REQUEST_NOOP };
	struct px_result *result;
	int rc;

	(void)state;
	side_refuse_memory(true);
	do {
		assert_int_equal(px_result_new(client.client, (uint32_t[]){ 0 }, 1, false, &result),
				 0);
		rc = px_result_send(result, &message, MILLISECOND);
	} while (rc == 0);
	assert_int_equal(rc, PX_ETIMEDOUT);
	assert_int_equal(px_request_abort(&result->requests[0]), 0);
	px_result_release(result);
}

static void a_wait_without_an_answer_ends_in_time(void **state)
{
	uint64_t id;
	struct px_result *result = ask(&id);

	(void)state;
	assert_int_equal(px_result_wait(result, 0), PX_ETIMEDOUT);
	assert_int_equal(px_result_wait(result, 2 * MILLISECOND), PX_ETIMEDOUT);
	assert_words("not ready in 0.002 s");
	reply(id);
	expect(result, 0);
}

/* --- output */

static void output_is_its_request_s(void **state)
{
	uint64_t first, second;
	struct px_result *results[2] = { ask(&first), ask(&second) };

	(void)state;
	print(first, "one, ");
	print(first, "and more");
	reply(first);
	print(second, "two");
	reply(second);
	expect(results[1], 0);
	expect_output(results[0], "one, and more");
	expect_output(results[1], "two");
}

/* Not all engines have got the request, and the first one prints already. */
static void output_is_kept_while_the_request_is_still_being_sent(void **state)
{
	struct px_outgoing message = { .kind = PX_REQUEST_NOOP };
	struct px_result *result;
	struct px_incoming in;

	(void)state;
	side_show_engine(&engine, 1, PX_ENGINE_STARTING);
	side_show_engine(&engine, 2, PX_ENGINE_STARTING);
	assert_int_equal(px_result_new(client.client, (uint32_t[]){ 0, 1, 2 }, 3, false, &result),
			 0);
	assert_int_equal(px_result_send(result, &message, MILLISECOND), PX_ETIMEDOUT);
	in = side_await(&engine);
	print(in.id, "early");
	reply(in.id);
	assert_int_equal(px_result_send(result, &message, MILLISECOND), PX_ETIMEDOUT);
	expect_output(result, "early");
	px_result_free(result);
}

static void output_of_what_was_freed_is_passed_by(void **state)
{
	uint64_t first, second;
	struct px_result *freed = ask(&first), *result = ask(&second);

	(void)state;
	px_result_free(freed);
	print(first, "nobody's");
	reply(first);
	print(second, "somebody's");
	reply(second);
	expect(result, 0);
	expect_output(result, "somebody's");
}

static void output_of_no_known_kind_ends_the_queue(void **state)
{
	uint64_t id;
	struct px_result *result = ask(&id);

	(void)state;
	say(PX_STREAM, PX_STREAMS, id, "?", 1);
	expect_words(result, PX_ECORRUPT, "output of no known kind");
}

static void output_without_end_ends_the_queue(void **state)
{
	static char piece[PX_FRAME_MAX_BYTES / 2];
	uint64_t id;
	struct px_result *result = ask(&id);

	(void)state;
	memset(piece, 'x', sizeof(piece));
	while (!px_result_ready(result))
		say(PX_STREAM, PX_STREAM_STDOUT, id, piece, sizeof(piece));
	expect_words(result, PX_ECORRUPT, "sent output without end");
}

/* --- deaths */

static void death_is_told(struct px_death death, const char *words)
{
	uint64_t id;
	struct px_result *result = ask(&id);

	side_kill(&engine, &death);
	expect_words(result, PX_EENGINE, words);
}

static void a_signal_is_told(void **state)
{
	(void)state;
	death_is_told((struct px_death){ .exit_signal = 11 }, "was killed by SIGSEGV (signal 11)");
}

static void an_exit_is_told(void **state)
{
	(void)state;
	death_is_told((struct px_death){ .exit_code = 3 }, "exited with code 3");
}

static void the_oom_killer_is_told(void **state)
{
	(void)state;
	death_is_told((struct px_death){ .exit_signal = 9, .oom_killed = true },
		      "out-of-memory killer");
}

static void a_stop_is_told(void **state)
{
	(void)state;
	death_is_told((struct px_death){ .expected = true }, "was stopped");
}

static void what_was_answered_before_the_death_counts(void **state)
{
	uint64_t first, second;
	struct px_result *results[2] = { ask(&first), ask(&second) };

	(void)state;
	print(first, "last words");
	reply(first);
	side_kill(&engine, &(struct px_death){ .exit_signal = 9 });
	expect(results[0], 0);
	expect_output(results[0], "last words");
	expect_words(results[1], PX_EENGINE, "was killed by SIGKILL");
}

static void without_a_supervisor_all_fails(void **state)
{
	uint64_t first, second;
	struct px_result *results[2] = { ask(&first), ask(&second) }, *more;

	(void)state;
	reply(first);
	side_hang_up(&client);
	expect(results[0], 0);
	expect_words(results[1], PX_EPOOL, "supervisor is gone");
	assert_int_equal(px_view_noop(view, NULL, &more), PX_EPOOL);
	px_result_free(results[0]);
	px_result_free(results[1]);
	side_close(&client);
}

static void who_only_looks_hears_that_the_supervisor_is_gone(void **state)
{
	uint64_t first, second;
	struct px_result *results[2] = { ask(&first), ask(&second) };

	(void)state;
	reply(first);
	side_hang_up(&client);
	while (px_result_ready(results[1]) != 1)
		;
	expect(results[0], 0);
	expect_words(results[1], PX_EPOOL, "supervisor is gone");
	px_result_free(results[0]);
	px_result_free(results[1]);
	side_close(&client);
}

static void what_was_answered_before_the_supervisor_went_is_given(void **state)
{
	uint64_t id;
	struct px_result *result = ask(&id), *next;

	(void)state;
	reply(id);
	side_hang_up(&client);
	assert_int_equal(px_client_next(client.client, LIMIT, &next), 0);
	assert_ptr_equal(next, result);
	assert_int_equal(px_client_next(client.client, LIMIT, &next), PX_EPOOL);
	px_result_free(result);
	side_close(&client);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test_setup(each_reply_is_its_request_s, setup),
		cmocka_unit_test_setup(an_error_comes_with_its_words, setup),
		cmocka_unit_test_setup(an_answer_that_was_not_asked_for_ends_the_queue, setup),
		cmocka_unit_test_setup(an_engine_that_was_given_up_is_not_asked_again, setup),
		cmocka_unit_test_setup(what_is_not_sent_yet_is_not_taken_back, setup),
		cmocka_unit_test_setup(who_only_looks_hears_that_the_supervisor_is_gone, setup),
		cmocka_unit_test_setup(what_was_answered_before_the_supervisor_went_is_given,
				       setup),
		cmocka_unit_test_setup(an_answer_out_of_turn_ends_the_queue, setup),
		cmocka_unit_test_setup(an_urgent_request_is_answered_before_its_turn, setup),
		cmocka_unit_test_setup(what_was_taken_back_is_passed_by, setup),
		cmocka_unit_test_setup(a_wait_without_an_answer_ends_in_time, setup),
		cmocka_unit_test_setup(output_is_its_request_s, setup),
		cmocka_unit_test_setup(output_is_kept_while_the_request_is_still_being_sent, setup),
		cmocka_unit_test_setup(output_of_what_was_freed_is_passed_by, setup),
		cmocka_unit_test_setup(output_of_no_known_kind_ends_the_queue, setup),
		cmocka_unit_test_setup(output_without_end_ends_the_queue, setup),
		cmocka_unit_test_setup(a_signal_is_told, setup),
		cmocka_unit_test_setup(an_exit_is_told, setup),
		cmocka_unit_test_setup(the_oom_killer_is_told, setup),
		cmocka_unit_test_setup(a_stop_is_told, setup),
		cmocka_unit_test_setup(what_was_answered_before_the_death_counts, setup),
		cmocka_unit_test_setup(without_a_supervisor_all_fails, setup),
	};

	return run_cases(cases, NULL, NULL);
}
