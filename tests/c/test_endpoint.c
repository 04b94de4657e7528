/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_endpoint.c - two members of one segment in one process, and a thread that
 * grants extents as the supervisor does.
 */
#include "tests/c/side.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link/endpoint.h"
#include "pool/control.h"
#include "shm/error.h"

#define ARENA_UNITS 40
#define ARENA_BYTES (ARENA_UNITS * PX_UNIT_BYTES)

static struct px_segment *segment;
static struct side client, engine;

static int setup(void **state)
{
	(void)state;
	segment = side_segment(ARENA_UNITS);
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

static void send_inline_body_arrives(void **state)
{
	struct px_outgoing out = { .kind = PX_REQUEST_NOOP,
				   .flags = 3,
				   .id = 9,
				   .code = -4,
				   .started_ns = 5,
				   .completed_ns = 6,
				   .body = "body",
				   .body_bytes = 4 };
	struct px_incoming in;

	(void)state;
	assert_int_equal(px_link_receive(engine.link, &in), 0);
	assert_int_equal(px_link_send(client.link, &out), 0);
	in = side_receive(&engine);
	assert_int_equal(in.kind, PX_REQUEST_NOOP);
	assert_int_equal(in.flags, 3);
	assert_int_equal(in.id, 9);
	assert_int_equal(in.code, -4);
	assert_int_equal(in.completed_ns, 6);
	assert_int_equal(in.body_bytes, 4);
	assert_memory_equal(in.body, "body", 4);
	assert_null(in.body_loan);
	px_link_next(engine.link);
	assert_int_equal(px_link_receive(engine.link, &in), 0);
}

static void send_each_size_arrives(void **state)
{
	const uint64_t largest = 3 * PX_UNIT_BYTES;
	uint8_t *body = malloc(largest);

	(void)state;
	for (uint64_t i = 0; i < largest; i++)
		body[i] = (uint8_t)(i * 7 >> 3);
	for (uint64_t bytes = 0; bytes <= largest;
	     bytes = bytes < 700 ? bytes + 1 : bytes * 3 / 2) {
		struct px_outgoing out = {
			.kind = PX_REPLY, .id = bytes, .body = body, .body_bytes = bytes
		};
		assert_int_equal(px_link_send(client.link, &out), 0);
		struct px_incoming in = side_receive(&engine);
		assert_true(in.id == bytes && in.body_bytes == bytes);
		assert_memory_equal(in.body, body, bytes);
		px_link_next(engine.link);
		px_incoming_free(&in);
	}
	free(body);
}

static struct px_region *region_of(struct px_endpoint *endpoint, uint64_t bytes, int fill)
{
	struct px_region *region;

	assert_int_equal(px_region_new(endpoint->arena, bytes, &region), 0);
	memset(region->at, fill, bytes);
	return region;
}

static void loan_is_private_and_writable(void **state)
{
	struct px_region *regions[3] = { region_of(client.endpoint, 100000, 'a'), NULL,
					 region_of(client.endpoint, 64, 'b') };
	struct px_part parts[3] = { { regions[0], 0, 100000 }, { 0 }, { regions[2], 0, 64 } };
	struct px_outgoing out = { .kind = PX_REPLY, .buffers = parts, .buffers_count = 3 };
	uint8_t *mine, *theirs = regions[0]->at;
	void *view;

	(void)state;
	assert_int_equal(px_link_send(client.link, &out), 0);
	struct px_incoming in = side_receive(&engine);
	px_link_next(engine.link);
	assert_int_equal(in.buffers_count, 3);
	assert_null(in.buffers[1]);
	assert_int_equal(px_loan_map(in.buffers[0], &view), 0);
	mine = view;
	assert_true(mine[0] == 'a' && mine[99999] == 'a');
	mine[5] = 'x';
	assert_int_equal(theirs[5], 'a');
	assert_int_equal(in.buffers[2]->bytes, 64);
	assert_int_equal(client.link->leases.count, 2);
	px_incoming_free(&in);
	px_link_collect(client.link);
	assert_int_equal(client.link->leases.count, 0);
	assert_int_equal(atomic_load(&regions[0]->holds), 1);
	px_region_release(regions[0]);
	px_region_release(regions[2]);
}

#define LASTING_MAX (PX_LEASES_MAX - PX_LEASES_BRIEF)
#define HELD 3000 /* arrays, more than there are leases */

/* Sends a region of its own that is filled with that number. */
static int send_number(struct side *from, uint32_t number)
{
	struct px_region *region = region_of(from->endpoint, 64, 0);
	struct px_part part = { region, 0, 64 };
	struct px_outgoing out = { .kind = PX_REPLY, .buffers = &part, .buffers_count = 1 };
	int rc;

	memcpy(region->at, &number, sizeof(number));
	rc = px_link_send(from->link, &out);
	px_region_release(region);
	return rc;
}

static uint32_t number_of(const struct px_loan *loan)
{
	uint32_t number;
	void *view;

	assert_int_equal(px_loan_map((struct px_loan *)loan, &view), 0);
	assert_memory_equal(view, loan->shared, loan->bytes);
	memcpy(&number, view, sizeof(number));
	return number;
}

/* What is held beyond the table is a copy, and the sender never waits. */
static void held_beyond_the_table(struct side *from, struct side *to)
{
	struct px_incoming *held = calloc(HELD, sizeof(*held));
	struct px_arena_usage usage;

	for (uint32_t i = 0; i < HELD; i++) {
		assert_int_equal(send_number(from, i), 0);
		held[i] = side_receive(to);
		px_link_next(to->link);
	}
	px_link_collect(from->link);
	assert_int_equal(from->link->leases.count, LASTING_MAX);
	assert_int_equal(atomic_load(&to->link->held), LASTING_MAX);
	for (uint32_t i = 0; i < HELD; i++)
		assert_int_equal(number_of(held[i].buffers[0]), i);
	for (uint32_t i = HELD; i-- > 0;)
		px_incoming_free(&held[i]);
	px_link_collect(from->link);
	px_arena_usage(from->endpoint->arena, &usage);
	assert_int_equal(usage.regions, 0);
	free(held);
}

static void held_beyond_the_table_are_copies(void **state)
{
	(void)state;
	held_beyond_the_table(&client, &engine);
	held_beyond_the_table(&engine, &client);
}

/* As many as there are leases wait to be read; the next has room when one of them has been. */
static void unread_beyond_the_table_waits_for_the_reader(void **state)
{
	struct px_incoming in;

	(void)state;
	for (uint32_t i = 0; i < PX_LEASES_MAX; i++)
		assert_int_equal(send_number(&client, i), 0);
	assert_int_equal(send_number(&client, 0), PX_EAGAIN);
	for (uint32_t i = 0; i < PX_LEASES_MAX; i++) {
		uint64_t room = px_link_room_seq(client.link);

		assert_false(px_link_drained(client.link));
		in = side_receive(&engine);
		px_link_next(engine.link);
		assert_int_equal(number_of(in.buffers[0]), i);
		if (i >= LASTING_MAX) {
			assert_true(px_link_room_seq(client.link) != room);
			assert_int_equal(send_number(&client, i), 0);
		}
		px_incoming_free(&in);
	}
	for (uint32_t i = LASTING_MAX; i < PX_LEASES_MAX; i++) {
		in = side_receive(&engine);
		px_link_next(engine.link);
		assert_int_equal(number_of(in.buffers[0]), i);
		px_incoming_free(&in);
	}
	assert_true(px_link_drained(client.link));
}

/* As many buffers as can be, when all that may be held is held: sure to go when all is read. */
static void largest_message_finds_brief_leases(void **state)
{
	struct px_incoming held[LASTING_MAX], in;
	struct px_region *region = region_of(client.endpoint, 4096, 'z');
	struct px_part parts[PX_BUFFERS_MAX];
	struct px_outgoing out = { .kind = PX_REPLY,
				   .body_region = region,
				   .body_bytes = 4096,
				   .buffers = parts,
				   .buffers_count = PX_BUFFERS_MAX };

	(void)state;
	for (uint32_t i = 0; i < LASTING_MAX; i++) {
		assert_int_equal(send_number(&client, i), 0);
		held[i] = side_receive(&engine);
		px_link_next(engine.link);
	}
	for (uint32_t i = 0; i < PX_BUFFERS_MAX; i++)
		parts[i] = (struct px_part){ region, i, 1 };
	for (int round = 0; round < 3; round++) {
		assert_int_equal(px_link_send(client.link, &out), 0);
		in = side_receive(&engine);
		px_link_next(engine.link);
		assert_int_equal(((const char *)in.body)[4095], 'z');
		assert_int_equal(in.buffers[PX_BUFFERS_MAX - 1]->shared[0], 'z');
		px_incoming_free(&in);
	}
	for (uint32_t i = 0; i < LASTING_MAX; i++)
		px_incoming_free(&held[i]);
	px_region_release(region);
}

static void dead_holder_of_many_releases_all(void **state)
{
	struct px_death death = { .exit_signal = 9 };
	struct px_arena_usage usage;

	(void)state;
	for (uint32_t i = 0; i < HELD; i++) {
		struct px_incoming in;

		assert_int_equal(send_number(&client, i), 0);
		in = side_receive(&engine);
		px_link_next(engine.link);
		/* The engine's own memory is freed with its process. */
		if (in.buffers[0]->copy)
			px_loan_release(in.buffers[0]);
		else
			free(in.buffers[0]);
		free(in.buffers);
	}
	px_member_mark_dead(segment, engine.endpoint->self, &death);
	px_link_collect(client.link);
	px_arena_usage(client.endpoint->arena, &usage);
	assert_int_equal(usage.regions, 0);
	atomic_store(&engine.link->held, 0);
	atomic_store(&engine.endpoint->holds, 1);
}

static void arena_full_is_enomem_and_sends_nothing(void **state)
{
	struct px_region *region;
	struct px_incoming in;
	uint8_t *body = calloc(1, ARENA_BYTES + 1);
	struct px_outgoing out = { .kind = PX_REPLY, .body = body, .body_bytes = ARENA_BYTES + 1 };

	(void)state;
	assert_int_equal(px_link_send(client.link, &out), PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), "arena"));
	assert_int_equal(px_link_receive(engine.link, &in), 0);
	assert_int_equal(px_region_new(client.endpoint->arena, ARENA_BYTES / 2, &region), 0);
	px_region_release(region);
	free(body);
}

