/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_supervisor.c - a pool starts and stops: what is there in between, and nothing after it.
 */
#include "tests/c/pool.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <stdio.h>
#include <string.h>

#include "pool/control.h"
#include "pool/json.h"
#include "shm/error.h"
#include "shm/os.h"

/* --- start and stop --- */

static void start_publishes_and_stop_leaves_nothing(void **state)
{
	struct pool *pool = *state;
	char path[128], text[2048], loop[16];
	struct stat st;
	int fd;

	start(pool);
	px_runtime_path(&pool->options.runtime, "connection.json", path, sizeof(path));
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	ssize_t got = read(fd, text, sizeof(text) - 1);
	close(fd);
	assert_true(got > 0);
	text[got] = '\0';
	assert_int_equal((int)number(px_json_parse(text), "pid"), pool->supervisor);
	assert_int_equal((int)number(px_json_parse(text), "engines"), 2);
	assert_int_equal(lstat(px_runtime_path(&pool->options.runtime, "control", path,
					       sizeof(path)),
			       &st),
			 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	fd = dial(pool);
	assert_true(px_json_string(px_json_member(status(fd), "event_loop"), loop, sizeof(loop)));
	assert_string_equal(loop, event_loop);
	assert_int_equal((int)px_json_number(px_json_first(px_json_member(packet.text, "python")),
					     0),
			 3);
	assert_int_equal((int)number(status_engine(fd, 1), "id"), 1);
	close(fd);
	stop(pool);
}

static void stop_by_packet_hangs_up_when_all_is_gone(void **state)
{
	struct pool *pool = *state;
	int fd;

	start(pool);
	fd = dial(pool);
	assert_int_equal(ask(fd, PX_CONTROL_STOP, 0, 0), 0);
	assert_int_equal(px_control_receive(fd, &packet), PX_EPOOL);
	close(fd);
	assert_int_equal(supervisor_exit(pool), 0);
	assert_nothing_left(pool);
}

static void stop_by_owner_that_goes(void **state)
{
	struct pool *pool = *state;

	start(pool);
	close(pool->owner);
	pool->owner = -1;
	assert_int_equal(supervisor_exit(pool), 0);
	assert_nothing_left(pool);
}

static void signals_without_a_meaning_are_logged(void **state)
{
	static const int signals[] = { SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO };
	struct pool *pool = *state;
	char words[64];
	int fd;

	start(pool);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		assert_int_equal(kill(pool->supervisor, signals[i]), 0);
		snprintf(words, sizeof(words), "SIG%s from process %d is ignored",
			 sigabbrev_np(signals[i]), (int)getpid());
		await_log(pool, words);
	}
	assert_int_equal(kill(pool->supervisor, SIGRTMIN + 1), 0);
	snprintf(words, sizeof(words), "signal %d from process", SIGRTMIN + 1);
	await_log(pool, words);
	fd = dial(pool);
	status(fd);
	close(fd);
	stop(pool);
}

static void stop_while_starting_leaves_nothing(void **state)
{
	struct pool *pool = *state;

	setenv("FAKE_ENGINE", "silent", 1);
	launch_until_silent(pool);
	assert_int_equal(kill(pool->supervisor, SIGTERM), 0);
	assert_int_equal(supervisor_exit(pool), 0);
	assert_nothing_left(pool);
	assert_int_equal(read_words(pool), PX_EPOOL);
}

static void stop_stubborn_engines_after_grace(void **state)
{
	struct pool *pool = *state;
	uint64_t before;

	setenv("FAKE_ENGINE", "stubborn", 1);
	start(pool);
	before = px_os.now_ns();
	stop(pool);
	assert_true(px_os.now_ns() - before >= 1900 * MS);
}

static void stop_twice_kills_at_once(void **state)
{
	struct pool *pool = *state;
	uint64_t before;

	setenv("FAKE_ENGINE", "stubborn", 1);
	start(pool);
	before = px_os.now_ns();
	kill(pool->supervisor, SIGINT);
	await_log(pool, "the pool stops: ");
	kill(pool->supervisor, SIGINT);
	assert_int_equal(supervisor_exit(pool), 0);
	assert_true(px_os.now_ns() - before < 1900 * MS);
	assert_nothing_left(pool);
}

