/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/c/case.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/doorbell.h"
#include "shm/error.h"
#include "shm/os.h"

#define NAP_MAX_NS UINT64_C(50000000)
#define LIMIT_S 60
#define ROUNDS 5000
#define RINGERS 3

static struct px_os real;
static struct px_doorbell_shm bell;

static int restore(void **state)
{
	(void)state;
	px_os = real;
	return 0;
}

static int fresh(void **state)
{
	memset(&bell, 0, sizeof(bell));
	/* The futex word wraps around in every case. */
	atomic_store(&bell.seq, UINT32_MAX);
	return restore(state);
}

/* --- scripted: one thread plays the sleeper, and the ringer in what the sleeper calls --- */

static struct {
	uint64_t now_ns;
	int steps; /* calls that the sleeper has made */
	int ring_at; /* in this call the ringer publishes, and rings unless it is killed before; -1: never */
	bool rings;
	uint32_t why;
	bool news;
	int wakes, naps, timeouts, yields;
	uint64_t nap_longest_ns;
	int interrupt_at; /* the nap that a signal ends; 0: none */
	bool slept_over;  /* slept although the bell was rung */
} play;

static void step(void)
{
	if (play.steps++ != play.ring_at)
		return;
	play.news = true;
	if (play.rings)
		px_doorbell_ring(&bell, play.why);
}

static uint64_t play_now(void)
{
	step();
	return play.now_ns += 100;
}

static void play_yield(void)
{
	play.yields++;
	step();
}

static void play_wake(_Atomic uint32_t *word)
{
	assert_ptr_equal(word, &bell.seq);
	play.wakes++;
}

static int play_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t ns)
{
	assert_ptr_equal(word, &bell.seq);
	/* The last moment: the sleeper has looked, but is not in the kernel's queue yet. */
	step();
	play.naps++;
	if (ns > play.nap_longest_ns)
		play.nap_longest_ns = ns;
	if (atomic_load(word) != expected)
		return -EAGAIN;
	if (play.naps == play.interrupt_at)
		return -EINTR;
	play.slept_over |= play.news && play.rings;
	play.timeouts++;
	play.now_ns += ns;
	return -ETIMEDOUT;
}

static int play_ready(void *ctx)
{
	bool seen = play.news;

	(void)ctx;
	step(); /* too late for this look */
	return seen;
}

static int start_play(void **state)
{
	int rc = fresh(state);

	memset(&play, 0, sizeof(play));
	play.ring_at = -1;
	play.why = PX_BELL_FRAME;
	px_os.now_ns = play_now;
	px_os.yield = play_yield;
	px_os.futex_wait = play_wait;
	px_os.futex_wake = play_wake;
	return rc;
}

static void ring_nobody_asleep_wakes_nobody(void **state)
{
	(void)state;
	assert_false(px_doorbell_ring(&bell, PX_BELL_FRAME | PX_BELL_RELEASE));
	assert_int_equal(play.wakes, 0);
	assert_int_equal(atomic_load(&bell.seq), UINT32_MAX);
}

static void ring_other_reason_wakes_nobody(void **state)
{
	(void)state;
	px_doorbell_announce(&bell, PX_BELL_RELEASE);
	assert_false(px_doorbell_ring(&bell, PX_BELL_FRAME));
	assert_int_equal(play.wakes, 0);
	assert_true(px_doorbell_ring(&bell, PX_BELL_RELEASE));
	assert_int_equal(play.wakes, 1);
}

static void ring_again_wakes_once(void **state)
{
	(void)state;
	px_doorbell_announce(&bell, PX_BELL_FRAME | PX_BELL_RELEASE);
	assert_true(px_doorbell_ring(&bell, PX_BELL_FRAME));
	assert_false(px_doorbell_ring(&bell, PX_BELL_FRAME));
	assert_false(px_doorbell_ring(&bell, PX_BELL_RELEASE));
	assert_int_equal(play.wakes, 1);
	assert_int_equal(atomic_load(&bell.asleep), 0);
	px_doorbell_announce(&bell, PX_BELL_FRAME);
	px_doorbell_ring(&bell, PX_BELL_FRAME);
	assert_int_equal(play.wakes, 2);
}