static void memory_refused_is_insisted_on_where_engines_are_asked(void **state)
{
	struct px_region *region;

	(void)state;
	side_refuse_memory(true);
	assert_int_equal(px_region_new(client.endpoint->arena, PX_UNIT_BYTES, &region), PX_ENOMEM);
	assert_int_equal(side_memory_asked(), 1);
	side_ask_for_memory(true);
	assert_int_equal(px_region_new(client.endpoint->arena, PX_UNIT_BYTES, &region), PX_ENOMEM);
	assert_true(side_memory_asked() > 2);
}

/*
 * After a death with loans out, the link closes with the last of them, and the slot can be freed.
 */
static void dead_peer_is_freed_after_the_last_loan(void **state)
{
	struct px_region *region = region_of(client.endpoint, 200000, 'd');
	struct px_part part = { region, 0, 200000 };
	struct px_outgoing out = { .kind = PX_REPLY, .buffers = &part, .buffers_count = 1 };
	struct px_death death = { .exit_signal = 9 };

	(void)state;
	assert_int_equal(px_link_send(client.link, &out), 0);
	struct px_incoming in = side_receive(&engine);
	px_link_next(engine.link);
	px_member_mark_dead(segment, client.endpoint->self, &death);
	px_link_finish(engine.link);
	assert_int_equal(px_member_sweep(segment, NULL, NULL), 1);
	assert_int_equal(in.buffers[0]->shared[199999], 'd');
	px_incoming_free(&in);
	assert_int_equal(px_member_sweep(segment, NULL, NULL), 0);
	assert_int_equal(px_endpoint_link(engine.endpoint, client.endpoint->self, &engine.link),
			 PX_EENGINE);
	px_region_release(region);
}