static void supervisor_killed_takes_all_with_it(void **state)
{
	struct pool *pool = *state;
	int left = 0;

	start(pool);
	kill(pool->supervisor, SIGKILL);
	assert_int_equal(supervisor_exit(pool), -SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		left++;
	/* Template and engines, dead, have become ours, and who forked these if he had not ended yet. */
	assert_in_range(left, 3, 5);
	/* The next pool removes the files that are left. */
	start(pool);
	stop(pool);
}

/* --- starts that fail --- */

static void start_with_dying_engines_gives_their_words(void **state)
{
	setenv("FAKE_ENGINE", "early", 1);
	fails_with(*state, PX_EENGINE, "exit code 7: early words");
}

static void start_that_takes_too_long_says_so(void **state)
{
	struct pool *pool = *state;

	pool->options.start_seconds = 1;
	set(pool, PX_SETTING_RESTART, "never");
	setenv("FAKE_ENGINE", "silent", 1);
	fails_with(pool, PX_EENGINE, "did not serve within 1 s");
}

static void start_of_mute_engines_ends_too(void **state)
{
	struct pool *pool = *state;

	pool->options.start_seconds = 1;
	set(pool, PX_SETTING_RESTART, "never");
	setenv("FAKE_ENGINE", "mute", 1);
	launch(pool);
	assert_int_equal(read_words(pool), PX_EENGINE);
	assert_int_equal(supervisor_exit(pool), 1);
	assert_nothing_left(pool);
}

static void start_with_one_early_death_tries_again(void **state)
{
	struct pool *pool = *state;

	close(open(once, O_CREAT | O_WRONLY, 0600));
	setenv("FAKE_ONCE", once, 1);
	setenv("FAKE_ENGINE", "early", 1);
	start(pool);
	stop(pool);
}

/* --- at rest, and many --- */

static uint64_t processor_time(pid_t pid)
{
	char path[40], line[512];
	unsigned long long user = 0, system_time = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	assert_int_equal(sscanf(strrchr(line, ')') + 1,
				" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
				&system_time),
			 2);
	return user + system_time;
}

static void sleep_ms(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

static void idle_takes_no_processor_time(void **state)
{
	struct pool *pool = *state;
	uint64_t before;

	start(pool);
	sleep_ms(20);
	before = processor_time(pool->supervisor);
	sleep_ms(500);
	assert_true(processor_time(pool->supervisor) - before <= 1);
	stop(pool);
}

static void many_engines_start_and_stop(void **state)
{
	struct pool *pool = *state;
	uint64_t before = px_os.now_ns();
	int fd;

	set(pool, PX_SETTING_ENGINES, "200");
	start(pool);
	print_message("    200 engines in %.0f ms\n", (double)(px_os.now_ns() - before) / 1e6);
	fd = dial(pool);
	assert_int_equal((int)number(status_engine(fd, 199), "id"), 199);
	close(fd);
	stop(pool);
}

int main(void)
{
	static const struct CMUnitTest cases[] = {
		POOL_CASE(start_publishes_and_stop_leaves_nothing),
		POOL_CASE(stop_by_packet_hangs_up_when_all_is_gone),
		POOL_CASE(stop_by_owner_that_goes),
		POOL_CASE(signals_without_a_meaning_are_logged),
		POOL_CASE(stop_while_starting_leaves_nothing),
		POOL_CASE(stop_stubborn_engines_after_grace),
		POOL_CASE(stop_twice_kills_at_once),
		POOL_CASE(supervisor_killed_takes_all_with_it),
		POOL_CASE(start_with_dying_engines_gives_their_words),
		POOL_CASE(start_that_takes_too_long_says_so),
		POOL_CASE(start_of_mute_engines_ends_too),
		POOL_CASE(start_with_one_early_death_tries_again),
		POOL_CASE(idle_takes_no_processor_time),
		POOL_CASE(many_engines_start_and_stop),
	};

	return run_pool_cases(cases);
}
