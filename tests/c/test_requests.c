/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/c/case.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/pxrun.h"

#define MILLISECOND UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define LIMIT (30 * SECOND)

static struct px_client *client;
static struct px_view *all, *first, *any;

static int start(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS;

	(void)state;
	options.profile = "";
	options.engines = 2;
	options.preload = "";
	options.arena_bytes = 64 << 20; /* so that it can be filled */
	if (px_pool_start(&options, &client) < 0) {
		print_error("%s\n", px_last_error());
		return -1;
	}
	return px_view_all(client, &all) | px_view_any(client, &any) |
	       px_view_of(client, (uint32_t[]){ 0 }, 1, &first);
}

static int stop(void **state)
{
	(void)state;
	px_view_free(any);
	px_view_free(first);
	px_view_free(all);
	px_client_detach(client);
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static struct px_result *run(struct px_view *view, const char *code, const struct px_how *how)
{
	struct px_result *result;

	if (px_view_execute(view, code, how, &result) < 0)
		fail_msg("%s", px_last_error());
	return result;
}

static int end_of(struct px_result *result, size_t index)
{
	struct px_value value;

	assert_int_equal(px_result_wait(result, LIMIT), 0);
	return px_result_value(result, index, &value);
}

/* Until the engine runs it. */
static void wait_for_start(struct px_result *result)
{
	struct px_times times = PX_TIMES;

	while (!times.started_ns) {
		assert_int_equal(px_result_times(result, 0, &times), 0);
		usleep(1000);
	}
}

/* --- time limits --- */

static void limit_stops_what_runs_and_takes_back_what_waits(void **state)
{
	struct px_how how = PX_HOW;
	struct px_result *running, *waiting;
	uint64_t began = now_ns();

	(void)state;
	how.timeout_ns = 200 * MILLISECOND;
	running = run(all, "import time; time.sleep(60)", &how);
	how.timeout_ns = 100 * MILLISECOND; /* before the engine is free */
	waiting = run(first, "never = 1", &how);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(end_of(running, i), PX_ETIMEDOUT);
		assert_non_null(strstr(px_last_error(), "time limit"));
	}
	assert_int_equal(end_of(waiting, 0), PX_ETIMEDOUT);
	assert_in_range(now_ns() - began, 200 * MILLISECOND, 10 * SECOND);
	px_result_free(waiting);
	px_result_free(running);
	waiting = run(first, "'never' in globals()", NULL);
	assert_int_equal(end_of(waiting, 0), 0);
	px_result_free(waiting);
}

/* Nobody calls the library meanwhile, and the descriptor tells of it. */
static void limit_holds_when_nobody_waits(void **state)
{
	struct px_how how = PX_HOW;
	struct px_result *late, *probe, *next;
	struct px_times times = PX_TIMES;

	(void)state;
	how.timeout_ns = 100 * MILLISECOND;
	late = run(first, "import time; time.sleep(60)", &how);
	probe = run(first, "1", NULL);
	usleep(1500000);
	assert_int_equal(px_client_next(client, 0, &next), 0);
	assert_ptr_equal(next, late);
	assert_int_equal(end_of(probe, 0), 0);
	assert_int_equal(px_result_times(probe, 0, &times), 0);
	assert_int_equal(end_of(late, 0), PX_ETIMEDOUT);
	px_result_free(probe);
	px_result_free(late);
}

static void limit_of_tasks_and_of_what_is_freed(void **state)
{
	struct px_how how = PX_HOW;
	struct px_result *tasks[6], *probe;

	(void)state;
	how.timeout_ns = 100 * MILLISECOND;
	how.retries = 3; /* which is not for who is late */
	for (size_t i = 0; i < 6; i++)
		tasks[i] = run(any, "import time; time.sleep(60)", &how);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(end_of(tasks[i], 0), PX_ETIMEDOUT);
		px_result_free(tasks[i]);
	}
	how.retries = 0;
	px_result_free(run(all, "import time; time.sleep(60)", &how));
	probe = run(all, "1", NULL);
	assert_int_equal(end_of(probe, 0), 0);
	px_result_free(probe);
}