static void port_closed_before_loan_is_released(void **state)
{
	struct px_region *region = region_of(client.endpoint, 200000, 'e');
	struct px_part part = { region, 0, 200000 };
	struct px_outgoing out = { .kind = PX_REPLY, .buffers = &part, .buffers_count = 1 };
	void *view;

	(void)state;
	assert_int_equal(px_link_send(client.link, &out), 0);
	struct px_incoming in = side_receive(&engine);
	px_link_next(engine.link);
	assert_int_equal(px_loan_map(in.buffers[0], &view), 0);
	px_endpoint_close(engine.endpoint);
	assert_int_equal(((uint8_t *)view)[1], 'e');
	px_incoming_free(&in); /* closes the endpoint for good */
	side_forget(&engine);
	px_region_release(region);
	side_open(&engine, segment, PX_MEMBER_ENGINE);
}

static struct px_region *shown(uint64_t bytes, int fill)
{
	struct px_region *region;

	assert_int_equal(px_endpoint_show(client.endpoint, bytes, &region), 0);
	memset(region->at, fill, bytes);
	return region;
}

/* Sends a part; the engine's view of it. */
static uint8_t *send_part(const struct px_part *part, struct px_incoming *in)
{
	struct px_outgoing out = { .kind = PX_REPLY, .buffers = part, .buffers_count = 1 };
	void *view;

	assert_int_equal(px_link_send(client.link, &out), 0);
	*in = side_receive(&engine);
	px_link_next(engine.link);
	assert_int_equal(in->buffers[0]->bytes, part->bytes);
	assert_int_equal(px_loan_map(in->buffers[0], &view), 0);
	return view;
}

