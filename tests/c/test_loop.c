/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_loop.c - whose request an engine runs next, and what becomes of the replies.
 *
 * The engine's loop is a thread of the case; what a request means is said by the first letter of its
 * body: see run().
 */
#include "tests/c/side.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/loop.h"
#include "link/task.h"
#include "shm/board.h"
#include "shm/error.h"
#include "shm/os.h"

#define ARENA_UNITS 40

static struct px_segment *segment;
static struct side client, other, engine;
static struct px_engine_process process;
static _Atomic int stop;
static pthread_t thread;
static int served; /* what px_engine_serve() returned */

/* The requests that ran, by the last letter of their bodies. */
static char ran[1024];
static _Atomic uint32_t ran_count;
static _Atomic bool held; /* requests 'h' wait while this is set */

/* --- the engine */

static char *big;
#define BIG_BYTES (2 * PX_UNIT_BYTES)
static int printed; /* where its code prints */
/* More than there is room for without memory of the arena, and not so much that some is left out. */
#define PRINTED_LINE 63
#define PRINTED_LINES (PX_OUTPUT_TAIL_BYTES / 2 / PRINTED_LINE)

static void run(void *ctx, struct px_incoming *request, struct px_reply *reply)
{
	const char *body = request->body;

	(void)ctx;
	ran[atomic_fetch_add(&ran_count, 1)] = body[request->body_bytes - 1];
	switch (body[0]) {
	case 'h': /* takes its time */
		while (atomic_load(&held))
			usleep(100);
		break;
	case 'f': /* fails */
		reply->code = PX_EREMOTE;
		break;
	case 'p': /* prints */
		for (uint32_t i = 0; i < PRINTED_LINES; i++)
			assert_int_equal(dprintf(printed, "%-62u\n", i), PRINTED_LINE);
		break;
	case 'b': /* a reply that needs the arena */
		reply->body = big;
		reply->body_bytes = BIG_BYTES;
		return;
	case 'q': /* ends the engine */
		reply->code = PX_EINTR;
		atomic_store(&stop, 1);
		return;
	default:
		break;
	}
	reply->body = request->body;
	reply->body_bytes = request->body_bytes;
}

static void *serve(void *ctx)
{
	(void)ctx;
	served = px_engine_serve(&process);
	return NULL;
}

static void start(void)
{
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
}

static void await_end(void)
{
	pthread_join(thread, NULL);
}

/* What the loop is in the midst of, it finishes. */
static void end(void)
{
	atomic_store(&stop, 1);
	px_doorbell_wake(engine.endpoint->bell);
	await_end();
	assert_int_equal(served, 0);
}

static int setup(void **state)
{
	int out[2], err[2];

	(void)state;
	segment = side_segment(ARENA_UNITS);
	side_open(&client, segment, PX_MEMBER_CLIENT);
	side_open(&other, segment, PX_MEMBER_CLIENT);
	side_open(&engine, segment, PX_MEMBER_ENGINE);
	assert_int_equal(px_endpoint_link(client.endpoint, engine.id, &client.link), 0);
	assert_int_equal(px_endpoint_link(other.endpoint, engine.id, &other.link), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(err), 0);
	process = (struct px_engine_process){ .endpoint = engine.endpoint,
					      .run = run,
					      .stop = &stop };
	printed = out[1];
	assert_int_equal(px_streams_new(0, out[0], err[0], -1, &process.streams), 0);
	big = calloc(1, BIG_BYTES);
	return 0;
}

/* --- the clients */

static struct px_ticket send_flagged(struct side *from, uint64_t id, enum px_message_kind kind,
				     uint16_t flags, const char *body)
{
	struct px_ticket ticket;
	struct px_outgoing out = { .kind = (uint16_t)kind,
				   .flags = flags,
				   .id = id,
				   .body = body,
				   .body_bytes = strlen(body),
				   .ticket = &ticket };

	assert_int_equal(px_link_send(from->link, &out), 0);
	return ticket;
}

static struct px_ticket ask(struct side *from, uint64_t id, const char *body)
{
	return send_flagged(from, id, PX_REQUEST_APPLY, 0, body);
}

/* The next reply is that request's, with this code and, if not NULL, this body. */
static void expect(struct side *from, uint64_t id, int code, const char *body)
{
	struct px_incoming in = side_await(from);

	assert_int_equal(in.kind, PX_REPLY);
	assert_int_equal(in.id, id);
	assert_int_equal(in.code, code);
	if (body) {
		assert_int_equal(in.body_bytes, strlen(body));
		assert_memory_equal(in.body, body, in.body_bytes);
	}
	px_incoming_free(&in);
	px_link_next(from->link);
}