/* As the supervisor does for a ringer that was killed when it had taken the announcement. */
static void wake_needs_no_announcement(void **state)
{
	uint32_t ticket;

	(void)state;
	ticket = px_doorbell_announce(&bell, PX_BELL_FRAME);
	atomic_store(&bell.asleep, 0);
	px_doorbell_ring(&bell, PX_BELL_FRAME);
	assert_int_equal(play.wakes, 0);
	px_doorbell_wake(&bell);
	assert_int_equal(play.wakes, 1);
	assert_int_equal(px_doorbell_sleep(&bell, ticket, UINT64_MAX), 0);
	assert_int_equal(play.timeouts, 0);
}

static void ring_cancelled_wakes_nobody(void **state)
{
	(void)state;
	px_doorbell_announce(&bell, PX_BELL_FRAME);
	px_doorbell_cancel(&bell);
	px_doorbell_ring(&bell, PX_BELL_FRAME);
	assert_int_equal(play.wakes, 0);
}

static void sleep_rung_since_ticket_returns_at_once(void **state)
{
	uint32_t ticket;

	(void)state;
	ticket = px_doorbell_announce(&bell, PX_BELL_FRAME);
	px_doorbell_ring(&bell, PX_BELL_FRAME);
	assert_int_equal(atomic_load(&bell.seq), 0);
	assert_int_equal(px_doorbell_sleep(&bell, ticket, UINT64_MAX), 0);
	assert_int_equal(play.timeouts, 0);
	assert_int_equal(atomic_load(&bell.asleep), 0);
}

static void sleep_any_end_takes_announcement_back(void **state)
{
	(void)state;
	play.interrupt_at = 2;
	assert_int_equal(px_doorbell_sleep(&bell, px_doorbell_announce(&bell, 3), 1000), 0);
	assert_int_equal(atomic_load(&bell.asleep), 0);
	assert_int_equal(px_doorbell_sleep(&bell, px_doorbell_announce(&bell, 3), 1000), PX_EINTR);
	assert_int_equal(atomic_load(&bell.asleep), 0);
}

static int wait_for(uint64_t spin_ns, uint64_t timeout_ns)
{
	return px_doorbell_wait(&bell, PX_BELL_FRAME, spin_ns, timeout_ns, play_ready, NULL, NULL);
}

static void wait_ready_asks_nobody(void **state)
{
	(void)state;
	play.news = true;
	assert_int_equal(wait_for(1000, 0), 1);
	assert_int_equal(play.steps, 1);
	assert_int_equal(play.naps + play.wakes + play.yields, 0);
}

static void wait_no_time_looks_and_returns(void **state)
{
	(void)state;
	assert_int_equal(wait_for(UINT64_C(1000000), 0), PX_ETIMEDOUT);
	assert_int_equal(play.naps, 0);
	assert_int_equal(atomic_load(&bell.asleep), 0);
}

static void wait_times_out_in_bounded_naps(void **state)
{
	(void)state;
	assert_int_equal(wait_for(0, 3 * NAP_MAX_NS + 1000), PX_ETIMEDOUT);
	assert_in_range(play.naps, 3, 5);
	assert_in_range(play.nap_longest_ns, 1, NAP_MAX_NS);
	assert_in_range(play.now_ns, 3 * NAP_MAX_NS, 3 * NAP_MAX_NS + 100000);
	assert_int_equal(atomic_load(&bell.asleep), 0);
}

static void wait_spins_no_longer_than_told(void **state)
{
	(void)state;
	assert_int_equal(wait_for(20000, 10 * NAP_MAX_NS), PX_ETIMEDOUT);
	assert_in_range(play.yields, 100, 201); /* the clock gives 100 ns a look */
	start_play(state);
	assert_int_equal(wait_for(20000, 5000), PX_ETIMEDOUT);
	assert_in_range(play.yields, 10, 51);
	assert_int_equal(play.naps, 0);
}

static void idle_naps_grow_but_not_without_end(void **state)
{
	(void)state;
	assert_int_equal(px_doorbell_idle(&bell, PX_BELL_FRAME, 0, UINT64_C(60000000000),
					  play_ready, NULL, NULL),
			 PX_ETIMEDOUT);
	assert_in_range(play.naps, 38, 44); /* in a minute */
	assert_int_equal(play.nap_longest_ns, 32 * NAP_MAX_NS);
	start_play(state);
	assert_int_equal(px_doorbell_idle(&bell, PX_BELL_FRAME, 0, NAP_MAX_NS, play_ready, NULL,
					  NULL),
			 PX_ETIMEDOUT);
	assert_in_range(play.nap_longest_ns, 1, NAP_MAX_NS);
}

