/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_event_loop.c - descriptors and times, on io_uring and on epoll.
 */
#include "tests/c/case.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/os.h"
#include "supervisor/event_loop.h"

#define MS UINT64_C(1000000)

static enum px_loop_kind kind;

struct seen {
	struct px_loop *loop;
	struct px_watch watch;
	struct px_timer timer;
	int fd, calls;
	struct seen *victim;
};

static struct px_loop *make_loop(void)
{
	struct px_loop *loop;

	assert_int_equal(px_loop_new(kind, &loop), 0);
	assert_string_equal(px_loop_name(loop), kind == PX_LOOP_EPOLL ? "epoll" : "io_uring");
	return loop;
}

static void make_pair(int *pair)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static void count(void *ctx)
{
	((struct seen *)ctx)->calls++;
}

static void count_and_read(void *ctx)
{
	struct seen *seen = ctx;
	char byte;

	seen->calls++;
	assert_int_equal(read(seen->fd, &byte, 1), 1);
}

static void steps(struct px_loop *loop, int *calls, int wanted)
{
	for (int i = 0; i < 200 && *calls < wanted; i++)
		assert_int_equal(px_loop_step(loop, true), 0);
	assert_int_equal(*calls, wanted);
}

/* --- */

static void watch_two_bytes_calls_twice(void **state)
{
	struct px_loop *loop = make_loop();
	struct seen seen = { 0 };
	int pair[2];

	(void)state;
	make_pair(pair);
	seen.fd = pair[0];
	assert_int_equal(px_loop_watch(loop, &seen.watch, pair[0], count_and_read, &seen), 0);
	/* What a callback leaves unread calls it again. */
	assert_int_equal(write(pair[1], "ab", 2), 2);
	steps(loop, &seen.calls, 2);
	assert_int_equal(write(pair[1], "c", 1), 1);
	steps(loop, &seen.calls, 3);
	px_loop_unwatch(loop, &seen.watch);
	close(pair[0]);
	close(pair[1]);
	px_loop_free(loop);
}

static void watch_hung_up_calls(void **state)
{
	struct px_loop *loop = make_loop();
	struct seen seen = { 0 };
	int pair[2];

	(void)state;
	make_pair(pair);
	assert_int_equal(px_loop_watch(loop, &seen.watch, pair[0], count, &seen), 0);
	close(pair[1]);
	steps(loop, &seen.calls, 1);
	px_loop_unwatch(loop, &seen.watch);
	close(pair[0]);
	px_loop_free(loop);
}

static void unwatch_closes_for_the_peer_at_once(void **state)
{
	struct px_loop *loop = make_loop();
	struct seen seen = { 0 };
	int pair[2];
	char byte;

	(void)state;
	make_pair(pair);
	assert_int_equal(px_loop_watch(loop, &seen.watch, pair[0], count, &seen), 0);
	px_loop_timer_set(loop, &seen.timer, MS, count, &seen);
	steps(loop, &seen.calls, 1); /* the watch is in the kernel now */
	px_loop_unwatch(loop, &seen.watch);
	close(pair[0]);
	/* If the kernel still held the file, this would wait for ever. */
	assert_int_equal(recv(pair[1], &byte, 1, 0), 0);
	close(pair[1]);
	px_loop_free(loop);
}

static void drop_the_other(void *ctx)
{
	struct seen *seen = ctx;

	seen->calls++;
	px_loop_unwatch(seen->loop, &seen->watch);
	px_loop_unwatch(seen->loop, &seen->victim->watch);
	/* The sanitizer would see a call through freed memory. */
	memset(&seen->victim->watch, 0xee, sizeof(seen->victim->watch));
}

