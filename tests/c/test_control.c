/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/c/case.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/control.h"
#include "shm/error.h"

static int ends[2];
static struct px_packet packet;

static int setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int teardown(void **state)
{
	(void)state;
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static void send_text_and_descriptor_arrive(void **state)
{
	struct px_control head = { .type = PX_CONTROL_HELLO, .a = 7, .d = UINT64_MAX };
	struct stat a, b;
	int fd = STDIN_FILENO;

	(void)state;
	assert_int_equal(px_control_send(ends[0], &head, "words", &fd, 1), 0);
	assert_int_equal(px_control_receive(ends[1], &packet), 0);
	assert_int_equal(packet.head.type, PX_CONTROL_HELLO);
	assert_int_equal(packet.head.a, 7);
	assert_true(packet.head.d == UINT64_MAX);
	assert_string_equal(packet.text, "words");
	assert_int_equal(packet.head.fds, 1);
	assert_int_equal(fstat(fd, &a) | fstat(packet.fds[0], &b), 0);
	assert_true(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	close(packet.fds[0]);
}

static void send_longest_text_arrives_whole(void **state)
{
	struct px_control head = { .type = PX_CONTROL_STATUS };
	char *text = malloc(PX_CONTROL_TEXT_MAX + 100);

	(void)state;
	memset(text, 'x', PX_CONTROL_TEXT_MAX + 99);
	text[PX_CONTROL_TEXT_MAX + 99] = '\0';
	assert_int_equal(px_control_send(ends[0], &head, text, NULL, 0), 0);
	assert_int_equal(px_control_receive(ends[1], &packet), 0);
	assert_int_equal(strlen(packet.text), PX_CONTROL_TEXT_MAX);
	free(text);
}

static void receive_hangup_says_pool(void **state)
{
	(void)state;
	shutdown(ends[0], SHUT_RDWR);
	assert_int_equal(px_control_receive(ends[1], &packet), PX_EPOOL);
	struct px_control head = { .type = PX_CONTROL_STOP };
	assert_int_equal(px_control_send(ends[1], &head, NULL, NULL, 0), PX_EPOOL);
	assert_non_null(strstr(px_last_error(), "supervisor is gone"));
}

static void receive_garbage_says_corrupt(void **state)
{
	struct px_control head = { .magic = PX_CONTROL_MAGIC, .type = 1, .text_bytes = 5 };

	(void)state;
	assert_int_equal(send(ends[0], "hello", 5, 0), 5);
	assert_int_equal(px_control_receive(ends[1], &packet), PX_ECORRUPT);
	assert_int_equal(send(ends[0], &head, sizeof(head), 0), sizeof(head));
	assert_int_equal(px_control_receive(ends[1], &packet), PX_ECORRUPT);
	head.text_bytes = 0;
	head.magic++;
	assert_int_equal(send(ends[0], &head, sizeof(head), 0), sizeof(head));
	assert_int_equal(px_control_receive(ends[1], &packet), PX_ECORRUPT);
}

static void receive_surplus_descriptors_are_closed(void **state)
{
	struct px_control head = { .type = PX_CONTROL_HELLO };
	int many[PX_CONTROL_FDS_MAX], before = dup(0), after;

	(void)state;
	close(before);
	for (int i = 0; i < PX_CONTROL_FDS_MAX; i++)
		many[i] = STDIN_FILENO;
	assert_int_equal(px_control_send(ends[0], &head, NULL, many, PX_CONTROL_FDS_MAX), 0);
	assert_int_equal(px_control_receive(ends[1], &packet), 0);
	for (int i = 0; i < packet.head.fds; i++)
		close(packet.fds[i]);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

static void call_skips_stale_reply(void **state)
{
	struct px_control reply = { .type = PX_CONTROL_REPLY, .serial = UINT32_MAX };
	struct px_control call = { .type = PX_CONTROL_STATUS };

	(void)state;
	assert_int_equal(px_control_send(ends[1], &reply, "old", NULL, 0), 0);
	/* Serials are given in order: one call tells the next. */
	assert_int_equal(px_control_send(ends[1], &reply, NULL, NULL, 0), 0);
	shutdown(ends[1], SHUT_WR);
	assert_int_equal(px_control_call(ends[0], &call, &packet, NULL), PX_EPOOL);
}

static void call_refusal_gives_code_and_words(void **state)
{
	struct px_control call = { .type = PX_CONTROL_STATUS };
	struct px_control reply = { .type = PX_CONTROL_REPLY, .code = PX_ENOMEM };

	(void)state;
	shutdown(ends[1], SHUT_RD);
	assert_int_equal(px_control_call(ends[0], &call, &packet, NULL), PX_EPOOL);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	reply.serial = call.serial + 1; /* what the next call will have */
	assert_int_equal(px_control_send(ends[1], &reply, "no room", NULL, 0), 0);
	assert_int_equal(px_control_call(ends[0], &call, &packet, NULL), PX_ENOMEM);
	assert_string_equal(px_last_error(), "no room");
}

/* --- a supervisor that says nothing --- */

#define MS UINT64_C(1000000)

static const struct px_control_wait brief = { .silence_ns = 60 * MS };

static void call_unanswered_says_who_does_not_answer(void **state)
{
	struct px_control call = { .type = PX_CONTROL_STATUS };
	char words[80];

	(void)state;
	assert_int_equal(px_control_call(ends[0], &call, &packet, &brief), PX_ETIMEDOUT);
	snprintf(words, sizeof(words), "supervisor (process %d) has not answered for 0.06 s",
		 (int)getpid());
	assert_words(words);
	snprintf(words, sizeof(words), "`kill -CONT %d`", (int)getpid());
	assert_words(words);
}

/* Until the socket takes no more. */
static void fill(void)
{
	struct px_control note = { .type = PX_CONTROL_SWEEP };
	int flags = fcntl(ends[0], F_GETFL), rc;

	assert_int_equal(fcntl(ends[0], F_SETFL, flags | O_NONBLOCK), 0);
	do
		rc = px_control_send(ends[0], &note, NULL, NULL, 0);
	while (rc == 0);
	assert_int_equal(rc, PX_EAGAIN);
	assert_int_equal(fcntl(ends[0], F_SETFL, flags), 0);
}

static void call_without_room_says_that_nobody_answers(void **state)
{
	struct px_control call = { .type = PX_CONTROL_STATUS };

	(void)state;
	fill();
	assert_int_equal(px_control_call(ends[0], &call, &packet, &brief), PX_ETIMEDOUT);
	assert_words("has not answered");
}

/* The supervisor of the next case: it answers pings, and the call after the third. */
static void *slow(void *ctx)
{
	struct px_packet *got = malloc(sizeof(*got));
	struct px_control reply = { .type = PX_CONTROL_REPLY }, last = { 0 };

	(void)ctx;
	for (int pings = 0; pings < 3;) {
		assert_int_equal(px_control_receive(ends[1], got), 0);
		reply.serial = got->head.serial;
		if (got->head.type != PX_CONTROL_PING) {
			last = reply;
			continue;
		}
		assert_int_equal(px_control_send(ends[1], &reply, NULL, NULL, 0), 0);
		pings++;
	}
	assert_int_equal(px_control_send(ends[1], &last, "at last", NULL, 0), 0);
	free(got);
	return NULL;
}

static void call_that_takes_long_is_waited_for_while_pings_are_answered(void **state)
{
	struct px_control call = { .type = PX_CONTROL_RESTART };
	pthread_t supervisor;

	(void)state;
	assert_int_equal(pthread_create(&supervisor, NULL, slow, NULL), 0);
	assert_int_equal(px_control_call(ends[0], &call, &packet, &brief), 0);
	assert_string_equal(packet.text, "at last");
	pthread_join(supervisor, NULL);
}

static void call_that_takes_long_ends_when_no_ping_is_answered(void **state)
{
	struct px_control call = { .type = PX_CONTROL_ADD };

	(void)state;
	assert_int_equal(px_control_call(ends[0], &call, &packet, &brief), PX_ETIMEDOUT);
	assert_int_equal(px_control_receive(ends[1], &packet), 0);
	assert_int_equal(packet.head.type, PX_CONTROL_ADD);
	assert_int_equal(px_control_receive(ends[1], &packet), 0);
	assert_int_equal(packet.head.type, PX_CONTROL_PING);
}

/* The answer to a request that was given up brings memory, which nobody would use. */
static void call_gives_back_an_extent_that_came_too_late(void **state)
{
	struct px_control late = {
		.type = PX_CONTROL_REPLY, .a = 7, .b = 9, .c = PX_CONTROL_EXTENT_GET
	};
	struct px_control call = { .type = PX_CONTROL_EXTENT_GET };

	(void)state;
	assert_int_equal(px_control_call(ends[0], &call, &packet, &brief), PX_ETIMEDOUT);
	late.serial = call.serial;
	assert_int_equal(px_control_send(ends[1], &late, NULL, NULL, 0), 0);
	call.type = PX_CONTROL_STATUS;
	assert_int_equal(px_control_call(ends[0], &call, &packet, &brief), PX_ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		assert_int_equal(px_control_receive(ends[1], &packet), 0);
	assert_int_equal(packet.head.type, PX_CONTROL_EXTENT_PUT);
	assert_true(packet.head.a == 7 && packet.head.b == 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(send_text_and_descriptor_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(send_longest_text_arrives_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(receive_hangup_says_pool, setup, teardown),
		cmocka_unit_test_setup_teardown(receive_garbage_says_corrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(receive_surplus_descriptors_are_closed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(call_skips_stale_reply, setup, teardown),
		cmocka_unit_test_setup_teardown(call_refusal_gives_code_and_words, setup, teardown),
		cmocka_unit_test_setup_teardown(call_unanswered_says_who_does_not_answer, setup,
						teardown),
		cmocka_unit_test_setup_teardown(call_without_room_says_that_nobody_answers, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			call_that_takes_long_is_waited_for_while_pings_are_answered, setup,
			teardown),
		cmocka_unit_test_setup_teardown(call_that_takes_long_ends_when_no_ping_is_answered,
						setup, teardown),
		cmocka_unit_test_setup_teardown(call_gives_back_an_extent_that_came_too_late, setup,
						teardown),
	};

	return run_cases(tests, NULL, NULL);
}
