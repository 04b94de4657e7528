/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_overtake.c - messages that are taken back, interrupted, or taken before their turn.
 */
#include "tests/c/side.h"

#include <stdio.h>
#include <string.h>

#include "shm/error.h"

static struct px_segment *segment;
static struct side client, engine;

static int setup(void **state)
{
	(void)state;
	segment = side_segment(16);
	side_open(&client, segment, PX_MEMBER_CLIENT);
	side_open(&engine, segment, PX_MEMBER_ENGINE);
	side_meet(&client, &engine);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	side_close(&client);
	side_close(&engine);
	px_segment_detach(segment);
	return 0;
}

/* A request with a body, which says its id. */
static struct px_ticket ask_flagged(uint64_t id, uint16_t flags)
{
	struct px_ticket ticket;
	struct px_outgoing out = { .kind = PX_REQUEST_APPLY,
				   .flags = flags,
				   .id = id,
				   .body = &id,
				   .body_bytes = sizeof(id),
				   .ticket = &ticket };

	assert_int_equal(px_link_send(client.link, &out), 0);
	return ticket;
}

static struct px_ticket ask(uint64_t id)
{
	return ask_flagged(id, 0);
}

static void ask_urgently(uint64_t id)
{
	(void)ask_flagged(id, PX_MESSAGE_URGENT);
}

static void assert_is(struct px_incoming *in, uint64_t id)
{
	assert_int_equal(in->id, id);
	assert_int_equal(in->body_bytes, sizeof(id));
	assert_memory_equal(in->body, &id, sizeof(id));
}

/* The next in its turn; whether it may begin. */
static bool begin(uint64_t id)
{
	struct px_incoming in = side_receive(&engine);
	bool may;

	assert_is(&in, id);
	may = px_link_begin(engine.link, &in);
	px_link_next(engine.link);
	return may;
}

static void assert_nothing_left(void)
{
	struct px_incoming in;

	assert_int_equal(px_link_receive(engine.link, &in), 0);
}

/* --- taking back --- */

static void abort_before_it_began_holds(void **state)
{
	struct px_ticket first = ask(5), second = ask(6);

	(void)state;
	assert_true(px_link_abort(client.link, &first, 5));
	assert_true(px_link_abort(client.link, &first, 5));
	assert_false(begin(5));
	assert_true(begin(6));
	assert_false(px_link_abort(client.link, &second, 6));
}

static void abort_of_what_began_is_refused(void **state)
{
	struct px_ticket running = ask(5), waiting = ask(6);

	(void)state;
	assert_true(begin(5));
	assert_false(px_link_abort(client.link, &running, 5));
	assert_true(px_link_abort(client.link, &waiting, 6));
	assert_false(begin(6));
	assert_nothing_left();
}

/* Where the frame was, another may be: it must not be taken for aborted. */
static void abort_of_a_frame_long_gone_touches_no_other(void **state)
{
	struct px_ticket old = ask(1);
	uint64_t chunk = old.chunk_seq, id = 1;

	(void)state;
	assert_true(begin(1));
	do {
		chunk = ask(++id).chunk_seq;
		assert_true(begin(id));
		px_link_collect(client.link);
	} while (chunk < old.chunk_seq + 4);
	assert_false(px_link_abort(client.link, &old, 1));
	/* Also if the receiver's word were no proof. */
	assert_false(px_link_abort(client.link, &old, id + 1));
	for (int i = 0; i < 100; i++) {
		(void)ask(++id);
		assert_true(begin(id));
	}
}

/* --- running, interrupting --- */

static void running_is_what_began_last(void **state)
{
	uint64_t progress = 77;

	(void)state;
	(void)ask(5);
	(void)ask(6);
	assert_false(px_link_running(client.link, 5, &progress));
	assert_true(begin(5));
	assert_true(px_link_running(client.link, 5, &progress));
	assert_int_equal(progress, 0);
	assert_false(px_link_running(client.link, 6, &progress));
	px_link_progress(engine.link, 3);
	px_link_progress(engine.link, 4);
	assert_true(px_link_running(client.link, 5, &progress));
	assert_int_equal(progress, 7);
	assert_true(begin(6));
	assert_false(px_link_running(client.link, 5, &progress));
	assert_true(px_link_running(client.link, 6, &progress));
	assert_int_equal(progress, 0);
}

static void interrupt_is_for_one_message(void **state)
{
	(void)state;
	assert_false(px_link_interrupted(engine.link, 5));
	px_link_interrupt(client.link, 5);
	assert_true(px_link_interrupted(engine.link, 5));
	assert_false(px_link_interrupted(engine.link, 6));
	assert_false(px_link_interrupted(client.link, 5));
	px_link_interrupt(client.link, 6);
	assert_false(px_link_interrupted(engine.link, 5));
}