static void limit_that_is_not_reached_changes_nothing(void **state)
{
	struct px_how how = PX_HOW;
	struct px_result *results[50];

	(void)state;
	how.timeout_ns = 20 * SECOND;
	for (int i = 0; i < 50; i++)
		results[i] = run(all, "1", &how);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(end_of(results[i], 0), 0);
		px_result_free(results[i]);
	}
	how.timeout_ns = PX_FOREVER;
	results[0] = run(all, "1", &how);
	assert_int_equal(end_of(results[0], 0), 0);
	px_result_free(results[0]);
}

/* Who waits sleeps, and no engine rings for what is taken back. */
static void limit_wakes_who_waits(void **state)
{
	struct px_result *busy = run(first, "import time; time.sleep(60)", NULL), *waiting;
	struct px_how how = PX_HOW;
	uint64_t late_ns = 0;

	(void)state;
	wait_for_start(busy);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t began = now_ns();

		how.timeout_ns = (20 + 5 * i) * MILLISECOND;
		waiting = run(first, "1", &how);
		assert_int_equal(end_of(waiting, 0), PX_ETIMEDOUT);
		late_ns += now_ns() - began - how.timeout_ns;
		px_result_free(waiting);
	}
	/* It was 30 ms on average, a nap of whoever reads the rings being 50. */
	assert_in_range(late_ns, 0, 150 * MILLISECOND);
	assert_int_equal(px_result_cancel(busy, 0), 0);
	assert_int_equal(end_of(busy, 0), PX_EREMOTE);
	px_result_free(busy);
}

static void limit_of_what_heeds_no_interrupt_holds_when_it_ends(void **state)
{
	struct px_how how = PX_HOW;
	struct px_result *stubborn;

	(void)state;
	how.timeout_ns = 100 * MILLISECOND;
	stubborn = run(first,
		       "import time\n"
		       "for i in range(2):\n"
		       "    try: time.sleep(0.2)\n"
		       "    except KeyboardInterrupt: pass\n"
		       "7",
		       &how);
	assert_int_equal(end_of(stubborn, 0), PX_ETIMEDOUT);
	px_result_free(stubborn);
}

static void limit_ends_the_wait_for_room(void **state)
{
	struct px_result *busy = run(first, "import time; time.sleep(60)", NULL), *result;
	struct px_how how = PX_HOW;
	struct px_view *both;
	static char code[1000];
	uint64_t began;

	(void)state;
	memset(code, ' ', sizeof(code) - 2);
	code[0] = '1';
	how.flags = PX_NOWAIT;
	while (px_view_execute(first, code, &how, NULL) == 0)
		;
	how.flags = 0;
	how.timeout_ns = 100 * MILLISECOND;
	began = now_ns();
	assert_int_equal(px_view_execute(first, code, &how, &result), PX_ETIMEDOUT);
	assert_non_null(strstr(px_last_error(), "engine 0"));
	assert_in_range(now_ns() - began, 100 * MILLISECOND, 10 * SECOND);
	assert_int_equal(px_view_of(client, (uint32_t[]){ 1, 0 }, 2, &both), 0);
	assert_int_equal(px_view_execute(both, code, &how, &result), 0);
	assert_int_equal(end_of(result, 1), PX_ETIMEDOUT);
	px_result_free(result);
	px_view_free(both);
	assert_int_equal(px_result_cancel(busy, 0), 0);
	assert_int_equal(end_of(busy, 0), PX_EREMOTE);
	px_result_free(busy);
}

/* Items that were sent in time have values or were stopped, the others are not sent. */
static void limit_ends_a_map_that_is_being_sent(void **state)
{
	enum { ITEMS = 100000 };
	struct px_view *const views[] = { all, any };
	static struct px_value items[ITEMS];
	struct px_how how = PX_HOW;
	struct px_result *result;
	struct px_value value;

	(void)state;
	for (int i = 0; i < ITEMS; i++)
		items[i] = px_int(-i);
	how.timeout_ns = 10 * MILLISECOND;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	how.timeout_ns = 200 * MILLISECOND; /* the first are to be sent in time */
#endif
	for (size_t v = 0; v < 2; v++) {
		size_t late = 0;

		assert_int_equal(px_view_map(views[v], "builtins:abs", ITEMS, items, 1, &how,
					     &result),
				 0);
		assert_int_equal(px_result_wait(result, LIMIT), 0);
		for (size_t i = 0; i < ITEMS; i++) {
			int rc = px_result_item(result, i, &value);

			late += rc == PX_ETIMEDOUT;
			assert_true(rc == 0 || rc == PX_ETIMEDOUT);
			assert_true(rc < 0 || value.as.integer == (int64_t)i);
		}
		assert_true(late > 0);
		px_result_free(result);
	}
}

