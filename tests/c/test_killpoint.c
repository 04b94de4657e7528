/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/c/case.h"

#include <stdio.h>

#include "shm/killpoint.h"

#ifdef PX_KILLPOINTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4

/* Passages that returned, counted in shared memory, so that they survive the kill. */
static _Atomic int *passed;

static void pass(void)
{
	PX_KILLPOINT("test.pass.visible");
	atomic_fetch_add(passed, 1);
}

static void pass_other(void)
{
	PX_KILLPOINT("test.pass_other.visible");
	atomic_fetch_add(passed, 1);
}

static void *pass_25_times(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < 25; i++)
		pass();
	return NULL;
}

/* Runs the passages in a child with this setting (NULL: none). Whether it was killed by SIGKILL. */
static bool killed(const char *setting, const char *role, void (*play)(void))
{
	int status;
	pid_t child;

	atomic_store(passed, 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (setting)
			setenv("PXRUN_KILLPOINT", setting, 1);
		else
			unsetenv("PXRUN_KILLPOINT");
		if (role)
			px_killpoint_role(role);
		play();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status))
		assert_int_equal(WTERMSIG(status), SIGKILL);
	else
		assert_int_equal(WEXITSTATUS(status), 0);
	return WIFSIGNALED(status);
}

static void pass_200_times(void)
{
	for (int i = 0; i < 200; i++) {
		pass_other();
		pass();
	}
}

static void pass_nth_kills(void **state)
{
	static const int hits[] = { 1, 2, 100, 200 };

	(void)state;
	for (size_t i = 0; i < sizeof(hits) / sizeof(hits[0]); i++) {
		char setting[64];

		snprintf(setting, sizeof(setting), "engine:test.pass.visible:%d", hits[i]);
		assert_true(killed(setting, "engine", pass_200_times));
		assert_int_equal(atomic_load(passed), 2 * hits[i] - 1);
	}
}

static void pass_fewer_than_n_lives(void **state)
{
	(void)state;
	assert_false(killed("engine:test.pass.visible:201", "engine", pass_200_times));
	assert_int_equal(atomic_load(passed), 400);
}

static void pass_not_meant_lives(void **state)
{
	(void)state;
	assert_false(killed(NULL, "engine", pass_200_times));
	assert_false(killed("client:test.pass.visible:1", "engine", pass_200_times));
	assert_false(killed("engine:test.pass.visible:1", NULL, pass_200_times));
	assert_false(killed("engine:test.pass:1", "engine", pass_200_times));
	assert_false(killed("engine:test.pass.visible.x:1", "engine", pass_200_times));
}

static void pass_malformed_setting_lives(void **state)
{
	static const char *const settings[] = {
		"",
		":",
		"::",
		":::",
		"engine",
		"engine:test.pass.visible",
		"engine:test.pass.visible:",
		"engine:test.pass.visible:first",
		"engine:test.pass.visible:0",
		"engine:test.pass.visible:-1",
		":test.pass.visible:1",
		"engine::1",
		"engine-with-a-name-of-its-own:test.pass.visible:1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		assert_false(killed(settings[i], "engine", pass_200_times));
}

static void pass_in_threads(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, pass_25_times, NULL))
			_exit(1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void pass_in_threads_counts_each_once(void **state)
{
	(void)state;
	assert_true(killed("client:test.pass.visible:100", "client", pass_in_threads));
	assert_false(killed("client:test.pass.visible:101", "client", pass_in_threads));
	assert_int_equal(atomic_load(passed), 100);
}

static void pass_then_change_role(void)
{
	pass();
	px_killpoint_role("engine");
	pass();
}

static void role_again_counts_anew(void **state)
{
	(void)state;
	assert_false(killed("engine:test.pass.visible:2", "engine", pass_then_change_role));
	assert_true(killed("engine:test.pass.visible:1", "template", pass_then_change_role));
	assert_int_equal(atomic_load(passed), 1);
}

static void pass_with_file_kills_once(void **state)
{
	char path[] = "/tmp/pxkp.XXXXXX", setting[128];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	snprintf(setting, sizeof(setting), "engine:test.pass.visible:3:%s", path);
	assert_true(killed(setting, "engine", pass_200_times));
	assert_int_equal(access(path, F_OK), -1);
	assert_false(killed(setting, "engine", pass_200_times)); /* the next process */
}

extern const char labels_begin[] __asm__("__start_px_killpoints");
extern const char labels_end[] __asm__("__stop_px_killpoints");

/* tests/faults reads the section from the file; the linker's symbols give the same bytes here. */
static bool listed(const char *label)
{
	for (const char *at = labels_begin; at < labels_end; at += strlen(at) + 1)
		if (!strcmp(at, label))
			return true;
	return false;
}

static void section_has_each_label(void **state)
{
	(void)state;
	assert_true(listed("test.pass.visible"));
	assert_true(listed("test.pass_other.visible"));
	assert_false(listed("test.pass"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pass_nth_kills),
		cmocka_unit_test(pass_fewer_than_n_lives),
		cmocka_unit_test(pass_not_meant_lives),
		cmocka_unit_test(pass_malformed_setting_lives),
		cmocka_unit_test(pass_in_threads_counts_each_once),
		cmocka_unit_test(role_again_counts_anew),
		cmocka_unit_test(pass_with_file_kills_once),
		cmocka_unit_test(section_has_each_label),
	};

	passed = mmap(NULL, sizeof(*passed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (passed == MAP_FAILED)
		return 1;
	return run_cases(tests, NULL, NULL);
}

#else

int main(void)
{
	puts("built without --enable-killpoints");
	return 77;
}

#endif