static void idle_rung_at_any_nap_wakes_at_once(void **state)
{
	(void)state;
	for (int at = 0; at < 40; at++) {
		start_play(state);
		play.ring_at = at;
		play.rings = true;
		assert_int_equal(px_doorbell_idle(&bell, PX_BELL_FRAME, 0, UINT64_MAX, play_ready,
						  NULL, NULL),
				 1);
		assert_false(play.slept_over);
	}
}

/* Steps that a wait of one nap takes: in each of them something will happen. */
static int count_steps(void)
{
	void *state = NULL;

	start_play(&state);
	wait_for(2000, NAP_MAX_NS / 2);
	assert_int_equal(play.timeouts, 1);
	return play.steps;
}

static void wait_rung_at_any_step_never_sleeps_over(void **state)
{
	int steps = count_steps();

	for (int at = 0; at < steps; at++) {
		start_play(state);
		play.ring_at = at;
		play.rings = true;
		assert_int_equal(wait_for(2000, UINT64_MAX), 1);
		assert_false(play.slept_over);
		assert_int_equal(atomic_load(&bell.asleep), 0);
	}
}

static void wait_ringer_killed_before_ringing_costs_one_nap(void **state)
{
	int steps = count_steps();

	for (int at = 0; at < steps; at++) {
		start_play(state);
		play.ring_at = at;
		assert_int_equal(wait_for(2000, UINT64_MAX), 1);
		assert_in_range(play.timeouts, 0, 2);
		assert_in_range(play.nap_longest_ns, 0, NAP_MAX_NS);
		assert_in_range(play.now_ns, 0, 2 * NAP_MAX_NS + 100000);
	}
}

static void wait_interrupted_says_so(void **state)
{
	(void)state;
	play.interrupt_at = 2;
	assert_int_equal(wait_for(0, UINT64_MAX), PX_EINTR);
	assert_string_not_equal(px_last_error(), "");
	assert_int_equal(atomic_load(&bell.asleep), 0);
}

/* The ringer is killed before it rings, and a signal ends the nap. */
static void wait_interrupted_with_news_gives_news(void **state)
{
	int steps = count_steps(), rc;

	for (int at = 0; at < steps; at++) {
		start_play(state);
		play.ring_at = at;
		play.interrupt_at = 1;
		rc = wait_for(2000, UINT64_MAX);
		/* News during the last look, or after it, is too late. */
		assert_int_equal(rc, at < play.steps - 1 ? 1 : PX_EINTR);
		assert_int_equal(play.timeouts, 0);
	}
}

static int say_death(void *ctx)
{
	(void)ctx;
	return PX_EPOOL;
}

/* A timer's signals end every nap: who has died meanwhile is found out all the same. */
static void wait_interrupted_in_each_nap_looks_for_the_dead(void **state)
{
	(void)state;
	play.interrupt_at = 1;
	assert_int_equal(px_doorbell_wait(&bell, PX_BELL_FRAME, 0, UINT64_MAX, play_ready,
					  say_death, NULL),
			 PX_EPOOL);
	assert_int_equal(play.timeouts, 0);
}

static int fail_ready(void *ctx)
{
	(void)ctx;
	return PX_ECORRUPT;
}

static int count_naps(void *ctx)
{
	int *left = ctx;

	return --*left == 0 ? PX_EPOOL : 0;
}

static int never_ready(void *ctx)
{
	(void)ctx;
	return 0;
}

static void wait_passes_errors_on(void **state)
{
	int left = 3;

	(void)state;
	assert_int_equal(px_doorbell_wait(&bell, PX_BELL_FRAME, 0, UINT64_MAX, fail_ready, NULL,
					  NULL),
			 PX_ECORRUPT);
	assert_int_equal(px_doorbell_wait(&bell, PX_BELL_FRAME, 0, UINT64_MAX, never_ready,
					  count_naps, &left),
			 PX_EPOOL);
	assert_int_equal(play.naps, 3);
	assert_int_equal(atomic_load(&bell.asleep), 0);
}

/* --- real: through one mapping by threads (for TSan), and by processes --- */

struct side {
	struct px_doorbell_shm bell;
	_Atomic uint64_t count; /* published by the other side */
	_Atomic uint32_t naps_slept_out;
};

static struct table {
	struct side sides[2];
	struct px_doorbell_shm bell;
	_Atomic uint64_t published[RINGERS];
} * table;