/* --- urgent messages --- */

static void urgent_is_news_once(void **state)
{
	(void)state;
	(void)ask(1);
	assert_false(px_link_urgent(engine.link));
	ask_urgently(2);
	ask_urgently(3);
	assert_true(px_link_urgent(engine.link));
	assert_false(px_link_urgent(engine.link));
	ask_urgently(4);
	assert_true(px_link_urgent(engine.link));
	assert_false(px_link_urgent(client.link));
}

/* The urgent message behind that id, which is found and stays; 0: there is none. */
static uint64_t find(uint64_t after)
{
	struct px_incoming in;
	int rc = px_link_find_urgent(engine.link, after, &in);
	uint64_t id;

	if (rc == 0)
		return 0;
	assert_int_equal(rc, 1);
	id = in.id;
	assert_is(&in, id);
	px_incoming_free(&in);
	return id;
}

static void find_looks_ahead_and_takes_nothing(void **state)
{
	(void)state;
	assert_int_equal(find(0), 0);
	(void)ask(1);
	assert_int_equal(find(0), 0);
	ask_urgently(2);
	(void)ask(3);
	ask_urgently(4);
	assert_int_equal(find(0), 2);
	assert_int_equal(find(0), 2);
	assert_int_equal(find(2), 4);
	assert_int_equal(find(4), 0);
	assert_true(begin(1));
	assert_int_equal(find(0), 2);
}

/* Behind more than fits into one chunk. */
static void find_looks_through_all_chunks(void **state)
{
	struct px_ticket first = ask(1);
	uint64_t id = 1;

	(void)state;
	while (ask(++id).chunk_seq < first.chunk_seq + 3)
		;
	ask_urgently(++id);
	assert_int_equal(find(0), id);
	for (uint64_t i = 1; i < id; i++)
		assert_true(begin(i));
	assert_int_equal(find(0), id);
}

static void skip_passes_what_was_done_and_no_more(void **state)
{
	(void)state;
	ask_urgently(1);
	ask_urgently(2);
	(void)ask(3);
	ask_urgently(4);
	assert_int_equal(px_link_skip_urgent(engine.link, 0), 1);
	assert_int_equal(px_link_skip_urgent(engine.link, 1), 1);
	assert_true(begin(2)); /* it was not done yet: so it has its turn */
	assert_int_equal(px_link_skip_urgent(engine.link, 4), 1);
	assert_true(begin(3));
	assert_int_equal(px_link_skip_urgent(engine.link, 4), 0);
	assert_nothing_left();
}

static void newest_is_the_last_that_waits(void **state)
{
	uint64_t id = 77;

	(void)state;
	assert_int_equal(px_link_newest(engine.link, &id), 0);
	assert_int_equal(id, 0);
	assert_int_equal(px_link_waiting(engine.link, 5), 0);
	(void)ask(1);
	ask_urgently(2);
	(void)ask(3);
	assert_int_equal(px_link_newest(engine.link, &id), 0);
	assert_int_equal(id, 3);
	assert_int_equal(px_link_waiting(engine.link, 2), 2);
	assert_true(begin(1));
	assert_int_equal(px_link_newest(engine.link, &id), 0);
	assert_int_equal(id, 3);
	assert_int_equal(px_link_waiting(engine.link, 5), 2);
}

/* A message whose header says that it is longer than its frame. */
static void damaged_urgent_message_says_corrupt(void **state)
{
	struct px_message_shm head = { .body_bytes = 1000 };
	struct px_incoming in;
	char expected[32];
	void *payload;

	(void)state;
	snprintf(expected, sizeof(expected), "member %u", client.id.slot);
	assert_int_equal(px_producer_reserve(&client.link->tx, sizeof(head), &payload), 0);
	memcpy(payload, &head, sizeof(head));
	px_producer_publish(&client.link->tx, PX_REQUEST_APPLY, PX_MESSAGE_URGENT, 1, sizeof(head));
	assert_int_equal(px_link_find_urgent(engine.link, 0, &in), PX_ECORRUPT);
	assert_words(expected);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(abort_before_it_began_holds),
		CASE(abort_of_what_began_is_refused),
		CASE(abort_of_a_frame_long_gone_touches_no_other),
		CASE(running_is_what_began_last),
		CASE(interrupt_is_for_one_message),
		CASE(urgent_is_news_once),
		CASE(find_looks_ahead_and_takes_nothing),
		CASE(find_looks_through_all_chunks),
		CASE(skip_passes_what_was_done_and_no_more),
		CASE(newest_is_the_last_that_waits),
		CASE(damaged_urgent_message_says_corrupt),
	};

	return run_cases(tests, NULL, NULL);
}