static void unwatch_inside_callback_silences_both(void **state)
{
	struct px_loop *loop = make_loop();
	struct seen a = { .loop = loop }, b = { .loop = loop };
	int first[2], second[2];

	(void)state;
	a.victim = &b;
	b.victim = &a;
	make_pair(first);
	make_pair(second);
	assert_int_equal(px_loop_watch(loop, &a.watch, first[0], drop_the_other, &a), 0);
	assert_int_equal(px_loop_watch(loop, &b.watch, second[0], drop_the_other, &b), 0);
	assert_int_equal(write(first[1], "x", 1), 1);
	assert_int_equal(write(second[1], "x", 1), 1);
	for (int i = 0; i < 3; i++) {
		px_loop_timer_set(loop, &a.timer, MS, count, &(struct seen){ 0 });
		assert_int_equal(px_loop_step(loop, true), 0);
	}
	assert_int_equal(a.calls + b.calls, 1);
	px_loop_timer_stop(loop, &a.timer);
	for (int i = 0; i < 2; i++) {
		close(first[i]);
		close(second[i]);
	}
	px_loop_free(loop);
}

static void replace_watch(void *ctx)
{
	struct seen *seen = ctx;
	int fd = seen->fd;

	px_loop_unwatch(seen->loop, &seen->watch);
	assert_int_equal(px_loop_watch(seen->loop, &seen->watch, fd, count_and_read, seen), 0);
}

static void watch_anew_inside_callback_calls_the_new(void **state)
{
	struct px_loop *loop = make_loop();
	struct seen seen = { .loop = loop };
	int pair[2];

	(void)state;
	make_pair(pair);
	seen.fd = pair[0];
	assert_int_equal(px_loop_watch(loop, &seen.watch, pair[0], replace_watch, &seen), 0);
	assert_int_equal(write(pair[1], "x", 1), 1);
	steps(loop, &seen.calls, 1);
	px_loop_unwatch(loop, &seen.watch);
	close(pair[0]);
	close(pair[1]);
	px_loop_free(loop);
}

static void watch_1000_calls_each(void **state)
{
	enum { MANY = 1000 };
	struct px_loop *loop = make_loop();
	struct seen *all = calloc(MANY, sizeof(*all));
	int(*pairs)[2] = calloc(MANY, sizeof(*pairs));
	struct rlimit files;
	int calls = 0;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < 2 * MANY + 20) {
		free(all);
		free(pairs);
		px_loop_free(loop);
		skip(); /* the hard limit of descriptors is too low here */
	}
	for (int i = 0; i < MANY; i++) {
		make_pair(pairs[i]);
		all[i].fd = pairs[i][0];
		assert_int_equal(px_loop_watch(loop, &all[i].watch, all[i].fd, count_and_read,
					       &all[i]),
				 0);
	}
	for (int i = 0; i < MANY; i++)
		assert_int_equal(write(pairs[i][1], "x", 1), 1);
	for (int round = 0; round < MANY && calls < MANY; round++) {
		assert_int_equal(px_loop_step(loop, true), 0);
		calls = 0;
		for (int i = 0; i < MANY; i++)
			calls += all[i].calls;
	}
	assert_int_equal(calls, MANY);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(all[i].calls, 1);
		px_loop_unwatch(loop, &all[i].watch);
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
	free(all);
	free(pairs);
	px_loop_free(loop);
}

/* --- times --- */

struct order {
	char text[8];
};

static struct order order;

static void note_a(void *ctx)
{
	(void)ctx;
	strcat(order.text, "a");
}

static void note_b(void *ctx)
{
	(void)ctx;
	strcat(order.text, "b");
}

static void note_c(void *ctx)
{
	(void)ctx;
	strcat(order.text, "c");
}

static void timers_expire_in_order_and_not_early(void **state)
{
	struct px_loop *loop = make_loop();
	struct px_timer a = { 0 }, b = { 0 }, c = { 0 }, never = { 0 };
	uint64_t begin = px_os.now_ns();

	(void)state;
	order.text[0] = '\0';
	px_loop_timer_set(loop, &c, 9 * MS, note_c, NULL);
	px_loop_timer_set(loop, &a, 900 * MS, note_a, NULL);
	px_loop_timer_set(loop, &b, 6 * MS, note_b, NULL);
	px_loop_timer_set(loop, &never, 4 * MS, note_a, NULL);
	px_loop_timer_stop(loop, &never);
	px_loop_timer_set(loop, &a, 3 * MS, note_a, NULL); /* moved forward */
	while (strlen(order.text) < 3)
		assert_int_equal(px_loop_step(loop, true), 0);
	assert_string_equal(order.text, "abc");
	assert_true(px_os.now_ns() - begin >= 9 * MS);
	assert_int_equal(a.deadline_ns, 0);
	px_loop_free(loop);
}