static _Thread_local struct side *own_side;

/* Counts the naps that ended by their time limit. */
static int counting_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t ns)
{
	int rc = real.futex_wait(word, expected, ns);

	if (rc == -ETIMEDOUT && own_side)
		atomic_fetch_add(&own_side->naps_slept_out, 1);
	return rc;
}

static int fresh_table(void **state)
{
	int rc = fresh(state);

	memset(table, 0, sizeof(*table));
	px_os.futex_wait = counting_wait;
	return rc;
}

struct expected {
	struct side *side;
	uint64_t count;
};

static int has_come(void *ctx)
{
	struct expected *e = ctx;

	return atomic_load_explicit(&e->side->count, memory_order_acquire) >= e->count;
}

/* Both sides answer each other; in every other round they may spin. */
static int ping_pong(int me)
{
	struct expected e = { .side = &table->sides[me] };
	struct side *peer = &table->sides[!me];

	own_side = e.side;
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		uint64_t spin_ns = i % 2 ? 0 : 3000;

		e.count = i;
		if (me == 1 && px_doorbell_wait(&e.side->bell, PX_BELL_FRAME, spin_ns, UINT64_MAX,
						has_come, NULL, &e) != 1)
			return 1;
		atomic_store_explicit(&peer->count, i, memory_order_release);
		px_doorbell_ring(&peer->bell, PX_BELL_FRAME);
		if (me == 0 && px_doorbell_wait(&e.side->bell, PX_BELL_FRAME, spin_ns, UINT64_MAX,
						has_come, NULL, &e) != 1)
			return 1;
	}
	return 0;
}

/* That a partner gets no processor for 50 ms is rare; a lost wake-up would occur each time. */
static void assert_woken(void)
{
	assert_in_range(atomic_load(&table->sides[0].naps_slept_out) +
				atomic_load(&table->sides[1].naps_slept_out),
			0, ROUNDS / 100);
}

static void *ping_pong_thread(void *ctx)
{
	(void)ctx;
	return (void *)(intptr_t)ping_pong(1);
}

static void wait_threads_ping_pong(void **state)
{
	pthread_t thread;
	void *rc;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, ping_pong_thread, NULL), 0);
	assert_int_equal(ping_pong(0), 0);
	assert_int_equal(pthread_join(thread, &rc), 0);
	assert_null(rc);
	assert_woken();
}

static void assert_child_done(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void wait_processes_ping_pong(void **state)
{
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		_exit(ping_pong(1));
	}
	assert_int_equal(ping_pong(0), 0);
	assert_child_done(child);
	assert_woken();
}

static int ring_often(int me)
{
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		atomic_store_explicit(&table->published[me], i, memory_order_release);
		px_doorbell_ring(&table->bell, me == 0 ? PX_BELL_RELEASE : PX_BELL_FRAME);
		if (i % 16 == 0)
			sched_yield();
	}
	return 0;
}

static void *ring_often_thread(void *ctx)
{
	(void)ring_often((int)(intptr_t)ctx);
	return NULL;
}

static uint64_t published(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < RINGERS; i++)
		sum += atomic_load_explicit(&table->published[i], memory_order_acquire);
	return sum;
}

static int has_more(void *ctx)
{
	return published() > *(uint64_t *)ctx;
}

/* Must never be asleep while anything is published that it has not seen. */
static void collect_all(void)
{
	own_side = &table->sides[0];
	for (uint64_t seen = 0; seen < (uint64_t)RINGERS * ROUNDS; seen = published())
		assert_int_equal(px_doorbell_wait(&table->bell, PX_BELL_FRAME | PX_BELL_RELEASE, 0,
						  UINT64_MAX, has_more, NULL, &seen),
				 1);
	assert_woken();
}

static void wait_many_ringing_threads_loses_none(void **state)
{
	pthread_t threads[RINGERS];

	(void)state;
	for (intptr_t i = 0; i < RINGERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ring_often_thread, (void *)i),
				 0);
	collect_all();
	for (int i = 0; i < RINGERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void wait_many_ringing_processes_loses_none(void **state)
{
	pid_t children[RINGERS];

	(void)state;
	for (int i = 0; i < RINGERS; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0) {
			_exit(ring_often(i));
		}
	}
	collect_all();
	for (int i = 0; i < RINGERS; i++)
		assert_child_done(children[i]);
}