/* --- turns */

static void requests_run_and_are_answered_in_order(void **state)
{
	(void)state;
	start();
	for (uint64_t id = 1; id <= 200; id++)
		ask(&client, id, id % 2 ? "an odd one" : "even");
	for (uint64_t id = 1; id <= 200; id++)
		expect(&client, id, 0, id % 2 ? "an odd one" : "even");
	end();
}

static void noop_is_answered_without_the_handler(void **state)
{
	(void)state;
	start();
	(void)send_flagged(&client, 1, PX_REQUEST_NOOP, 0, "echo");
	expect(&client, 1, 0, "echo");
	end();
	assert_int_equal(atomic_load(&ran_count), 0);
}

/* However many one has sent, the other waits for one of them at most. */
static void clients_take_turns(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 6; id++)
		ask(&client, id, "A");
	for (uint64_t id = 1; id <= 3; id++)
		ask(&other, id, "B");
	start();
	for (uint64_t id = 1; id <= 6; id++)
		expect(&client, id, 0, "A");
	for (uint64_t id = 1; id <= 3; id++)
		expect(&other, id, 0, "B");
	end();
	if (strncmp(ran, "ABABABAAA", 9) != 0)
		assert_string_equal(ran, "BABABAAAA");
}

static void a_client_that_comes_later_is_served(void **state)
{
	struct side late;

	(void)state;
	start();
	ask(&client, 1, "A");
	expect(&client, 1, 0, "A");
	side_open(&late, segment, PX_MEMBER_CLIENT);
	assert_int_equal(px_endpoint_link(late.endpoint, engine.id, &late.link), 0);
	px_doorbell_wake(engine.endpoint->bell);
	ask(&late, 1, "L");
	expect(&late, 1, 0, "L");
	end();
}

static void urgent_overtakes_what_waits(void **state)
{
	(void)state;
	atomic_store(&held, true);
	ask(&client, 1, "hold 1");
	start();
	while (!atomic_load(&ran_count))
		usleep(100);
	ask(&client, 2, "2");
	ask(&client, 3, "3");
	(void)send_flagged(&client, 4, PX_REQUEST_APPLY, PX_MESSAGE_URGENT, "urgent U");
	atomic_store(&held, false);
	expect(&client, 1, 0, NULL);
	expect(&client, 4, 0, "urgent U");
	expect(&client, 2, 0, "2");
	expect(&client, 3, 0, "3");
	end();
	assert_memory_equal(ran, "1U23", 4);
	assert_int_equal(atomic_load(&ran_count), 4);
}

/* --- requests that do not run */

static void aborted_does_not_run(void **state)
{
	struct px_ticket second;

	(void)state;
	ask(&client, 1, "1");
	second = ask(&client, 2, "2");
	ask(&client, 3, "3");
	assert_true(px_link_abort(client.link, &second, 2));
	start();
	expect(&client, 1, 0, "1");
	expect(&client, 2, PX_EABORTED, "aborted before it ran");
	expect(&client, 3, 0, "3");
	end();
	assert_memory_equal(ran, "13", 2);
}

/* Only code, only what was sent before the failure, and only that client's. */
static void code_behind_a_failure_does_not_run(void **state)
{
	(void)state;
	(void)send_flagged(&client, 1, PX_REQUEST_EXECUTE, PX_EXECUTE_STOP, "fails 1");
	(void)send_flagged(&client, 2, PX_REQUEST_EXECUTE, PX_EXECUTE_STOP, "2");
	ask(&client, 3, "3");
	(void)send_flagged(&other, 1, PX_REQUEST_EXECUTE, PX_EXECUTE_STOP, "other");
	start();
	expect(&client, 1, PX_EREMOTE, NULL);
	expect(&client, 2, PX_EABORTED, "aborted: code sent before it failed");
	expect(&client, 3, 0, "3");
	expect(&other, 1, 0, "other");
	(void)send_flagged(&client, 4, PX_REQUEST_EXECUTE, PX_EXECUTE_STOP, "4");
	expect(&client, 4, 0, "4");
	end();
}

static void code_behind_a_failure_that_shall_not_stop_runs(void **state)
{
	(void)state;
	(void)send_flagged(&client, 1, PX_REQUEST_EXECUTE, 0, "fails 1");
	(void)send_flagged(&client, 2, PX_REQUEST_EXECUTE, 0, "2");
	start();
	expect(&client, 1, PX_EREMOTE, NULL);
	expect(&client, 2, 0, "2");
	end();
}