static void shown_memory_is_packed_as_it_is(void **state)
{
	struct px_region *region = shown(3 * PX_REGION_LARGE_BYTES, 'f');
	const uint8_t *at = region->at;
	struct px_part part, copy;
	struct px_incoming in;

	(void)state;
	assert_int_equal(px_endpoint_pack(client.endpoint, at + 100, 70000, &part), 0);
	assert_true(part.region == region && part.skip == 100 && part.bytes == 70000);
	assert_int_equal(px_endpoint_pack(client.endpoint, &in, sizeof(in), &copy), 0);
	assert_ptr_not_equal(copy.region, region);
	((uint8_t *)region->at)[169] = 'g';
	assert_int_equal(send_part(&part, &in)[69], 'g');
	px_incoming_free(&in);
	px_region_release(part.region);
	px_region_release(copy.region);
	px_endpoint_hide(client.endpoint, region);
}

static void live_memory_is_written_by_both(void **state)
{
	struct px_region *region = shown(PX_REGION_LARGE_BYTES, 'h');
	struct px_part part = { region, 5000, 20 };
	struct px_incoming in;
	uint8_t *theirs;

	(void)state;
	region->live = true;
	theirs = send_part(&part, &in);
	theirs[3] = 'i';
	assert_int_equal(((uint8_t *)region->at)[5003], 'i');
	((uint8_t *)region->at)[5004] = 'j';
	assert_int_equal(theirs[4], 'j');
	px_incoming_free(&in);
	px_endpoint_hide(client.endpoint, region);
}

static void tracker_counts_what_is_shown(void **state)
{
	struct px_region *region = shown(PX_REGION_LARGE_BYTES, 'k');
	struct px_region *copy = region_of(client.endpoint, 100000, 'l');
	struct px_part parts[2] = { { copy, 0, 100000 }, { region, 0, 100 } };
	struct px_outgoing out = { .kind = PX_REPLY, .buffers = parts, .buffers_count = 2 };
	struct px_incoming in;

	(void)state;
	out.tracker = px_tracker_new();
	assert_int_equal(px_link_send(client.link, &out), 0);
	in = side_receive(&engine);
	px_link_next(engine.link);
	px_link_collect(client.link);
	assert_int_equal(atomic_load(&out.tracker->leases), 1);
	px_loan_release(in.buffers[1]);
	in.buffers[1] = NULL;
	px_link_collect(client.link);
	assert_true(px_tracker_over(out.tracker));
	px_incoming_free(&in);
	px_tracker_release(out.tracker);
	px_region_release(copy);
	px_endpoint_hide(client.endpoint, region);
}