/* The ringer is killed with the news published and the bell not rung. */
static void wait_ringer_killed_finds_news_after_a_nap(void **state)
{
	struct expected e = { .side = &table->sides[0], .count = 1 };
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		atomic_store_explicit(&table->sides[0].count, 1, memory_order_release);
		raise(SIGKILL);
	}
	assert_int_equal(px_doorbell_wait(&e.side->bell, PX_BELL_FRAME, 0,
					  UINT64_C(1000000000) * LIMIT_S, has_come, NULL, &e),
			 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

/* --- what a wake-up costs --- */

static void spin_grows_only_where_it_saves_a_sleep(void **state)
{
	(void)state;
	assert_int_equal(px_doorbell_spin_next(50, 50, 30), 50); /* enough */
	assert_int_equal(px_doorbell_spin_next(50, 50, 51),
			 100); /* a little more would have been */
	assert_int_equal(px_doorbell_spin_next(100, 50, 150), 200);
	assert_int_equal(px_doorbell_spin_next(150, 50, 160), 200); /* and no further */
	assert_int_equal(px_doorbell_spin_next(200, 50, 180), 200);
	assert_int_equal(px_doorbell_spin_next(200, 50, 201), 50); /* a pause */
	assert_int_equal(px_doorbell_spin_next(50, 50, UINT64_MAX), 50);
}

static void spin_after_waking_covers_what_that_took_lately(void **state)
{
	(void)state;
	assert_int_equal(px_doorbell_spin_woken(0, 50), 100); /* a wake-up, and short work */
	assert_int_equal(px_doorbell_spin_woken(80, 50), 130);
	assert_int_equal(px_doorbell_spin_woken(190, 50), 200); /* and no further */
	assert_int_equal(px_doorbell_spin_woken(201, 50), 50);  /* long work: it does not pay */
	assert_int_equal(px_doorbell_spin_woken(UINT64_MAX, 50), 50);
}

static void measure_gives_a_sane_time(void **state)
{
	(void)state;
	assert_in_range(px_doorbell_measure_ns(), 50000, 100000);
}

static int measure_on_one(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return px_doorbell_measure_ns() == 50000 ? 0 : 2;
}

static void measure_one_processor_gives_the_least(void **state)
{
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		_exit(measure_on_one());
	}
	assert_child_done(child);
}

#define SCRIPTED(name) cmocka_unit_test_setup_teardown(name, start_play, restore)
#define REAL(name) cmocka_unit_test_setup_teardown(name, fresh_table, restore)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPTED(ring_nobody_asleep_wakes_nobody),
		SCRIPTED(ring_other_reason_wakes_nobody),
		SCRIPTED(ring_again_wakes_once),
		SCRIPTED(wake_needs_no_announcement),
		SCRIPTED(ring_cancelled_wakes_nobody),
		SCRIPTED(sleep_rung_since_ticket_returns_at_once),
		SCRIPTED(sleep_any_end_takes_announcement_back),
		SCRIPTED(wait_ready_asks_nobody),
		SCRIPTED(wait_no_time_looks_and_returns),
		SCRIPTED(wait_times_out_in_bounded_naps),
		SCRIPTED(wait_spins_no_longer_than_told),
		SCRIPTED(idle_naps_grow_but_not_without_end),
		SCRIPTED(idle_rung_at_any_nap_wakes_at_once),
		SCRIPTED(wait_rung_at_any_step_never_sleeps_over),
		SCRIPTED(wait_ringer_killed_before_ringing_costs_one_nap),
		SCRIPTED(wait_interrupted_says_so),
		SCRIPTED(wait_interrupted_with_news_gives_news),
		SCRIPTED(wait_interrupted_in_each_nap_looks_for_the_dead),
		SCRIPTED(wait_passes_errors_on),
		REAL(wait_threads_ping_pong),
		REAL(wait_processes_ping_pong),
		REAL(wait_many_ringing_threads_loses_none),
		REAL(wait_many_ringing_processes_loses_none),
		REAL(wait_ringer_killed_finds_news_after_a_nap),
		cmocka_unit_test(spin_grows_only_where_it_saves_a_sleep),
		cmocka_unit_test(spin_after_waking_covers_what_that_took_lately),
		cmocka_unit_test(measure_gives_a_sane_time),
		cmocka_unit_test(measure_one_processor_gives_the_least),
	};

	real = px_os;
	table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (table == MAP_FAILED)
		return 1;
	return run_cases(tests, NULL, NULL);
}