/* --- flags --- */

static void nowait_says_eagain_where_there_is_no_room(void **state)
{
	struct px_how how = PX_HOW;
	struct px_result *busy = run(first, "import time; time.sleep(60)", NULL), *result;
	static char code[1000];
	struct px_value value;
	int sent = 0, rc;

	(void)state;
	wait_for_start(busy);
	memset(code, ' ', sizeof(code) - 2);
	code[0] = '1';
	how.flags = PX_NOWAIT;
	for (;;) {
		uint64_t began = now_ns();

		rc = px_view_execute(first, code, &how, NULL);
		assert_true(now_ns() - began < 5 * SECOND);
		if (rc < 0)
			break;
		assert_in_range(++sent, 1, 1000000);
	}
	assert_int_equal(rc, PX_EAGAIN);
	assert_non_null(strstr(px_last_error(), "engine 0"));
	/* Of several, it is the entry of the one that has no room, if another has got it. */
	struct px_view *both;

	assert_int_equal(px_view_of(client, (uint32_t[]){ 1, 0 }, 2, &both), 0);
	assert_int_equal(px_view_execute(both, code, &how, &result), 0);
	while (px_result_value(result, 0, &value) == PX_EAGAIN && !px_result_ready(result))
		usleep(1000);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_value(result, 0, &value), 0);
	assert_int_equal(px_result_value(result, 1, &value), PX_EAGAIN);
	px_result_free(result);
	px_view_free(both);
	assert_int_equal(px_result_cancel(busy, 0), 0);
	assert_int_equal(end_of(busy, 0), PX_EREMOTE);
	px_result_free(busy);
}

static void urgent_overtakes_what_waits(void **state)
{
	struct px_how how = PX_HOW;
	struct px_result *busy = run(first, "import time; time.sleep(0.3); order = []", NULL);
	struct px_result *later = run(first, "order.append('later')", NULL), *urgent, *seen;
	struct px_value value;

	(void)state;
	wait_for_start(busy);
	how.flags = PX_URGENT;
	urgent = run(first, "order.append('urgent')", &how);
	seen = run(first, "order[0]", NULL);
	assert_int_equal(px_result_wait(seen, LIMIT), 0);
	assert_int_equal(px_result_value(seen, 0, &value), 0);
	assert_string_equal(value.as.text.data, "'urgent'");
	assert_int_equal(px_view_noop(any, &how, NULL), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "urgent"));
	px_result_free(seen);
	px_result_free(urgent);
	px_result_free(later);
	px_result_free(busy);
}

static void quiet_has_no_value_and_no_output(void **state)
{
	struct px_how how = PX_HOW;
	struct px_result *result;
	struct px_value value;
	char text[8];
	size_t got = 9;

	(void)state;
	how.flags = PX_QUIET;
	result = run(first, "print('loud')\n7", &how);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_value(result, 0, &value), 0);
	assert_int_equal(value.type, PX_NONE);
	assert_int_equal(px_result_output(result, 0, 1, 0, text, sizeof(text), &got), 0);
	assert_int_equal(got, 0);
	px_result_free(result);
}

static void how_that_cannot_be_says_einval(void **state)
{
	struct px_how how = PX_HOW;

	(void)state;
	how.retries = 1;
	assert_int_equal(px_view_noop(first, &how, NULL), PX_EINVAL);
	how.retries = 0;
	how.flags = 0x100;
	assert_int_equal(px_view_noop(first, &how, NULL), PX_EINVAL);
	memset(&how, 0, sizeof(how));
	assert_int_equal(px_view_noop(first, &how, NULL), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "PX_HOW"));
}

/* --- results --- */

static void wait_any_gives_the_one_that_is_ready(void **state)
{
	struct px_result *results[3];
	size_t which = 99;

	(void)state;
	results[0] = run(first, "import time; time.sleep(60)", NULL);
	results[1] = run(first, "1", NULL);
	results[2] = run(all, "1", NULL); /* one of its engines is busy */
	assert_int_equal(px_result_wait_any(results, 3, 20 * MILLISECOND, &which), PX_ETIMEDOUT);
	assert_int_equal(which, 99);
	assert_int_equal(px_result_cancel(results[1], 0), 0);
	assert_int_equal(px_result_wait_any(results, 3, LIMIT, &which), 0);
	assert_int_equal(which, 1);
	assert_int_equal(px_result_wait_any(results, 0, LIMIT, &which), PX_EINVAL);
	assert_int_equal(px_result_cancel(results[0], 0), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(px_result_wait(results[i], LIMIT), 0);
		px_result_free(results[i]);
	}
}