/* It cannot be copied: there is an end, in words, and everything else goes on. */
static void live_beyond_the_table_says_no_memory(void **state)
{
	struct px_region *region = shown(PX_REGION_LARGE_BYTES, 'n');
	struct px_part part = { region, 0, 20 };
	struct px_outgoing out = { .kind = PX_REPLY, .buffers = &part, .buffers_count = 1 };
	struct px_incoming held[LASTING_MAX], in;

	(void)state;
	region->live = true;
	for (uint32_t i = 0; i < LASTING_MAX; i++)
		(void)send_part(&part, &held[i]);
	assert_int_equal(px_link_send(client.link, &out), PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), "let go of some"));
	assert_int_equal(send_number(&client, 5), 0);
	in = side_receive(&engine);
	px_link_next(engine.link);
	assert_int_equal(number_of(in.buffers[0]), 5);
	px_incoming_free(&in);
	px_incoming_free(&held[0]);
	(void)send_part(&part, &held[0]);
	for (uint32_t i = 0; i < LASTING_MAX; i++)
		px_incoming_free(&held[i]);
	px_endpoint_hide(client.endpoint, region);
}

/* A region that is lent again gets the map of last time, without what was written there. */
static void maps_are_kept_and_clean(void **state)
{
	struct px_region *regions[PX_MAPS_KEPT + 3];
	struct px_part part = { NULL, 0, PX_REGION_LARGE_BYTES };
	struct px_incoming in;
	void *before;

	(void)state;
	for (int i = 0; i < PX_MAPS_KEPT + 3; i++)
		regions[i] = region_of(client.endpoint, PX_REGION_LARGE_BYTES, 'a' + i);
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < PX_MAPS_KEPT + 3; i++) {
			uint8_t *view;

			part.region = regions[i];
			view = send_part(&part, &in);
			assert_int_equal(view[77], 'a' + i);
			view[77] = '!';
			px_incoming_free(&in);
		}
	part.region = regions[PX_MAPS_KEPT + 2];
	before = send_part(&part, &in);
	px_incoming_free(&in);
	assert_ptr_equal(send_part(&part, &in), before);
	px_incoming_free(&in);
	for (int i = 0; i < PX_MAPS_KEPT + 3; i++)
		px_region_release(regions[i]);
}

static void port_closed_before_region_is_hidden(void **state)
{
	struct px_region *region = shown(200000, 'm');

	(void)state;
	px_endpoint_close(client.endpoint);
	assert_int_equal(((uint8_t *)region->at)[199999], 'm');
	px_endpoint_hide(client.endpoint, region); /* closes the endpoint for good */
	side_forget(&client);
	side_open(&client, segment, PX_MEMBER_CLIENT);
}

/* What one thread has of the engine's endpoint while another closes it. */
struct holding {
	pthread_barrier_t *all;
	struct px_incoming in;
	struct px_region *region;
	struct px_part part;
};

static void *let_go(void *ctx)
{
	struct holding *h = ctx;
	struct px_endpoint *endpoint = engine.endpoint;

	pthread_barrier_wait(h->all);
	px_incoming_free(&h->in);
	px_region_release(h->part.region);
	px_endpoint_release(endpoint);
	px_endpoint_hide(endpoint, h->region);
	return NULL;
}

static void close_while_others_let_go(void **state)
{
	struct px_region *lent = region_of(client.endpoint, 200000, 'n');
	struct px_part part = { lent, 0, 200000 };
	struct px_outgoing out = { .kind = PX_REPLY, .buffers = &part, .buffers_count = 1 };
	struct holding holdings[3];
	pthread_t threads[3];
	pthread_barrier_t all;

	(void)state;
	pthread_barrier_init(&all, NULL, 4);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 3; i++) {
			struct holding *h = &holdings[i];

			h->all = &all;
			assert_int_equal(px_link_send(client.link, &out), 0);
			h->in = side_receive(&engine);
			px_link_next(engine.link);
			assert_int_equal(px_endpoint_show(engine.endpoint, 70000, &h->region), 0);
			px_endpoint_hold(engine.endpoint);
			assert_int_equal(px_endpoint_pack(engine.endpoint, out.buffers, 1,
							  &h->part),
					 0);
			pthread_create(&threads[i], NULL, let_go, h);
		}
		pthread_barrier_wait(&all);
		px_endpoint_close(engine.endpoint);
		for (int i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		side_forget(&engine);
		side_open(&engine, segment, PX_MEMBER_ENGINE);
		side_meet(&client, &engine);
	}
	pthread_barrier_destroy(&all);
	px_region_release(lent);
}

