/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_barrier.c - members that meet, leave, and are killed in each of their states.
 */
#include "tests/c/case.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/barrier.h"
#include "shm/error.h"
#include "shm/os.h"

#define UNITS 4
#define MEMBERS_MAX 4
#define ROUNDS 2000
#define LIMIT_S 60

static struct px_os real;
static struct px_segment *segment;
static struct px_member_id sender, members[MEMBERS_MAX];
static uint32_t count;
/* What the members share: the barrier, and a word for each. */
static struct px_barrier_shm *shared;
static _Atomic uint32_t *words;
static _Atomic int cancel;

static struct px_member_id join(enum px_member_kind kind, int32_t engine)
{
	struct px_member_id id;

	assert_int_equal(px_member_join(segment, kind, engine, &id), 0);
	px_member_live(segment, id, getpid());
	return id;
}

static int setup(void **state)
{
	size_t bytes = px_barrier_bytes(MEMBERS_MAX);

	(void)state;
	px_os = real;
	atomic_store_explicit(&cancel, 0, memory_order_relaxed);
	if (px_segment_create(UNITS * (uint64_t)PX_UNIT_BYTES, true, &segment) < 0)
		return -1;
	shared =
		mmap(NULL, bytes + 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -1;
	words = (void *)((uint8_t *)shared + bytes);
	sender = join(PX_MEMBER_CLIENT, -1);
	for (int i = 0; i < MEMBERS_MAX; i++)
		members[i] = join(PX_MEMBER_ENGINE, i);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	munmap(shared, px_barrier_bytes(MEMBERS_MAX) + 4096);
	px_segment_detach(segment);
	return 0;
}

static void make(uint32_t members_count)
{
	count = members_count;
	px_barrier_init(shared, count);
	for (uint32_t i = 0; i < count; i++)
		px_barrier_assign(shared, i, members[i]);
}

static struct px_barrier of(uint32_t rank)
{
	static _Atomic uint64_t where;

	return (struct px_barrier){
		.shared = shared,
		.segment = segment,
		.sender = sender,
		.self = members[rank],
		.where = &where,
		.rank = rank,
		.count = count,
		.cancel = &cancel,
	};
}

/* A process for a member; what play() returns is its exit code. */
static pid_t begin(int (*play)(uint32_t rank), uint32_t rank)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(LIMIT_S);
		/* A child has no map of its parent's. */
		if (px_segment_attach(dup(segment->fd), &segment) < 0)
			_exit(99);
		_exit(play(rank));
	}
	return pid;
}

static int end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void mark_dead(uint32_t rank)
{
	const struct px_death death = { .exit_signal = SIGKILL };

	px_member_mark_dead(segment, members[rank], &death);
}

/* --- meeting */

/* Each writes its round, and after the meeting sees that all have written the same. */
static int meet_often(uint32_t rank)
{
	struct px_barrier b = of(rank);

	for (uint32_t round = 1; round <= ROUNDS; round++) {
		atomic_store_explicit(&words[rank], round, memory_order_relaxed);
		if (px_barrier_wait(&b) < 0)
			return 1;
		for (uint32_t i = 0; i < count; i++)
			if (atomic_load_explicit(&words[i], memory_order_relaxed) < round)
				return 2;
		if (px_barrier_wait(&b) < 0)
			return 3;
	}
	px_barrier_leave(shared, rank);
	return 0;
}

/* Who returns at once after the last meeting does not break it for those who still sleep. */
static void members_meet_and_return(void **state)
{
	pid_t pids[MEMBERS_MAX];

	(void)state;
	for (uint32_t n = 1; n <= MEMBERS_MAX; n++) {
		make(n);
		for (uint32_t i = 0; i < n; i++)
			pids[i] = begin(meet_often, i);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(end_of(pids[i]), 0);
	}
}

static int meet_once_and_leave(uint32_t rank)
{
	struct px_barrier b = of(rank);
	int rc = px_barrier_wait(&b);

	px_barrier_leave(shared, rank);
	return rc ? 1 : 0;
}

static void many_barriers_of_one_meeting(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		pid_t pids[3];

		make(3);
		for (uint32_t k = 0; k < 3; k++)
			pids[k] = begin(meet_once_and_leave, k);
		for (uint32_t k = 0; k < 3; k++)
			assert_int_equal(end_of(pids[k]), 0);
	}
}

/* --- breaking */

/* The code with which it breaks, or 0. */
static int meet_once(uint32_t rank)
{
	struct px_barrier b = of(rank);

	return -px_barrier_wait(&b);
}

static void who_has_left_breaks_it_at_once(void **state)
{
	(void)state;
	make(2);
	px_barrier_leave(shared, 1);
	assert_int_equal(end_of(begin(meet_once, 0)), -PX_EABORTED);
}

static void who_leaves_wakes_the_sleepers(void **state)
{
	pid_t pid;

	(void)state;
	make(2);
	pid = begin(meet_once, 0);
	while (!atomic_load_explicit(&shared->asleep, memory_order_relaxed))
		usleep(100);
	px_barrier_leave(shared, 1);
	assert_int_equal(end_of(pid), -PX_EABORTED);
}