static void requests_of_the_dead_are_dropped(void **state)
{
	(void)state;
	atomic_store(&held, true);
	ask(&other, 1, "hold 1");
	start();
	while (!atomic_load(&ran_count))
		usleep(100);
	ask(&client, 1, "D");
	ask(&client, 2, "D");
	side_kill(&client, &(struct px_death){ .exit_signal = 9 });
	ask(&other, 2, "2");
	atomic_store(&held, false);
	expect(&other, 1, 0, NULL);
	expect(&other, 2, 0, "2");
	end();
	assert_memory_equal(ran, "12", 2);
}

/* What it had sent before is not run a second time when members come and go. */
static void a_client_that_sends_garbage_is_dropped_for_good(void **state)
{
	struct side late[3];
	void *payload;

	(void)state;
	start();
	ask(&client, 1, "1");
	expect(&client, 1, 0, "1");
	assert_int_equal(px_producer_reserve(&client.link->tx, 4, &payload), 0);
	memset(payload, 0xff, 4);
	px_producer_publish(&client.link->tx, PX_REQUEST_APPLY, 0, 2, 4);
	px_doorbell_wake(engine.endpoint->bell);
	for (int i = 0; i < 3; i++) {
		side_open(&late[i], segment, PX_MEMBER_CLIENT);
		assert_int_equal(px_endpoint_link(late[i].endpoint, engine.id, &late[i].link), 0);
		px_doorbell_wake(engine.endpoint->bell);
		ask(&late[i], 1, "L");
		expect(&late[i], 1, 0, "L");
		side_kill(&late[i], &(struct px_death){ .exit_signal = 9 });
	}
	end();
	assert_string_equal(ran, "1LLL");
}

/* --- replies for which there is no room */

/* The arena is full, and the client has read all: waiting would be for ever. */
static void a_reply_without_memory_becomes_words(void **state)
{
	struct px_incoming in;

	(void)state;
	side_refuse_memory(true);
	start();
	ask(&client, 1, "big");
	in = side_await(&client);
	assert_int_equal(in.code, PX_ENOMEM);
	assert_non_null(memmem(in.body, in.body_bytes, "arena full", 10));
	px_link_next(client.link);
	ask(&client, 2, "2");
	expect(&client, 2, 0, "2");
	end();
}

static int first_digit(uint32_t number)
{
	while (number > 9)
		number /= 10;
	return (int)number;
}

/* A client that does not read keeps only itself waiting. */
static void a_reply_without_room_waits_and_others_are_served(void **state)
{
	uint64_t sent = 0;

	(void)state;
	start();
	/* What waits to be read keeps the next reply in hope of memory: it waits in the outbox. */
	for (uint64_t id = 1; id <= 100; id++, sent++)
		ask(&client, id, "small");
	side_refuse_memory(true);
	ask(&client, ++sent, "big");
	ask(&client, ++sent, "next");
	for (uint64_t id = 1; id <= 50; id++) {
		ask(&other, id, "other");
		expect(&other, id, 0, "other");
	}
	side_refuse_memory(false);
	for (uint64_t id = 1; id < sent - 1; id++)
		expect(&client, id, 0, "small");
	expect(&client, sent - 1, 0, NULL);
	expect(&client, sent, 0, "next");
	end();
}

/* The arena is full: output has only the room that reading makes, and none of it is lost. */
static void output_without_room_waits_with_its_reply(void **state)
{
	uint32_t lines = 0, column = 0;
	struct px_incoming in;

	(void)state;
	side_refuse_memory(true);
	start();
	ask(&client, 1, "print");
	ask(&client, 2, "2");
	ask(&other, 1, "other");
	expect(&other, 1, 0, "other");
	for (in = side_await(&client); in.kind == PX_STREAM; in = side_await(&client)) {
		for (uint64_t i = 0; i < in.body_bytes; i++) {
			if (column++ == 0)
				assert_int_equal(((const char *)in.body)[i],
						 '0' + first_digit(lines));
			if (((const char *)in.body)[i] == '\n') {
				lines++;
				column = 0;
			}
		}
		px_link_next(client.link);
	}
	assert_int_equal(lines, PRINTED_LINES);
	assert_int_equal(in.id, 1);
	px_link_next(client.link);
	expect(&client, 2, 0, "2");
	end();
}

/* --- ends */

static void a_request_that_ends_the_engine_is_not_answered(void **state)
{
	struct px_incoming in;

	(void)state;
	ask(&client, 1, "quit");
	ask(&client, 2, "2");
	start();
	await_end();
	assert_int_equal(served, 0);
	assert_int_equal(px_link_receive(client.link, &in), 0);
	assert_int_equal(atomic_load(&ran_count), 1);
}