/* A peer that writes invalid messages is named, and nothing in them is used. */
static void damaged_message_says_corrupt(void **state)
{
	struct px_region *region = region_of(client.endpoint, 4096, 'f');
	struct px_message_shm head = { .regions = 1 };
	struct px_region_shm lent = { .offset = region->offset, .bytes = 4096 };
	const struct {
		struct px_message_shm head;
		struct px_region_shm lent;
		uint32_t bytes;
		uint16_t flags;
	} cases[] = {
		{ head, lent, sizeof(head) - 1, 0 },
		{ { .regions = 2 }, lent, sizeof(head) + sizeof(lent), 0 },
		{ { .regions = UINT16_MAX }, lent, sizeof(head) + sizeof(lent), 0 },
		{ { .regions = 1, .body_bytes = 1 }, lent, sizeof(head) + sizeof(lent), 0 },
		{ { .regions = 1, .body_bytes = UINT64_MAX },
		  lent,
		  sizeof(head) + sizeof(lent),
		  0 },
		{ { .regions = 1, .body_bytes = 4097 },
		  lent,
		  sizeof(head) + sizeof(lent),
		  PX_MESSAGE_BODY_REGION },
		{ { .regions = 0 }, lent, sizeof(head), PX_MESSAGE_BODY_REGION },
		{ head, { .offset = 0, .bytes = 4096 }, sizeof(head) + sizeof(lent), 0 },
		{ head, { .offset = UINT64_MAX, .bytes = 4096 }, sizeof(head) + sizeof(lent), 0 },
		{ head,
		  { .offset = region->offset, .bytes = UINT64_MAX },
		  sizeof(head) + sizeof(lent),
		  0 },
		{ head,
		  { .offset = region->offset, .bytes = ARENA_BYTES },
		  sizeof(head) + sizeof(lent),
		  0 },
		{ head,
		  { .offset = region->offset, .bytes = 1, .lease = UINT16_MAX },
		  sizeof(head) + sizeof(lent),
		  0 },
	};
	struct px_incoming in;
	char expected[32];

	(void)state;
	snprintf(expected, sizeof(expected), "member %u", client.id.slot);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		void *payload;

		assert_int_equal(px_producer_reserve(&client.link->tx, sizeof(head) + sizeof(lent),
						     &payload),
				 0);
		memcpy(payload, &cases[i].head, sizeof(head));
		memcpy((uint8_t *)payload + sizeof(head), &cases[i].lent, sizeof(lent));
		px_producer_publish(&client.link->tx, PX_REPLY, cases[i].flags, i, cases[i].bytes);
		assert_int_equal(px_link_receive(engine.link, &in), PX_ECORRUPT);
		assert_non_null(strstr(px_last_error(), expected));
		assert_int_equal(atomic_load(&engine.link->held), 0);
		px_link_next(engine.link);
	}
	px_region_release(region);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(send_inline_body_arrives),
		CASE(send_each_size_arrives),
		CASE(loan_is_private_and_writable),
		CASE(held_beyond_the_table_are_copies),
		CASE(unread_beyond_the_table_waits_for_the_reader),
		CASE(largest_message_finds_brief_leases),
		CASE(dead_holder_of_many_releases_all),
		CASE(arena_full_is_enomem_and_sends_nothing),
		CASE(memory_refused_is_insisted_on_where_engines_are_asked),
		CASE(dead_peer_is_freed_after_the_last_loan),
		CASE(port_closed_before_loan_is_released),
		CASE(shown_memory_is_packed_as_it_is),
		CASE(live_memory_is_written_by_both),
		CASE(live_beyond_the_table_says_no_memory),
		CASE(tracker_counts_what_is_shown),
		CASE(maps_are_kept_and_clean),
		CASE(port_closed_before_region_is_hidden),
		CASE(close_while_others_let_go),
		CASE(damaged_message_says_corrupt),
	};

	return run_cases(tests, NULL, NULL);
}