static void output_is_waited_for_as_it_comes(void **state)
{
	struct px_result *result = run(first,
				       "import time\n"
				       "for i in range(3): print('line', i); time.sleep(0.2)\n"
				       "time.sleep(1)",
				       NULL);
	char text[64];
	uint64_t from = 0;
	size_t got;
	int waits = 0;

	(void)state;
	assert_int_equal(px_result_wait_output(result, 0, 3, 0, LIMIT), PX_EINVAL);
	while (!px_result_ready(result)) {
		assert_int_equal(px_result_wait_output(result, 0, 1, from, LIMIT), 0);
		assert_int_equal(px_result_output(result, 0, 1, from, text + from,
						  sizeof(text) - from, &got),
				 0);
		from += got;
		waits++;
	}
	assert_int_equal(from, 21);
	assert_memory_equal(text, "line 0\nline 1\nline 2\n", 21);
	assert_in_range(waits, 3, 5);
	assert_int_equal(px_result_wait_output(result, 0, 1, 1000, LIMIT), 0);
	px_result_free(result);
}

static void times_are_in_order(void **state)
{
	struct px_result *result = run(first, "import time; time.sleep(0.1)", NULL);
	struct px_times times = PX_TIMES;

	(void)state;
	wait_for_start(result);
	assert_int_equal(px_result_wait(result, LIMIT), 0);
	assert_int_equal(px_result_times(result, 0, &times), 0);
	assert_true(times.submitted_ns <= times.started_ns);
	assert_true(times.started_ns + 100 * MILLISECOND <= times.completed_ns);
	assert_true(times.completed_ns <= times.received_ns);
	times.size = 0;
	assert_int_equal(px_result_times(result, 0, &times), PX_EINVAL);
	px_result_free(result);
}

static void death_says_how(void **state)
{
	struct px_result *results[3];
	int signal_number = -1, exit_code = -1;

	(void)state;
	results[0] = run(first, "import os; os.kill(os.getpid(), 9)", NULL);
	assert_int_equal(end_of(results[0], 0), PX_EENGINE);
	assert_int_equal(px_result_death(results[0], 0, &signal_number, &exit_code), 0);
	assert_int_equal(signal_number, SIGKILL);
	results[1] = run(any, "import os; os._exit(3)", NULL);
	assert_int_equal(end_of(results[1], 0), PX_EENGINE);
	assert_int_equal(px_result_death(results[1], 0, &signal_number, &exit_code), 0);
	assert_int_equal(signal_number, 0);
	assert_int_equal(exit_code, 3);
	results[2] = run(all, "1 / 0", NULL);
	assert_int_equal(end_of(results[2], 0), PX_EREMOTE);
	assert_int_equal(px_result_death(results[2], 0, &signal_number, &exit_code), PX_EINVAL);
	for (int i = 0; i < 3; i++)
		px_result_free(results[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limit_stops_what_runs_and_takes_back_what_waits),
		cmocka_unit_test(limit_holds_when_nobody_waits),
		cmocka_unit_test(limit_of_tasks_and_of_what_is_freed),
		cmocka_unit_test(limit_that_is_not_reached_changes_nothing),
		cmocka_unit_test(limit_wakes_who_waits),
		cmocka_unit_test(limit_of_what_heeds_no_interrupt_holds_when_it_ends),
		cmocka_unit_test(limit_ends_the_wait_for_room),
		cmocka_unit_test(limit_ends_a_map_that_is_being_sent),
		cmocka_unit_test(nowait_says_eagain_where_there_is_no_room),
		cmocka_unit_test(urgent_overtakes_what_waits),
		cmocka_unit_test(quiet_has_no_value_and_no_output),
		cmocka_unit_test(how_that_cannot_be_says_einval),
		cmocka_unit_test(wait_any_gives_the_one_that_is_ready),
		cmocka_unit_test(output_is_waited_for_as_it_comes),
		cmocka_unit_test(times_are_in_order),
		cmocka_unit_test(death_says_how),
	};

	return run_cases(tests, start, stop);
}
