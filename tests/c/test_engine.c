/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_engine.c - engines die, misbehave, and come back.
 */
#include "tests/c/pool.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pool/control.h"
#include "shm/error.h"
#include "shm/os.h"

static void engine_killed_is_announced_and_comes_back(void **state)
{
	struct pool *pool = *state;
	struct px_member member;
	struct attached a;
	uint64_t before, seq;
	uint32_t slot;
	pid_t pid;

	start(pool);
	a = attach(pool);
	slot = atomic_load(&a.segment->engines[1].slot);
	pid = engine_pid(a.segment, 1);
	seq = atomic_load(&a.segment->header->members_seq);
	assert_int_equal(px_member_read(a.segment, slot, &member), 0);
	before = px_os.now_ns();
	kill(pid, SIGKILL);
	while (px_member_alive(a.segment, member.id))
		px_os.yield();
	print_message("    death known after %.2f ms\n", (double)(px_os.now_ns() - before) / 1e6);
	await_generation(&a, 1, 1);
	print_message("    engine back after %.2f ms\n", (double)(px_os.now_ns() - before) / 1e6);
	assert_true(atomic_load(&a.segment->header->members_seq) > seq);
	assert_int_not_equal(engine_pid(a.segment, 1), pid);
	assert_int_equal((int)number(status_engine(a.fd, 1), "restarts"), 1);
	assert_true(logged(pool, "died: SIGKILL"));
	detach(&a);
	stop(pool);
}

static void death_by_exit_says_why(void **state)
{
	struct pool *pool = *state;
	struct px_member member;
	struct attached a;

	set(pool, PX_SETTING_RESTART, "never");
	start(pool);
	a = attach(pool);
	kill(engine_pid(a.segment, 0), SIGUSR2);
	await_state(&a, 0, PX_ENGINE_GONE);
	/* The slot is free again, and still has the data of its last occupant. */
	assert_int_equal(px_member_read(a.segment, atomic_load(&a.segment->engines[0].slot),
					&member),
			 0);
	assert_int_equal(member.exit_signal, 0);
	assert_int_equal(member.exit_code, 1);
	assert_false(member.expected);
	assert_false(member.oom_killed);
	assert_int_equal(engine_state(a.segment, 1), PX_ENGINE_UP);
	assert_int_equal(ask(a.fd, PX_CONTROL_RESTART, 0, 0), PX_EENGINE);
	assert_int_equal(ask(a.fd, PX_CONTROL_SIGNAL, 0, SIGINT), PX_EENGINE);
	detach(&a);
	stop(pool);
}

static void policy_on_failure_lets_a_clean_exit_be(void **state)
{
	struct pool *pool = *state;
	struct attached a;

	set(pool, PX_SETTING_RESTART, "on-failure");
	start(pool);
	a = attach(pool);
	kill(engine_pid(a.segment, 0), SIGUSR1);
	kill(engine_pid(a.segment, 1), SIGUSR2);
	await_state(&a, 0, PX_ENGINE_GONE);
	await_generation(&a, 1, 1);
	detach(&a);
	stop(pool);
}

static void policy_always_restarts_a_clean_exit(void **state)
{
	struct pool *pool = *state;
	struct attached a;

	set(pool, PX_SETTING_RESTART, "always");
	start(pool);
	a = attach(pool);
	kill(engine_pid(a.segment, 0), SIGUSR1);
	await_generation(&a, 0, 1);
	detach(&a);
	stop(pool);
}

static void deaths_in_a_row_back_off(void **state)
{
	struct pool *pool = *state;
	uint64_t times[5], begin;
	struct attached a;

	start(pool);
	a = attach(pool);
	for (uint32_t i = 0; i < 5; i++) {
		begin = px_os.now_ns();
		kill(engine_pid(a.segment, 0), SIGSEGV);
		await_generation(&a, 0, i + 1);
		times[i] = px_os.now_ns() - begin;
	}
	assert_true(times[1] >= 50 * MS && times[2] >= 100 * MS && times[3] >= 200 * MS &&
		    times[4] >= 400 * MS);
	/* The other engine is not affected. */
	assert_int_equal(atomic_load(&a.segment->engines[1].generation), 0);
	detach(&a);
	stop(pool);
}

static void engine_that_loses_its_socket_is_replaced(void **state)
{
	struct pool *pool = *state;
	struct attached a;

	start(pool);
	a = attach(pool);
	kill(engine_pid(a.segment, 0), SIGHUP);
	await_generation(&a, 0, 1);
	detach(&a);
	stop(pool);
}

static int one_is_replaced(void *ctx)
{
	const struct px_segment *segment = ctx;

	return atomic_load(&segment->engines[0].generation) ||
	       atomic_load(&segment->engines[1].generation);
}

