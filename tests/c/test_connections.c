/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_connections.c - what clients ask of a supervisor, and how they go.
 */
#include "tests/c/pool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool/control.h"
#include "pool/json.h"
#include "shm/error.h"
#include "shm/member.h"
#include "shm/os.h"

/* --- what clients ask --- */

static void restart_answers_when_it_is_up_again(void **state)
{
	struct pool *pool = *state;
	struct px_member_id before;
	struct attached a;

	start(pool);
	a = attach(pool);
	before.slot = atomic_load(&a.segment->engines[1].slot);
	before.epoch = atomic_load(&a.segment->engines[1].epoch);
	assert_int_equal(ask(a.fd, PX_CONTROL_RESTART, 1, 0), 0);
	assert_int_equal(engine_state(a.segment, 1), PX_ENGINE_UP);
	assert_int_equal(atomic_load(&a.segment->engines[1].generation), 1);
	assert_false(px_member_alive(a.segment, before));
	assert_int_equal(ask(a.fd, PX_CONTROL_RESTART, UINT64_MAX, 0), 0);
	assert_int_equal(atomic_load(&a.segment->engines[0].generation), 1);
	assert_int_equal(atomic_load(&a.segment->engines[1].generation), 2);
	/* Restarts on request are no failures: no back-off. */
	assert_int_equal((int)number(status_engine(a.fd, 1), "restarts"), 0);
	assert_int_equal(ask(a.fd, PX_CONTROL_RESTART, 7, 0), PX_EENGINE);
	detach(&a);
	stop(pool);
}

static void add_and_remove_give_new_ids(void **state)
{
	struct pool *pool = *state;
	struct attached a;
	uint64_t before;

	start(pool);
	a = attach(pool);
	before = px_os.now_ns();
	assert_int_equal(ask(a.fd, PX_CONTROL_ADD, 4, 0), 0);
	print_message("    four engines more in %.2f ms\n",
		      (double)(px_os.now_ns() - before) / 1e6);
	assert_int_equal(packet.head.a, 2);
	for (uint32_t i = 2; i < 6; i++)
		assert_int_equal(engine_state(a.segment, i), PX_ENGINE_UP);
	assert_int_equal(atomic_load(&a.segment->header->engines_count), 6);
	assert_int_equal(ask(a.fd, PX_CONTROL_REMOVE, 5, 0), 0);
	assert_int_equal(engine_state(a.segment, 5), PX_ENGINE_GONE);
	assert_int_equal(ask(a.fd, PX_CONTROL_REMOVE, 5, 0), PX_EENGINE);
	assert_int_equal(ask(a.fd, PX_CONTROL_ADD, 1, 0), 0);
	assert_int_equal(packet.head.a, 6);
	assert_int_equal(ask(a.fd, PX_CONTROL_ADD, 0, 0), PX_EINVAL);
	assert_int_equal(ask(a.fd, PX_CONTROL_ADD, PX_ENGINES_MAX, 0), PX_EINVAL);
	detach(&a);
	stop(pool);
}

static void signal_reaches_the_engine(void **state)
{
	struct pool *pool = *state;
	struct attached a;

	start(pool);
	a = attach(pool);
	assert_int_equal(ask(a.fd, PX_CONTROL_SIGNAL, 1, SIGUSR2), 0);
	await_generation(&a, 1, 1);
	detach(&a);
	stop(pool);
}

static void extents_belong_to_who_asked(void **state)
{
	struct pool *pool = *state;
	struct attached a;
	uint64_t offset, bytes;

	start(pool);
	a = attach(pool);
	assert_int_equal(ask(a.fd, PX_CONTROL_EXTENT_GET, 100000, PX_EXTENT_TRY), 0);
	offset = packet.head.a;
	bytes = packet.head.b;
	assert_int_equal(bytes % PX_UNIT_BYTES, 0);
	assert_true(px_segment_owned(a.segment, offset, bytes, a.self.slot));
	assert_int_equal((int)number(px_json_member(status(a.fd), "arena"), "used"), (int)bytes);
	assert_int_equal(ask(a.fd, PX_CONTROL_EXTENT_GET, UINT64_C(1) << 40, PX_EXTENT_TRY),
			 PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), "arena"));
	assert_int_equal(ask(a.fd, PX_CONTROL_EXTENT_GET, 0, PX_EXTENT_TRY), PX_EINVAL);
	assert_int_equal(ask(a.fd, PX_CONTROL_EXTENT_PUT, offset + 64, bytes), PX_EINVAL);
	struct px_control head = { .type = PX_CONTROL_EXTENT_PUT, .a = offset, .b = bytes };
	assert_int_equal(px_control_send(a.fd, &head, NULL, NULL, 0), 0);
	assert_int_equal((int)number(px_json_member(status(a.fd), "arena"), "used"), 0);
	detach(&a);
	stop(pool);
}

