/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_crew.c - every byte is done once, by whoever is there; the first failure ends it.
 */
#include "tests/c/case.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shm/copy.h"
#include "shm/crew.h"
#include "shm/os.h"
#include "shm/sizes.h"

#define PIECES 64
#define BYTES ((uint64_t)PIECES * PX_CREW_PIECE_BYTES)

static struct world {
	_Atomic uint64_t done;
	_Atomic unsigned times[PIECES + 1], calls, others, unblocked;
	_Atomic int fails_at; /* the call that does; 0: none */
	pthread_t caller;
	unsigned idle;
} world;

static unsigned idle_scripted(void)
{
	return world.idle;
}

static int setup(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	world.caller = pthread_self();
	px_os.processors_idle = idle_scripted;
	return 0;
}

/* Slow enough for helpers to begin. */
static int work(void *ctx, uint64_t from, uint64_t bytes)
{
	unsigned call = atomic_fetch_add_explicit(&world.calls, 1, memory_order_relaxed) + 1;
	sigset_t blocked;

	assert_ptr_equal(ctx, &world);
	usleep(500);
	atomic_fetch_add_explicit(&world.done, bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&world.times[from / PX_CREW_PIECE_BYTES], 1,
				  memory_order_relaxed);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (!pthread_equal(pthread_self(), world.caller)) {
		atomic_fetch_add_explicit(&world.others, 1, memory_order_relaxed);
		if (!sigismember(&blocked, SIGINT))
			atomic_fetch_add_explicit(&world.unblocked, 1, memory_order_relaxed);
	}
	return (int)call == atomic_load_explicit(&world.fails_at, memory_order_relaxed) ? -7 : 0;
}

static unsigned others(void)
{
	return atomic_load_explicit(&world.others, memory_order_relaxed);
}

static void assert_each_once(uint64_t bytes)
{
	assert_int_equal(atomic_load_explicit(&world.done, memory_order_relaxed), bytes);
	for (uint64_t i = 0; i * PX_CREW_PIECE_BYTES < bytes; i++)
		assert_int_equal(atomic_load_explicit(&world.times[i], memory_order_relaxed), 1);
}

static void run_with_idle_processors_shares(void **state)
{
	(void)state;
	world.idle = 2;
	assert_int_equal(px_crew_run(work, &world, BYTES - 1), 0);
	assert_each_once(BYTES - 1);
	assert_in_range(others(), 1, PIECES - 1);
	assert_int_equal(atomic_load_explicit(&world.unblocked, memory_order_relaxed), 0);
}

static void run_with_busy_processors_is_alone(void **state)
{
	(void)state;
	assert_int_equal(px_crew_run(work, &world, BYTES), 0);
	assert_each_once(BYTES);
	assert_int_equal(others(), 0);
}

static void run_short_is_alone(void **state)
{
	uint64_t bytes = PX_CREW_BYTES - 1;

	(void)state;
	world.idle = 8;
	assert_int_equal(px_crew_run(work, &world, bytes), 0);
	assert_each_once(bytes);
	assert_int_equal(others(), 0);
}

static void run_nothing_does_nothing(void **state)
{
	(void)state;
	assert_int_equal(px_crew_run(work, &world, 0), 0);
	assert_each_once(0);
}

static void run_without_threads_is_alone(void **state)
{
	struct rlimit none = { 0, 0 };

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip(); /* it looks for leaks by a thread of its own */
#endif
	if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
		skip();
	assert_int_equal(setrlimit(RLIMIT_NPROC, &none), 0);
	world.idle = 8;
	assert_int_equal(px_crew_run(work, &world, BYTES), 0);
	assert_each_once(BYTES);
	assert_int_equal(others(), 0);
}

static void run_failing_stops_and_says_so(void **state)
{
	static const int at[] = { 1, 2, 9 };

	(void)state;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		(void)setup(NULL);
		world.idle = 3;
		atomic_store_explicit(&world.fails_at, at[i], memory_order_relaxed);
		assert_int_equal(px_crew_run(work, &world, BYTES), -7);
		/* What others have begun meanwhile they finish. */
		assert_in_range(atomic_load_explicit(&world.calls, memory_order_relaxed), at[i],
				PIECES / 2);
	}
}

static void idle_processors_are_fewer_than_all(void **state)
{
	(void)state;
	assert_in_range(px_os.processors_idle(), 0, (unsigned)sysconf(_SC_NPROCESSORS_ONLN) - 1);
}

static void copy_by_several_is_whole(void **state)
{
	enum { SIZE = 33 << 20 };
	uint8_t *from = test_malloc(SIZE + 64), *to = test_malloc(SIZE + 64);

	(void)state;
	world.idle = 3;
	for (size_t i = 0; i < SIZE + 64; i++)
		from[i] = (uint8_t)(i * 31 >> 7);
	memset(to, 0xee, SIZE + 64);
	px_copy(to + 3, from + 5, SIZE + 1);
	assert_memory_equal(to + 3, from + 5, SIZE + 1);
	assert_int_equal(to[2], 0xee);
	assert_int_equal(to[SIZE + 4], 0xee);
	test_free(from);
	test_free(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(run_with_idle_processors_shares, setup),
		cmocka_unit_test_setup(run_with_busy_processors_is_alone, setup),
		cmocka_unit_test_setup(run_short_is_alone, setup),
		cmocka_unit_test_setup(run_nothing_does_nothing, setup),
		cmocka_unit_test_setup(run_without_threads_is_alone, setup),
		cmocka_unit_test_setup(run_failing_stops_and_says_so, setup),
		cmocka_unit_test(idle_processors_are_fewer_than_all),
		cmocka_unit_test_setup(copy_by_several_is_whole, setup),
	};

	return run_cases(tests, NULL, NULL);
}
