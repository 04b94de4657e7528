/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_template.c - the template seen from the supervisor: it fails, dies, or cannot fork.
 */
#include "tests/c/pool.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pool/control.h"
#include "pool/json.h"
#include "shm/error.h"

static void start_without_program_says_so(void **state)
{
	struct pool *pool = *state;

	pool->options.engine_program = "/nonexistent/engine";
	fails_with(pool, PX_EENGINE, "/nonexistent/engine");
}

static void start_with_dying_template_gives_its_words(void **state)
{
	setenv("FAKE_TEMPLATE", "exit", 1);
	fails_with(*state, PX_EENGINE, "exit code 3: no module named nonsense");
}

static void start_with_refusing_template_gives_its_words(void **state)
{
	setenv("FAKE_TEMPLATE", "refuse", 1);
	fails_with(*state, PX_EENGINE, "the preload failed");
}

static void start_with_hanging_import_names_the_module(void **state)
{
	struct pool *pool = *state;

	pool->options.start_seconds = 1;
	setenv("FAKE_TEMPLATE", "import", 1);
	fails_with(pool, PX_EENGINE,
		   "not ready within 1 s: it has been importing slow_module for 1 s");
}

static void start_by_exec_where_fork_is_refused(void **state)
{
	struct pool *pool = *state;
	struct attached a;
	char why[64];

	setenv("FAKE_TEMPLATE", "threads", 1);
	start(pool);
	a = attach(pool);
	assert_true(px_json_string(px_json_member(px_json_member(status(a.fd), "template"), "why"),
				   why, sizeof(why)));
	assert_string_equal(why, "a module has started threads");
	kill(engine_pid(a.segment, 0), SIGKILL);
	await_generation(&a, 0, 1);
	detach(&a);
	stop(pool);
}

static void stop_while_template_starts_leaves_nothing(void **state)
{
	struct pool *pool = *state;

	setenv("FAKE_TEMPLATE", "silent", 1);
	launch_until_silent(pool);
	assert_int_equal(kill(pool->supervisor, SIGINT), 0);
	assert_int_equal(supervisor_exit(pool), 0);
	assert_nothing_left(pool);
	assert_int_equal(read_words(pool), PX_EPOOL);
}

static void template_killed_engines_go_on_and_another_comes(void **state)
{
	struct pool *pool = *state;
	struct attached a;
	const char *now;
	pid_t pid, engine;

	start(pool);
	a = attach(pool);
	engine = engine_pid(a.segment, 0);
	pid = (pid_t)number(px_json_member(status(a.fd), "template"), "pid");
	kill(pid, SIGKILL);
	await_log(pool, "the process that forks engines (");
	do {
		now = px_json_member(status(a.fd), "template");
	} while ((pid_t)number(now, "pid") == pid || (pid_t)number(now, "pid") == 0);
	assert_int_equal(engine_pid(a.segment, 0), engine);
	assert_int_equal(engine_state(a.segment, 0), PX_ENGINE_UP);
	kill(engine, SIGKILL);
	await_generation(&a, 0, 1);
	detach(&a);
	stop(pool);
}

static void template_that_does_not_answer_is_replaced(void **state)
{
	struct pool *pool = *state;
	struct attached a;
	pid_t template;

	pool->options.start_seconds = 4;
	start(pool);
	a = attach(pool);
	template = (pid_t)number(px_json_member(status(a.fd), "template"), "pid");
	kill(template, SIGSTOP);
	kill(engine_pid(a.segment, 0), SIGKILL);
	/* Of the first replacement only the request is there, and ends with the template. */
	await_generation(&a, 0, 2);
	assert_true(logged(pool, "is killed: it has forked none for 1 s"));
	assert_int_not_equal((pid_t)number(px_json_member(status(a.fd), "template"), "pid"),
			     template);
	assert_int_equal(engine_state(a.segment, 1), PX_ENGINE_UP);
	detach(&a);
	stop(pool);
}

static void stop_while_adding_answers_nobody_and_ends(void **state)
{
	struct pool *pool = *state;
	pid_t template;
	int fd;

	start(pool);
	fd = dial(pool);
	assert_int_equal(ask(fd, PX_CONTROL_SIGNAL, 0, 0), PX_EINVAL);
	/* It keeps its socket open and reads nothing, so the new engine never comes. */
	template = (pid_t)number(px_json_member(status(fd), "template"), "pid");
	kill(template, SIGSTOP);
	struct px_control head = { .type = PX_CONTROL_ADD, .serial = 5, .a = 1 };
	assert_int_equal(px_control_send(fd, &head, NULL, NULL, 0), 0);
	assert_int_equal(ask(fd, PX_CONTROL_STOP, 0, 0), 0);
	close(fd);
	assert_int_equal(supervisor_exit(pool), 0);
	assert_nothing_left(pool);
}

static void add_without_a_program_says_why(void **state)
{
	struct pool *pool = *state;
	char name[96];
	pid_t template;
	int fd;

	snprintf(name, sizeof(name), "%s/engine", base);
	assert_int_equal(symlink(program, name), 0);
	pool->options.engine_program = name;
	start(pool);
	fd = dial(pool);
	assert_int_equal(unlink(name), 0);
	template = (pid_t)number(px_json_member(status(fd), "template"), "pid");
	kill(template, SIGKILL);
	await_log(pool, "the process that forks engines (");
	assert_int_equal(ask(fd, PX_CONTROL_ADD, 1, 0), PX_EENGINE);
	assert_non_null(strstr(px_last_error(), name));
	/* Once the program is there again, engines start as before. */
	assert_int_equal(symlink(program, name), 0);
	assert_int_equal(ask(fd, PX_CONTROL_ADD, 1, 0), 0);
	assert_int_equal(packet.head.a, 3);
	close(fd);
	stop(pool);
}

int main(void)
{
	static const struct CMUnitTest cases[] = {
		POOL_CASE(start_without_program_says_so),
		POOL_CASE(start_with_dying_template_gives_its_words),
		POOL_CASE(start_with_refusing_template_gives_its_words),
		POOL_CASE(start_with_hanging_import_names_the_module),
		POOL_CASE(start_by_exec_where_fork_is_refused),
		POOL_CASE(stop_while_template_starts_leaves_nothing),
		POOL_CASE(template_killed_engines_go_on_and_another_comes),
		POOL_CASE(template_that_does_not_answer_is_replaced),
		POOL_CASE(stop_while_adding_answers_nobody_and_ends),
		POOL_CASE(add_without_a_program_says_why),
	};

	return run_pool_cases(cases);
}