static uint64_t wanted(const struct attached *a)
{
	return atomic_load(&a->segment->header->wanted_seq);
}

static void memory_is_asked_back_where_that_helps(void **state)
{
	struct pool *pool = *state;
	uint64_t before, mib = 1 << 20;
	struct attached a;

	setenv("FAKE_ENGINE", "greedy", 1);
	set(pool, PX_SETTING_QUOTA, "60M");
	start(pool);
	a = attach(pool);
	assert_int_equal((int)number(px_json_member(status(a.fd), "arena"), "used"), 16 << 20);
	before = wanted(&a);
	/* Something else will do. */
	assert_int_equal(ask(a.fd, PX_CONTROL_EXTENT_GET, 56 * mib, PX_EXTENT_TRY), PX_ENOMEM);
	assert_int_equal(packet.head.a, 0);
	/* All that engines have would not be enough; it is the quota that refuses. */
	assert_int_equal(ask(a.fd, PX_CONTROL_EXTENT_GET, 62 * mib, PX_EXTENT_FIRST), PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), "quota"));
	assert_int_equal(packet.head.a, 0);
	assert_int_equal(wanted(&a), before);
	assert_int_equal(ask(a.fd, PX_CONTROL_EXTENT_GET, 56 * mib, PX_EXTENT_FIRST), PX_ENOMEM);
	assert_int_equal(packet.head.a, 1);
	assert_int_equal(wanted(&a), before + 1);
	/* Once is enough. */
	assert_int_equal(ask(a.fd, PX_CONTROL_EXTENT_GET, 56 * mib, PX_EXTENT_AGAIN), PX_ENOMEM);
	assert_int_equal(wanted(&a), before + 1);
	detach(&a);
	stop(pool);
}

static void memory_is_asked_back_of_other_clients_and_not_where_nobody_has_any(void **state)
{
	struct pool *pool = *state;
	struct attached a, b;
	uint64_t before;

	start(pool);
	a = attach(pool);
	b = attach(pool);
	assert_int_equal(ask(a.fd, PX_CONTROL_EXTENT_GET, 60 << 20, PX_EXTENT_FIRST), 0);
	before = wanted(&b);
	assert_int_equal(ask(a.fd, PX_CONTROL_EXTENT_GET, 8 << 20, PX_EXTENT_FIRST), PX_ENOMEM);
	assert_int_equal(packet.head.a, 0);
	assert_int_equal(wanted(&b), before);
	assert_int_equal(ask(b.fd, PX_CONTROL_EXTENT_GET, 8 << 20, PX_EXTENT_FIRST), PX_ENOMEM);
	assert_int_equal(packet.head.a, 1);
	assert_int_equal(wanted(&b), before + 1);
	detach(&a);
	detach(&b);
	stop(pool);
}

static void ping_is_answered_by_the_pool(void **state)
{
	struct pool *pool = *state;
	int fd;

	start(pool);
	fd = dial(pool);
	assert_int_equal(ask(fd, PX_CONTROL_PING, 0, 0), 0);
	close(fd);
	stop(pool);
}

static void stranger_may_ask_but_gets_no_memory(void **state)
{
	struct pool *pool = *state;
	int fd;

	start(pool);
	fd = dial(pool);
	assert_int_equal(ask(fd, PX_CONTROL_EXTENT_GET, 4096, PX_EXTENT_TRY), PX_EINVAL);
	assert_int_equal(ask(fd, PX_CONTROL_HELLO, 77, 0), PX_EVERSION);
	assert_int_equal(ask(fd, PX_CONTROL_FORK, 0, 0), PX_EINVAL);
	assert_int_equal(ask(fd, 4711, 0, 0), PX_EINVAL);
	status(fd);
	close(fd);
	stop(pool);
}

static void hello_twice_is_refused(void **state)
{
	struct pool *pool = *state;
	struct attached a;

	start(pool);
	a = attach(pool);
	assert_int_equal(ask(a.fd, PX_CONTROL_HELLO, PX_SEGMENT_VERSION, 0), PX_EINVAL);
	detach(&a);
	stop(pool);
}

/* --- clients that go, or are no good --- */

static void await_sweep(int fd)
{
	while (number(px_json_member(status(fd), "arena"), "used") > 0)
		;
}