static void set_again(void *ctx)
{
	struct seen *seen = ctx;

	if (++seen->calls < 3)
		px_loop_timer_set(seen->loop, &seen->timer, 0, set_again, seen);
}

static void timer_set_inside_callback_is_for_the_next_step(void **state)
{
	struct px_loop *loop = make_loop();
	struct seen seen = { .loop = loop };

	(void)state;
	px_loop_timer_set(loop, &seen.timer, 0, set_again, &seen);
	steps(loop, &seen.calls, 3);
	px_loop_free(loop);
}

static void step_that_may_not_wait_does_what_is_due(void **state)
{
	struct px_loop *loop = make_loop();
	struct seen due = { 0 }, later = { 0 }, ready = { 0 };
	int pair[2];

	(void)state;
	make_pair(pair);
	ready.fd = pair[0];
	assert_int_equal(px_loop_watch(loop, &ready.watch, pair[0], count_and_read, &ready), 0);
	px_loop_timer_set(loop, &due.timer, 0, count, &due);
	px_loop_timer_set(loop, &later.timer, 3600 * 1000 * MS, count, &later);
	/* If it waited, it would be for an hour, beyond the test's time limit. */
	assert_int_equal(px_loop_step(loop, false), 0);
	assert_int_equal(px_loop_step(loop, false), 0);
	assert_int_equal(due.calls, 1);
	assert_int_equal(later.calls, 0);
	assert_int_equal(ready.calls, 0);
	assert_int_equal(write(pair[1], "x", 1), 1);
	while (!ready.calls)
		assert_int_equal(px_loop_step(loop, false), 0);
	px_loop_timer_stop(loop, &later.timer);
	px_loop_unwatch(loop, &ready.watch);
	close(pair[0]);
	close(pair[1]);
	px_loop_free(loop);
}

static void idle_takes_no_processor_time(void **state)
{
	struct px_loop *loop = make_loop();
	struct seen seen = { 0 };
	struct timespec before, after;
	int pair[2];

	(void)state;
	make_pair(pair);
	assert_int_equal(px_loop_watch(loop, &seen.watch, pair[0], count, &seen), 0);
	px_loop_timer_set(loop, &seen.timer, 200 * MS, count, &seen);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	steps(loop, &seen.calls, 1);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	assert_true((after.tv_sec - before.tv_sec) * 1000 +
			    (after.tv_nsec - before.tv_nsec) / 1000000 <
		    20);
	px_loop_unwatch(loop, &seen.watch);
	close(pair[0]);
	close(pair[1]);
	px_loop_free(loop);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(watch_two_bytes_calls_twice),
		cmocka_unit_test(watch_hung_up_calls),
		cmocka_unit_test(unwatch_closes_for_the_peer_at_once),
		cmocka_unit_test(unwatch_inside_callback_silences_both),
		cmocka_unit_test(watch_anew_inside_callback_calls_the_new),
		cmocka_unit_test(watch_1000_calls_each),
		cmocka_unit_test(timers_expire_in_order_and_not_early),
		cmocka_unit_test(timer_set_inside_callback_is_for_the_next_step),
		cmocka_unit_test(step_that_may_not_wait_does_what_is_due),
		cmocka_unit_test(idle_takes_no_processor_time),
	};
	struct px_loop *probe;
	int failed;

	kind = PX_LOOP_EPOLL;
	failed = run_cases_named("epoll: ", tests, NULL, NULL);
	kind = PX_LOOP_URING;
	if (px_loop_new(kind, &probe) < 0) {
		print_message("skipped on io_uring: %s\n", px_last_error());
		return failed;
	}
	px_loop_free(probe);
	return failed + run_cases_named("io_uring: ", tests, NULL, NULL);
}