static void who_arrived_and_left_does_not(void **state)
{
	struct px_barrier b;

	(void)state;
	make(2);
	/* Rank 1 arrives once; it sleeps yet as it is said to have left. */
	assert_true(begin(meet_once, 1) > 0);
	while (!atomic_load_explicit(&shared->places[1].arrived, memory_order_relaxed))
		usleep(100);
	px_barrier_leave(shared, 1);
	b = of(0);
	assert_int_equal(px_barrier_wait(&b), 0);
	assert_int_equal(px_barrier_wait(&b), PX_EABORTED);
	assert_int_equal(b.missing, 1);
	assert_int_equal(px_barrier_wait(&b), PX_EABORTED);
	assert_true(wait(NULL) > 0);
}

static void who_died_before_it_arrived_breaks_it(void **state)
{
	pid_t pid;

	(void)state;
	make(3);
	pid = begin(meet_once, 0);
	while (!atomic_load_explicit(&shared->asleep, memory_order_relaxed))
		usleep(100);
	mark_dead(2);
	/* Rank 1 has not arrived either, and lives. */
	assert_int_equal(end_of(pid), -PX_EENGINE);
}

/* Killed as it slept: it had arrived, so this meeting takes place, and the next one does not. */
static void who_died_asleep_had_arrived(void **state)
{
	struct px_barrier b;
	pid_t pid;

	(void)state;
	make(2);
	pid = begin(meet_once, 1);
	while (!atomic_load_explicit(&shared->asleep, memory_order_relaxed))
		usleep(100);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(end_of(pid), -SIGKILL);
	mark_dead(1);
	/* Its announcement stays, and costs no more than a call in vain. */
	assert_int_equal(atomic_load_explicit(&shared->asleep, memory_order_relaxed), 1);
	b = of(0);
	assert_int_equal(px_barrier_wait(&b), 0);
	assert_int_equal(px_barrier_wait(&b), PX_EENGINE);
	assert_int_equal(b.missing, 1);
}

/* Of whom nobody knows yet to which process the request goes. */
static void who_is_not_assigned_yet_is_waited_for(void **state)
{
	pid_t waiter, late;

	(void)state;
	count = 2;
	px_barrier_init(shared, 2);
	px_barrier_assign(shared, 0, members[0]);
	waiter = begin(meet_once, 0);
	usleep(30000);
	px_barrier_assign(shared, 1, members[1]);
	late = begin(meet_once, 1);
	assert_int_equal(end_of(waiter), 0);
	assert_int_equal(end_of(late), 0);
}

static void sender_that_died_breaks_it(void **state)
{
	const struct px_death death = { .exit_signal = SIGKILL };
	pid_t pid;

	(void)state;
	count = 2;
	px_barrier_init(shared, 2);
	px_barrier_assign(shared, 0, members[0]);
	pid = begin(meet_once, 0);
	usleep(10000);
	px_member_mark_dead(segment, sender, &death);
	assert_int_equal(end_of(pid), -PX_EENGINE);
}

static void on_signal(int number)
{
	(void)number;
	atomic_store_explicit(&cancel, 1, memory_order_relaxed);
}

static int meet_until_cancelled(uint32_t rank)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &action, NULL);
	return meet_once(rank);
}

static void cancelled_member_goes(void **state)
{
	pid_t pid;

	(void)state;
	make(2);
	pid = begin(meet_until_cancelled, 0);
	while (!atomic_load_explicit(&shared->asleep, memory_order_relaxed))
		usleep(100);
	assert_int_equal(kill(pid, SIGUSR1), 0);
	assert_int_equal(end_of(pid), -PX_EINTR);
}

/* Members that are killed at any moment: the others end, all of them, one way or the other. */
static int meet_until_it_breaks(uint32_t rank)
{
	struct px_barrier b = of(rank);
	int rc;

	do
		rc = px_barrier_wait(&b);
	while (rc == 0);
	px_barrier_leave(shared, rank);
	return -rc;
}

static void members_killed_at_any_moment(void **state)
{
	(void)state;
	srand(7);
	for (int i = 0; i < 100; i++) {
		pid_t pids[3];

		if (i)
			members[2] = join(PX_MEMBER_ENGINE, 2);
		make(3);
		for (uint32_t k = 0; k < 3; k++)
			pids[k] = begin(meet_until_it_breaks, k);
		usleep((useconds_t)(rand() % 2000));
		assert_int_equal(kill(pids[2], SIGKILL), 0);
		assert_int_equal(end_of(pids[2]), -SIGKILL);
		mark_dead(2);
		/* The one that sees the other leave first may say so. */
		for (uint32_t k = 0; k < 2; k++) {
			int code = end_of(pids[k]);

			assert_true(code == -PX_EENGINE || code == -PX_EABORTED);
		}
		(void)px_member_sweep(segment, NULL, NULL);
	}
}

#define ON(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest cases[] = {
		ON(members_meet_and_return),        ON(many_barriers_of_one_meeting),
		ON(who_has_left_breaks_it_at_once), ON(who_leaves_wakes_the_sleepers),
		ON(who_arrived_and_left_does_not),  ON(who_died_before_it_arrived_breaks_it),
		ON(who_died_asleep_had_arrived),    ON(who_is_not_assigned_yet_is_waited_for),
		ON(sender_that_died_breaks_it),     ON(cancelled_member_goes),
		ON(members_killed_at_any_moment),
	};

	real = px_os;
	return run_cases(cases, NULL, NULL);
}