static void client_that_detaches_is_swept(void **state)
{
	struct pool *pool = *state;
	struct attached a, b;
	struct px_member member;

	start(pool);
	a = attach(pool);
	b = attach(pool);
	assert_int_equal(ask(b.fd, PX_CONTROL_EXTENT_GET, 4096, PX_EXTENT_TRY), 0);
	detach(&b);
	await_sweep(a.fd);
	assert_int_equal(px_member_read(a.segment, b.self.slot, &member), 0);
	assert_int_equal(member.state, PX_SLOT_FREE);
	assert_true(member.expected);
	detach(&a);
	stop(pool);
}

static void client_killed_is_swept_though_its_child_holds_the_socket(void **state)
{
	struct pool *pool = *state;
	struct attached a;
	int told[2];
	pid_t client, child;

	start(pool);
	a = attach(pool);
	assert_int_equal(pipe(told), 0);
	client = fork();
	if (client == 0) {
		struct attached b = attach(pool);

		if (ask(b.fd, PX_CONTROL_EXTENT_GET, 4096, PX_EXTENT_TRY) < 0)
			_exit(1);
		child = fork();
		if (child == 0) {
			pause();
			_exit(0);
		}
		(void)!write(told[1], &child, sizeof(child));
		pause();
	}
	assert_int_equal(read(told[0], &child, sizeof(child)), (int)sizeof(child));
	assert_int_equal((int)number(px_json_member(status(a.fd), "arena"), "used") > 0, 1);
	kill(client, SIGKILL);
	assert_int_equal(waitpid(client, NULL, 0), client);
	await_sweep(a.fd);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(told[0]);
	close(told[1]);
	detach(&a);
	stop(pool);
}

static void client_that_talks_rubbish_is_cut_off(void **state)
{
	struct pool *pool = *state;
	struct px_control head = { .magic = PX_CONTROL_MAGIC,
				   .type = PX_CONTROL_STATUS,
				   .text_bytes = 1000 };
	int fd, sound;

	start(pool);
	sound = dial(pool);
	fd = dial(pool);
	assert_int_equal(send(fd, "rubbish", 7, 0), 7);
	assert_int_equal(px_control_receive(fd, &packet), PX_EPOOL);
	close(fd);
	fd = dial(pool);
	assert_int_equal(send(fd, &head, sizeof(head), 0), (int)sizeof(head));
	assert_int_equal(px_control_receive(fd, &packet), PX_EPOOL);
	close(fd);
	status(sound);
	close(sound);
	stop(pool);
}

static void client_that_never_reads_is_cut_off(void **state)
{
	struct pool *pool = *state;
	struct px_control head = { .type = PX_CONTROL_STATUS };
	int fd, sound, rc = 0;

	start(pool);
	sound = dial(pool);
	fd = dial(pool);
	for (int i = 0; i < 100000 && rc == 0; i++)
		rc = px_control_send(fd, &head, NULL, NULL, 0);
	assert_int_equal(rc, PX_EPOOL);
	close(fd);
	status(sound);
	close(sound);
	stop(pool);
}

static void client_that_sends_descriptors_loses_them(void **state)
{
	struct pool *pool = *state;
	struct px_control head = { .type = PX_CONTROL_STATUS, .serial = 9 };
	int fd, pipe_ends[2];
	char byte;

	start(pool);
	fd = dial(pool);
	assert_int_equal(pipe(pipe_ends), 0);
	assert_int_equal(px_control_send(fd, &head, NULL, &pipe_ends[1], 1), 0);
	assert_int_equal(px_control_receive(fd, &packet), 0);
	close(pipe_ends[1]);
	/* The supervisor has closed its copy: end of file. */
	assert_int_equal(read(pipe_ends[0], &byte, 1), 0);
	close(pipe_ends[0]);
	close(fd);
	stop(pool);
}

int main(void)
{
	static const struct CMUnitTest cases[] = {
		POOL_CASE(restart_answers_when_it_is_up_again),
		POOL_CASE(add_and_remove_give_new_ids),
		POOL_CASE(signal_reaches_the_engine),
		POOL_CASE(extents_belong_to_who_asked),
		POOL_CASE(memory_is_asked_back_where_that_helps),
		POOL_CASE(memory_is_asked_back_of_other_clients_and_not_where_nobody_has_any),
		POOL_CASE(ping_is_answered_by_the_pool),
		POOL_CASE(stranger_may_ask_but_gets_no_memory),
		POOL_CASE(hello_twice_is_refused),
		POOL_CASE(client_that_detaches_is_swept),
		POOL_CASE(client_killed_is_swept_though_its_child_holds_the_socket),
		POOL_CASE(client_that_talks_rubbish_is_cut_off),
		POOL_CASE(client_that_never_reads_is_cut_off),
		POOL_CASE(client_that_sends_descriptors_loses_them),
	};

	return run_pool_cases(cases);
}
