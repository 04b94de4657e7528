/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_application.c - applications in an odd state: what they have done to themselves is not done to their
 * pools, which are started, watched and stopped as ever.
 */
#include "tests/c/case.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/pxrun.h"
#include "pool/json.h"
#include "supervisor/process.h"

#define SECOND UINT64_C(1000000000)

static struct px_client *start(void)
{
	struct px_pool_options options = PX_POOL_OPTIONS;
	struct px_client *client;

	options.profile = "";
	options.engines = 1;
	options.preload = "";
	if (px_pool_start(&options, &client) < 0)
		fail_msg("%s", px_last_error());
	return client;
}

static pid_t supervisor_of(struct px_client *client)
{
	char *status;
	pid_t pid;

	assert_int_equal(px_client_status_json(client, &status), 0);
	assert_non_null(px_json_parse(status));
	pid = (pid_t)px_json_number(px_json_member(status, "pid"), 0);
	free(status);
	assert_true(pid > 1);
	return pid;
}

/* The process of the engine if it is up, else 0. */
static pid_t engine_of(struct px_client *client)
{
	const char *engine, *state;
	char *status, word[8] = "";
	pid_t pid = 0;

	assert_int_equal(px_client_status_json(client, &status), 0);
	assert_non_null(px_json_parse(status));
	engine = px_json_first(px_json_member(status, "engines"));
	state = px_json_member(engine, "state");
	if (px_json_string(state, word, sizeof(word)) && !strcmp(word, "up"))
		pid = (pid_t)px_json_number(px_json_member(engine, "pid"), 0);
	free(status);
	return pid;
}

static void await_death(pid_t pid)
{
	struct pollfd death = { .fd = px_pidfd_open(pid), .events = POLLIN };

	if (death.fd < 0) {
		assert_int_equal(errno, ESRCH);
		return;
	}
	assert_int_equal(poll(&death, 1, -1), 1);
	close(death.fd);
}

/* A pool's life, with the death of an engine in it. */
static void live(void)
{
	struct px_client *client = start();
	pid_t first = engine_of(client), second;

	assert_true(first > 1);
	assert_int_equal(kill(first, SIGKILL), 0);
	do
		second = engine_of(client);
	while (!second || second == first);
	assert_int_equal(px_client_stop_pool(client, 30 * SECOND), 0);
	await_death(second);
	px_client_detach(client);
}

static void set_all(void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	for (int number = 1; number <= SIGRTMAX; number++)
		(void)sigaction(number, &action, NULL);
}

static void ignoring_its_children(void **state)
{
	(void)state;
	(void)signal(SIGCHLD, SIG_IGN);
	live();
}

static void leaving_its_children_to_the_kernel(void **state)
{
	struct sigaction action = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };

	(void)state;
	assert_int_equal(sigaction(SIGCHLD, &action, NULL), 0);
	live();
}

static void reap_all(int number)
{
	int error = errno;

	(void)number;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = error;
}

static void reaping_all_children_itself(void **state)
{
	struct sigaction action = { .sa_handler = reap_all, .sa_flags = SA_RESTART };

	(void)state;
	assert_int_equal(sigaction(SIGCHLD, &action, NULL), 0);
	live();
}

static void ignoring_all_signals(void **state)
{
	(void)state;
	set_all(SIG_IGN, 0);
	live();
}

static void blocking_all_signals(void **state)
{
	sigset_t all;

	(void)state;
	sigfillset(&all);
	assert_int_equal(sigprocmask(SIG_SETMASK, &all, NULL), 0);
	live();
}

static void without_standard_streams(void **state)
{
	int saved[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		saved[i] = dup2(i, 100 + i);
		assert_int_equal(close(i), 0);
	}
	live();
	for (int i = 0; i < 3; i++)
		assert_int_equal(dup2(saved[i], i), i);
}

static void lower(int which, rlim_t value)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(which, &limit), 0);
	limit.rlim_cur = value;
	assert_int_equal(setrlimit(which, &limit), 0);
}

static void with_few_descriptors(void **state)
{
	(void)state;
	lower(RLIMIT_NOFILE, 20);
	live();
}

static void with_a_small_stack(void **state)
{
	(void)state;
	lower(RLIMIT_STACK, 256 << 10);
	live();
}

static void without_core_files(void **state)
{
	(void)state;
	lower(RLIMIT_CORE, 0);
	live();
}

/* An application, and its child, which has all of its descriptors. */
static void own_a_pool_and_fork(int to)
{
	pid_t supervisor = supervisor_of(start()), child = fork();

	if (child > 0 && (write(to, &supervisor, sizeof(supervisor)) < 0 ||
			  write(to, &child, sizeof(child)) < 0))
		_exit(1);
	for (;;)
		(void)pause();
}

static void killed_while_a_child_lives_on(void **state)
{
	pid_t owner, supervisor, child;
	int ends[2];

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe(ends), 0);
	owner = fork();
	if (owner == 0)
		own_a_pool_and_fork(ends[1]);
	assert_int_equal(read(ends[0], &supervisor, sizeof(supervisor)), sizeof(supervisor));
	assert_int_equal(read(ends[0], &child, sizeof(child)), sizeof(child));
	assert_int_equal(kill(owner, SIGKILL), 0);
	await_death(supervisor);
	assert_int_equal(kill(child, 0), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ignoring_its_children),
		cmocka_unit_test(leaving_its_children_to_the_kernel),
		cmocka_unit_test(reaping_all_children_itself),
		cmocka_unit_test(ignoring_all_signals),
		cmocka_unit_test(blocking_all_signals),
		cmocka_unit_test(without_standard_streams),
		cmocka_unit_test(with_few_descriptors),
		cmocka_unit_test(with_a_small_stack),
		cmocka_unit_test(without_core_files),
		cmocka_unit_test(killed_while_a_child_lives_on),
	};

	return run_cases(tests, NULL, NULL);
}