static void engine_that_talks_rubbish_is_replaced(void **state)
{
	struct pool *pool = *state;
	struct attached a;

	close(open(once, O_CREAT | O_WRONLY, 0600));
	setenv("FAKE_ONCE", once, 1);
	setenv("FAKE_ENGINE", "garbage", 1);
	start(pool);
	a = attach(pool);
	await_news(&a, one_is_replaced, a.segment);
	await_state(&a, 0, PX_ENGINE_UP);
	await_state(&a, 1, PX_ENGINE_UP);
	assert_true(logged(pool, "is not pxrun's"));
	detach(&a);
	stop(pool);
}

static void engine_that_gives_back_what_is_not_its_own_is_told(void **state)
{
	struct pool *pool = *state;

	setenv("FAKE_ENGINE", "thief", 1);
	start(pool);
	await_log(pool, "engine 0: 77 bytes at offset 4096 are not whole units of this member's");
	stop(pool);
}

static void engine_comes_back_though_clients_have_all_places(void **state)
{
	struct pool *pool = *state;
	struct rlimit files;
	struct attached a;
	int fd, rc = 0;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_max < 3 * PX_CLIENTS_MAX)
		skip(); /* the hard limit of descriptors is too low here */
	files.rlim_cur = files.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	start(pool);
	a = attach(pool);
	for (int i = 1; i < PX_CLIENTS_MAX && rc == 0; i++) {
		rc = ask(dial(pool), PX_CONTROL_HELLO, PX_SEGMENT_VERSION, 0);
		close(packet.fds[0]);
	}
	assert_int_equal(rc, 0);
	fd = dial(pool);
	assert_int_equal(ask(fd, PX_CONTROL_HELLO, PX_SEGMENT_VERSION, 0), PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), "places for clients"));
	close(fd);
	kill(engine_pid(a.segment, 0), SIGKILL);
	await_generation(&a, 0, 1);
	stop(pool);
	detach(&a);
}

/* As many clients as the supervisor has descriptors for; the last one was turned away. */
static void use_up_descriptors(struct pool *pool, int *clients, int max)
{
	int rc = 0;

	for (int i = 0; i < max && rc == 0; i++) {
		clients[i] = dial(pool);
		rc = ask(clients[i], PX_CONTROL_STATUS, 0, 0);
	}
	assert_int_equal(rc, PX_ESYSTEM);
}

static void engine_that_cannot_be_started_now_is_tried_again(void **state)
{
	struct pool *pool = *state;
	struct rlimit few = { 48, 48 };
	struct attached a;
	int clients[64] = { 0 };

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	start(pool);
	a = attach(pool);
	use_up_descriptors(pool, clients, 64);
	kill(engine_pid(a.segment, 0), SIGKILL);
	await_log(pool, "engine 0 cannot be started now: ");
	assert_int_equal(ask(a.fd, PX_CONTROL_RESTART, 0, 0), PX_EENGINE);
	assert_non_null(strstr(px_last_error(), "cannot be started now"));
	assert_int_equal(engine_state(a.segment, 0), PX_ENGINE_STARTING);
	for (int i = 0; i < 64; i++)
		if (clients[i] > 0)
			close(clients[i]);
	await_generation(&a, 0, 1);
	detach(&a);
	stop(pool);
}

static void output_of_a_dead_engine_is_logged(void **state)
{
	struct pool *pool = *state;
	struct attached a;

	setenv("FAKE_ENGINE", "chatty", 1);
	start(pool);
	a = attach(pool);
	assert_false(logged(pool, "left in the pipe"));
	kill(engine_pid(a.segment, 0), SIGKILL);
	await_log(pool, "left in the pipe");
	detach(&a);
	stop(pool);
}

int main(void)
{
	static const struct CMUnitTest cases[] = {
		POOL_CASE(engine_killed_is_announced_and_comes_back),
		POOL_CASE(death_by_exit_says_why),
		POOL_CASE(policy_on_failure_lets_a_clean_exit_be),
		POOL_CASE(policy_always_restarts_a_clean_exit),
		POOL_CASE(deaths_in_a_row_back_off),
		POOL_CASE(engine_that_loses_its_socket_is_replaced),
		POOL_CASE(engine_that_talks_rubbish_is_replaced),
		POOL_CASE(engine_that_gives_back_what_is_not_its_own_is_told),
		POOL_CASE(engine_comes_back_though_clients_have_all_places),
		POOL_CASE(engine_that_cannot_be_started_now_is_tried_again),
		POOL_CASE(output_of_a_dead_engine_is_logged),
	};

	return run_pool_cases(cases);
}