static void without_a_supervisor_it_ends(void **state)
{
	(void)state;
	start();
	ask(&client, 1, "1");
	expect(&client, 1, 0, "1");
	side_hang_up(&engine);
	await_end();
	assert_int_equal(served, PX_EPOOL);
	side_close(&engine);
}

/* --- tasks, where there is no address space for the claims */

static _Atomic bool cramped;
static _Atomic uint32_t refused;

static void *mremap_cramped(void *from, size_t bytes, int flags, void *at)
{
	bool claims = bytes == sizeof(struct px_claims_shm);

	if (claims && atomic_load(&cramped)) {
		atomic_fetch_add(&refused, 1);
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return mremap(from, 0, bytes, flags, at);
}

/* Posts a task that any engine may take; it comes back with its id. */
static void post(struct px_board *board, uint64_t id, const char *body)
{
	struct px_outgoing out = { .kind = PX_REQUEST_APPLY,
				   .body = body,
				   .body_bytes = strlen(body) };
	const uint64_t all[PX_ENGINES_MAX / 64] = { UINT64_MAX };
	struct px_task_shm *task;
	struct px_packed packed;
	uint32_t entry;

	assert_int_equal(px_task_pack(client.endpoint, &out, &packed), 0);
	assert_int_equal(px_board_get(board, &entry, &task), 0);
	*task = (struct px_task_shm){ .id = id,
				      .kind = packed.kind,
				      .flags = packed.flags,
				      .payload_bytes = packed.payload_bytes };
	memcpy(task->inlined, packed.payload, packed.payload_bytes);
	px_packed_free(&packed);
	if (!board->lanes[0])
		assert_int_equal(px_board_lane(board, 0, all), 0);
	assert_int_equal(px_board_post(board, 0, entry), 0);
	px_board_wake(segment, all);
	px_doorbell_wake(engine.endpoint->bell);
}

/* As another engine, which has the id 1. */
static void take(struct px_board_view *view, uint64_t id)
{
	struct px_member_id another = { .slot = engine.id.slot + 1, .epoch = 1 };
	struct px_task_shm task;

	assert_true(px_board_view_ready(view, 1));
	assert_int_equal(px_board_claim(view, 1, another, &task), 1);
	assert_int_equal(task.id, id);
}

static void without_room_for_claims_it_serves_and_leaves_tasks_to_others(void **state)
{
	struct px_board_view view;
	struct px_board *board;

	(void)state;
	px_os.mremap = mremap_cramped;
	assert_int_equal(px_board_open(segment, client.endpoint->arena, client.endpoint->block,
				       &board),
			 0);
	px_board_view_open(&view, segment, client.id.slot);
	post(board, 1, "task");
	take(&view, 1);
	atomic_store(&cramped, true);
	start();
	ask(&client, 100, "direct");
	expect(&client, 100, 0, "direct");
	post(board, 2, "task");
	while (!atomic_load(&refused))
		usleep(100);
	for (uint64_t id = 101; id < 200; id++) {
		ask(&client, id, "direct");
		expect(&client, id, 0, "direct");
	}
	take(&view, 2);
	/* It looks again when it has napped. */
	post(board, 3, "task");
	atomic_store(&cramped, false);
	expect(&client, 3, 0, "task");
	end();
	px_board_view_close(&view);
	px_board_close(board);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test_setup(requests_run_and_are_answered_in_order, setup),
		cmocka_unit_test_setup(noop_is_answered_without_the_handler, setup),
		cmocka_unit_test_setup(clients_take_turns, setup),
		cmocka_unit_test_setup(a_client_that_comes_later_is_served, setup),
		cmocka_unit_test_setup(urgent_overtakes_what_waits, setup),
		cmocka_unit_test_setup(aborted_does_not_run, setup),
		cmocka_unit_test_setup(code_behind_a_failure_does_not_run, setup),
		cmocka_unit_test_setup(code_behind_a_failure_that_shall_not_stop_runs, setup),
		cmocka_unit_test_setup(requests_of_the_dead_are_dropped, setup),
		cmocka_unit_test_setup(a_client_that_sends_garbage_is_dropped_for_good, setup),
		cmocka_unit_test_setup(a_reply_without_memory_becomes_words, setup),
		cmocka_unit_test_setup(a_reply_without_room_waits_and_others_are_served, setup),
		cmocka_unit_test_setup(output_without_room_waits_with_its_reply, setup),
		cmocka_unit_test_setup(a_request_that_ends_the_engine_is_not_answered, setup),
		cmocka_unit_test_setup(without_a_supervisor_it_ends, setup),
		cmocka_unit_test_setup(without_room_for_claims_it_serves_and_leaves_tasks_to_others,
				       setup),
	};

	return run_cases(cases, NULL, NULL);
}
