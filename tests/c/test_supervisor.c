/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_supervisor.c - a real supervisor with fake engines (fake_engine.c), on io_uring and on
 * epoll. After each case no process and no file may be left.
 */
#include "tests/c/case.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pool/control.h"
#include "pool/json.h"
#include "pool/runtime.h"
#include "shm/error.h"
#include "shm/member.h"
#include "shm/os.h"
#include "supervisor/event_loop.h"
#include "supervisor/supervisor.h"

#define MS UINT64_C(1000000)

static const char *event_loop;
static char base[64], program[512], once[96];

/* --- a pool --- */

struct pool {
	struct px_supervisor_options options;
	struct px_settings settings;
	pid_t supervisor;
	int ready, owner; /* our ends */
	char words[1200]; /* what was read from the ready pipe */
};

static void set(struct pool *pool, enum px_setting_id id, const char *text)
{
	if (px_settings_set(&pool->settings, id, PX_FROM_OPTION, "test", text) < 0)
		fail_msg("%s", px_last_error());
}

static int setup(void **state)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	assert_non_null(pool);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* see assert_nothing_left() */
	strcpy(base, "/tmp/pxrun-test-XXXXXX");
	assert_non_null(mkdtemp(base));
	snprintf(once, sizeof(once), "%s/once", base);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", base, 1), 0);
	unsetenv("FAKE_TEMPLATE");
	unsetenv("FAKE_ENGINE");
	unsetenv("FAKE_ONCE");
	pool->options = (struct px_supervisor_options)PX_SUPERVISOR_OPTIONS;
	pool->options.settings = &pool->settings;
	px_settings_init(&pool->settings);
	set(pool, PX_SETTING_ENGINES, "2");
	set(pool, PX_SETTING_ARENA, "64M");
	set(pool, PX_SETTING_EVENT_LOOP, event_loop);
	pool->options.engine_program = program;
	pool->owner = -1;
	*state = pool;
	return 0;
}

static int read_words(struct pool *pool)
{
	size_t used = 0;
	ssize_t got;

	while ((got = read(pool->ready, pool->words + used, sizeof(pool->words) - 1 - used)) > 0)
		used += (size_t)got;
	pool->words[used] = '\0';
	close(pool->ready);
	return used == 0 ? PX_EPOOL : atoi(pool->words);
}

/* Begins a pool without waiting for it. */
static void launch(struct pool *pool)
{
	int ready[2], hang[2];

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(hang, O_CLOEXEC), 0);
	assert_int_equal(px_runtime_find("test", true, &pool->options.runtime), 0);
	pool->supervisor = fork();
	assert_true(pool->supervisor >= 0);
	if (pool->supervisor == 0) {
		char path[128];
		int lock;

		close(ready[0]);
		close(hang[1]);
		pool->options.ready_fd = ready[1];
		pool->options.owner_fd = hang[0];
		pool->options.log_fd =
			open(px_runtime_path(&pool->options.runtime, "log", path, sizeof(path)),
			     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (getenv("SHOW_LOG"))
			pool->options.log_fd = 2;
		if (px_runtime_lock(&pool->options.runtime, &lock) < 0)
			_exit(99);
		_exit(px_supervisor_run(&pool->options));
	}
	close(ready[1]);
	close(hang[0]);
	pool->ready = ready[0];
	pool->owner = hang[1];
}

static void start(struct pool *pool)
{
	launch(pool);
	assert_int_equal(read_words(pool), 0);
}

static int supervisor_exit(struct pool *pool)
{
	int status;

	assert_int_equal(waitpid(pool->supervisor, &status, 0), pool->supervisor);
	pool->supervisor = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* We are the subreaper, so any process that is left is our child. */
static void assert_nothing_left(struct pool *pool)
{
	struct stat st;

	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(lstat(pool->options.runtime.folder, &st), -1);
}

static void stop(struct pool *pool)
{
	assert_int_equal(kill(pool->supervisor, SIGTERM), 0);
	assert_int_equal(supervisor_exit(pool), 0);
	assert_nothing_left(pool);
}

static int teardown(void **state)
{
	struct pool *pool = *state;
	char command[96];

	if (pool->supervisor > 0) {
		(void)kill(pool->supervisor, SIGKILL);
		(void)waitpid(pool->supervisor, NULL, 0);
	}
	/* After a case that failed; the engines die with their supervisor. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	if (pool->owner >= 0)
		close(pool->owner);
	px_settings_clear(&pool->settings);
	snprintf(command, sizeof(command), "rm -rf %s", base);
	(void)!system(command);
	free(pool);
	return 0;
}

/* --- a client --- */

static struct px_packet packet;

static int dial(struct pool *pool)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	px_runtime_path(&pool->options.runtime, "control", address.sun_path,
			sizeof(address.sun_path));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int ask(int fd, uint16_t type, uint64_t a, uint64_t b)
{
	struct px_control head = { .type = type, .a = a, .b = b };

	return px_control_call(fd, &head, NULL, &packet);
}

/* Joins and maps the segment. */
static struct px_segment *join(int fd, struct px_member_id *id)
{
	struct px_segment *segment;

	assert_int_equal(ask(fd, PX_CONTROL_HELLO, PX_SEGMENT_VERSION, 0), 0);
	assert_int_equal(packet.head.fds, 1);
	*id = (struct px_member_id){ (uint32_t)packet.head.a, (uint32_t)packet.head.b };
	assert_int_equal(px_segment_attach(packet.fds[0], &segment), 0);
	return segment;
}

static uint32_t engine_state(const struct px_segment *segment, uint32_t id)
{
	return atomic_load(&segment->engines[id].state);
}

static pid_t engine_pid(const struct px_segment *segment, uint32_t id)
{
	struct px_member member;

	assert_int_equal(px_member_read(segment, atomic_load(&segment->engines[id].slot), &member),
			 0);
	assert_true(member.pid > 1); /* kill(0) and kill(-1) would hit more than a test may */
	return member.pid;
}

static void nap(void)
{
	struct timespec ms = { 0, 1000000 };

	nanosleep(&ms, NULL);
}

static void await_state(const struct px_segment *segment, uint32_t id, uint32_t wanted)
{
	for (int i = 0; i < 10000 && engine_state(segment, id) != wanted; i++)
		nap();
	assert_int_equal(engine_state(segment, id), wanted);
}

static void await_generation(const struct px_segment *segment, uint32_t id, uint32_t wanted)
{
	for (int i = 0; i < 10000; i++) {
		if (engine_state(segment, id) == PX_ENGINE_UP &&
		    atomic_load(&segment->engines[id].generation) == wanted)
			return;
		nap();
	}
	fail_msg("engine %u is not up in generation %u", id, wanted);
}

static const char *status(int fd)
{
	assert_int_equal(ask(fd, PX_CONTROL_STATUS, 0, 0), 0);
	assert_non_null(px_json_parse(packet.text));
	return packet.text;
}

static const char *status_engine(int fd, int index)
{
	const char *engine = px_json_first(px_json_member(status(fd), "engines"));

	while (index-- > 0)
		engine = px_json_next(engine);
	assert_non_null(engine);
	return engine;
}

static double number(const char *object, const char *key)
{
	return px_json_number(px_json_member(object, key), -1);
}

/* Whether the log has the words; it is removed with the pool. */
static bool logged(struct pool *pool, const char *words)
{
	static char text[65536];
	char path[128];
	ssize_t got;
	int fd = open(px_runtime_path(&pool->options.runtime, "log", path, sizeof(path)),
		      O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	return strstr(text, words) != NULL;
}

static void await_log(struct pool *pool, const char *words)
{
	for (int i = 0; i < 10000 && !logged(pool, words); i++)
		nap();
	assert_true(logged(pool, words));
}

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
	launch(pool);
	for (int i = 0; i < 50; i++)
		nap();
	assert_int_equal(kill(pool->supervisor, SIGTERM), 0);
	assert_int_equal(supervisor_exit(pool), 0);
	assert_nothing_left(pool);
	assert_int_equal(read_words(pool), PX_EPOOL);
}

static void stop_while_template_starts_leaves_nothing(void **state)
{
	struct pool *pool = *state;

	setenv("FAKE_TEMPLATE", "silent", 1);
	launch(pool);
	for (int i = 0; i < 50; i++)
		nap();
	assert_int_equal(kill(pool->supervisor, SIGINT), 0);
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
	for (int i = 0; i < 50; i++)
		nap();
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
	assert_int_equal(left, 3); /* template and engines, dead: they have become ours */
	/* The next pool removes the files that are left. */
	start(pool);
	stop(pool);
}

/* --- starts that fail --- */

static void fails_with(struct pool *pool, int code, const char *words)
{
	launch(pool);
	assert_int_equal(read_words(pool), code);
	if (!strstr(pool->words, words))
		fail_msg("'%s' is not in '%s'", words, pool->words);
	assert_int_equal(supervisor_exit(pool), 1);
	assert_nothing_left(pool);
}

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

static void start_by_exec_where_fork_is_refused(void **state)
{
	struct pool *pool = *state;
	struct px_member_id self;
	struct px_segment *segment;
	char why[64];
	int fd;

	setenv("FAKE_TEMPLATE", "threads", 1);
	start(pool);
	fd = dial(pool);
	segment = join(fd, &self);
	assert_true(px_json_string(px_json_member(px_json_member(status(fd), "template"), "why"),
				   why, sizeof(why)));
	assert_string_equal(why, "a module has started threads");
	kill(engine_pid(segment, 0), SIGKILL);
	await_generation(segment, 0, 1);
	px_segment_detach(segment);
	close(fd);
	stop(pool);
}

/* --- deaths and restarts --- */

struct attached {
	int fd;
	struct px_member_id self;
	struct px_segment *segment;
};

static struct attached attach(struct pool *pool)
{
	struct attached a;

	a.fd = dial(pool);
	a.segment = join(a.fd, &a.self);
	return a;
}

static void detach(struct attached *a)
{
	px_segment_detach(a->segment);
	close(a->fd);
}

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
	await_generation(a.segment, 1, 1);
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
	await_state(a.segment, 0, PX_ENGINE_GONE);
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
	await_state(a.segment, 0, PX_ENGINE_GONE);
	await_generation(a.segment, 1, 1);
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
	await_generation(a.segment, 0, 1);
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
		await_generation(a.segment, 0, i + 1);
		times[i] = px_os.now_ns() - begin;
	}
	assert_true(times[1] >= 50 * MS && times[2] >= 100 * MS && times[3] >= 200 * MS &&
		    times[4] >= 400 * MS);
	/* The other engine is not affected. */
	assert_int_equal(atomic_load(&a.segment->engines[1].generation), 0);
	detach(&a);
	stop(pool);
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
	await_generation(a.segment, 0, 1);
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
	await_generation(a.segment, 0, 1);
	detach(&a);
	stop(pool);
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
	for (int i = 0;
	     i < 10000 && atomic_load(&a.segment->engines[0].generation) +
					  atomic_load(&a.segment->engines[1].generation) ==
				  0;
	     i++)
		nap();
	await_state(a.segment, 0, PX_ENGINE_UP);
	await_state(a.segment, 1, PX_ENGINE_UP);
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

static void daemon_of_a_dead_engine_is_named_and_ended_by_stop(void **state)
{
	struct pool *pool = *state;
	struct attached a;

	setenv("FAKE_ENGINE", "daemon", 1);
	start(pool);
	a = attach(pool);
	assert_false(logged(pool, "left behind"));
	kill(engine_pid(a.segment, 0), SIGKILL);
	await_log(pool,
		  "(left-behind) was left behind by an engine: it is ended when the pool stops");
	await_generation(a.segment, 0, 1);
	detach(&a);
	stop(pool);
}

static void daemon_that_does_not_end_is_killed(void **state)
{
	struct pool *pool = *state;
	uint64_t before;

	setenv("FAKE_ENGINE", "deaf", 1);
	start(pool);
	before = px_os.now_ns();
	stop(pool);
	assert_true(px_os.now_ns() - before >= 1900 * MS);
}

static void daemon_is_killed_at_once_by_a_second_stop(void **state)
{
	struct pool *pool = *state;
	uint64_t before;

	setenv("FAKE_ENGINE", "deaf", 1);
	start(pool);
	before = px_os.now_ns();
	kill(pool->supervisor, SIGINT);
	await_log(pool, "(left-behind), which an engine left behind, is ended");
	kill(pool->supervisor, SIGINT);
	assert_int_equal(supervisor_exit(pool), 0);
	assert_true(px_os.now_ns() - before < 1900 * MS);
	assert_nothing_left(pool);
}

/* --- what clients ask --- */

static void restart_answers_when_it_is_up_again(void **state)
{
	struct pool *pool = *state;
	struct px_member_id before;
	struct attached a;

	start(pool);
	a = attach(pool);
	before.slot = atomic_load(&a.segment->engines[1].slot);
	before.epoch = atomic_load(&a.segment->engines[1].epoch);
	assert_int_equal(ask(a.fd, PX_CONTROL_RESTART, 1, 0), 0);
	assert_int_equal(engine_state(a.segment, 1), PX_ENGINE_UP);
	assert_int_equal(atomic_load(&a.segment->engines[1].generation), 1);
	assert_false(px_member_alive(a.segment, before));
	assert_int_equal(ask(a.fd, PX_CONTROL_RESTART, UINT64_MAX, 0), 0);
	assert_int_equal(atomic_load(&a.segment->engines[0].generation), 1);
	assert_int_equal(atomic_load(&a.segment->engines[1].generation), 2);
	/* Restarts on request are no failures: no back-off. */
	assert_int_equal((int)number(status_engine(a.fd, 1), "restarts"), 0);
	assert_int_equal(ask(a.fd, PX_CONTROL_RESTART, 7, 0), PX_EENGINE);
	detach(&a);
	stop(pool);
}

static void add_and_remove_give_new_ids(void **state)
{
	struct pool *pool = *state;
	struct attached a;
	uint64_t before;

	start(pool);
	a = attach(pool);
	before = px_os.now_ns();
	assert_int_equal(ask(a.fd, PX_CONTROL_ADD, 4, 0), 0);
	print_message("    four engines more in %.2f ms\n",
		      (double)(px_os.now_ns() - before) / 1e6);
	assert_int_equal(packet.head.a, 2);
	for (uint32_t i = 2; i < 6; i++)
		assert_int_equal(engine_state(a.segment, i), PX_ENGINE_UP);
	assert_int_equal(atomic_load(&a.segment->header->engines_count), 6);
	assert_int_equal(ask(a.fd, PX_CONTROL_REMOVE, 5, 0), 0);
	assert_int_equal(engine_state(a.segment, 5), PX_ENGINE_GONE);
	assert_int_equal(ask(a.fd, PX_CONTROL_REMOVE, 5, 0), PX_EENGINE);
	assert_int_equal(ask(a.fd, PX_CONTROL_ADD, 1, 0), 0);
	assert_int_equal(packet.head.a, 6);
	assert_int_equal(ask(a.fd, PX_CONTROL_ADD, 0, 0), PX_EINVAL);
	assert_int_equal(ask(a.fd, PX_CONTROL_ADD, PX_ENGINES_MAX, 0), PX_EINVAL);
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

static void signal_reaches_the_engine(void **state)
{
	struct pool *pool = *state;
	struct attached a;

	start(pool);
	a = attach(pool);
	assert_int_equal(ask(a.fd, PX_CONTROL_SIGNAL, 1, SIGUSR2), 0);
	await_generation(a.segment, 1, 1);
	detach(&a);
	stop(pool);
}

static void extents_belong_to_who_asked(void **state)
{
	struct pool *pool = *state;
	struct attached a;
	uint64_t offset, bytes;

	start(pool);
	a = attach(pool);
	assert_int_equal(ask(a.fd, PX_CONTROL_EXTENT_GET, 100000, 0), 0);
	offset = packet.head.a;
	bytes = packet.head.b;
	assert_int_equal(bytes % PX_UNIT_BYTES, 0);
	assert_true(px_segment_owned(a.segment, offset, bytes, a.self.slot));
	assert_int_equal((int)number(px_json_member(status(a.fd), "arena"), "used"), (int)bytes);
	assert_int_equal(ask(a.fd, PX_CONTROL_EXTENT_GET, UINT64_C(1) << 40, 0), PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), "arena"));
	assert_int_equal(ask(a.fd, PX_CONTROL_EXTENT_GET, 0, 0), PX_EINVAL);
	assert_int_equal(ask(a.fd, PX_CONTROL_EXTENT_PUT, offset + 64, bytes), PX_EINVAL);
	struct px_control head = { .type = PX_CONTROL_EXTENT_PUT, .a = offset, .b = bytes };
	assert_int_equal(px_control_send(a.fd, &head, NULL, NULL, 0), 0);
	assert_int_equal((int)number(px_json_member(status(a.fd), "arena"), "used"), 0);
	detach(&a);
	stop(pool);
}

static void stranger_may_ask_but_gets_no_memory(void **state)
{
	struct pool *pool = *state;
	int fd;

	start(pool);
	fd = dial(pool);
	assert_int_equal(ask(fd, PX_CONTROL_EXTENT_GET, 4096, 0), PX_EINVAL);
	assert_int_equal(ask(fd, PX_CONTROL_HELLO, 77, 0), PX_EVERSION);
	assert_int_equal(ask(fd, PX_CONTROL_FORK, 0, 0), PX_EINVAL);
	assert_int_equal(ask(fd, 4711, 0, 0), PX_EINVAL);
	status(fd);
	close(fd);
	stop(pool);
}

static void hello_twice_is_refused(void **state)
{
	struct pool *pool = *state;
	struct attached a;

	start(pool);
	a = attach(pool);
	assert_int_equal(ask(a.fd, PX_CONTROL_HELLO, PX_SEGMENT_VERSION, 0), PX_EINVAL);
	detach(&a);
	stop(pool);
}

/* --- clients that go, or are no good --- */

static uint64_t used_when_swept(int fd)
{
	uint64_t used = 1;

	for (int i = 0; i < 5000 && used; i++) {
		used = (uint64_t)number(px_json_member(status(fd), "arena"), "used");
		nap();
	}
	return used;
}

static void client_that_detaches_is_swept(void **state)
{
	struct pool *pool = *state;
	struct attached a, b;
	struct px_member member;

	start(pool);
	a = attach(pool);
	b = attach(pool);
	assert_int_equal(ask(b.fd, PX_CONTROL_EXTENT_GET, 4096, 0), 0);
	detach(&b);
	assert_int_equal(used_when_swept(a.fd), 0);
	assert_int_equal(px_member_read(a.segment, b.self.slot, &member), 0);
	assert_int_equal(member.state, PX_SLOT_FREE);
	assert_true(member.expected);
	detach(&a);
	stop(pool);
}

static void client_killed_is_swept_though_its_child_holds_the_socket(void **state)
{
	struct pool *pool = *state;
	struct attached a;
	int told[2];
	pid_t client, child;

	start(pool);
	a = attach(pool);
	assert_int_equal(pipe(told), 0);
	client = fork();
	if (client == 0) {
		struct attached b = attach(pool);

		if (ask(b.fd, PX_CONTROL_EXTENT_GET, 4096, 0) < 0)
			_exit(1);
		child = fork();
		if (child == 0) {
			pause();
			_exit(0);
		}
		(void)!write(told[1], &child, sizeof(child));
		pause();
	}
	assert_int_equal(read(told[0], &child, sizeof(child)), (int)sizeof(child));
	assert_int_equal((int)number(px_json_member(status(a.fd), "arena"), "used") > 0, 1);
	kill(client, SIGKILL);
	assert_int_equal(waitpid(client, NULL, 0), client);
	assert_int_equal(used_when_swept(a.fd), 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(told[0]);
	close(told[1]);
	detach(&a);
	stop(pool);
}

static void client_that_talks_rubbish_is_cut_off(void **state)
{
	struct pool *pool = *state;
	struct px_control head = { .magic = PX_CONTROL_MAGIC,
				   .type = PX_CONTROL_STATUS,
				   .text_bytes = 1000 };
	int fd, sound;

	start(pool);
	sound = dial(pool);
	fd = dial(pool);
	assert_int_equal(send(fd, "rubbish", 7, 0), 7);
	assert_int_equal(px_control_receive(fd, &packet), PX_EPOOL);
	close(fd);
	fd = dial(pool);
	assert_int_equal(send(fd, &head, sizeof(head), 0), (int)sizeof(head));
	assert_int_equal(px_control_receive(fd, &packet), PX_EPOOL);
	close(fd);
	status(sound);
	close(sound);
	stop(pool);
}

static void client_that_never_reads_is_cut_off(void **state)
{
	struct pool *pool = *state;
	struct px_control head = { .type = PX_CONTROL_STATUS };
	int fd, sound, rc = 0;

	start(pool);
	sound = dial(pool);
	fd = dial(pool);
	for (int i = 0; i < 100000 && rc == 0; i++)
		rc = px_control_send(fd, &head, NULL, NULL, 0);
	assert_int_equal(rc, PX_EPOOL);
	close(fd);
	status(sound);
	close(sound);
	stop(pool);
}

static void client_that_sends_descriptors_loses_them(void **state)
{
	struct pool *pool = *state;
	struct px_control head = { .type = PX_CONTROL_STATUS, .serial = 9 };
	int fd, pipe_ends[2];
	char byte;

	start(pool);
	fd = dial(pool);
	assert_int_equal(pipe(pipe_ends), 0);
	assert_int_equal(px_control_send(fd, &head, NULL, &pipe_ends[1], 1), 0);
	assert_int_equal(px_control_receive(fd, &packet), 0);
	close(pipe_ends[1]);
	/* The supervisor has closed its copy: end of file. */
	assert_int_equal(read(pipe_ends[0], &byte, 1), 0);
	close(pipe_ends[0]);
	close(fd);
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

static void idle_takes_no_processor_time(void **state)
{
	struct pool *pool = *state;
	uint64_t before;

	start(pool);
	for (int i = 0; i < 20; i++)
		nap();
	before = processor_time(pool->supervisor);
	for (int i = 0; i < 500; i++)
		nap();
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
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		CASE(start_publishes_and_stop_leaves_nothing),
		CASE(stop_by_packet_hangs_up_when_all_is_gone),
		CASE(stop_by_owner_that_goes),
		CASE(signals_without_a_meaning_are_logged),
		CASE(stop_while_starting_leaves_nothing),
		CASE(stop_while_template_starts_leaves_nothing),
		CASE(stop_stubborn_engines_after_grace),
		CASE(stop_twice_kills_at_once),
		CASE(supervisor_killed_takes_all_with_it),
		CASE(start_without_program_says_so),
		CASE(start_with_dying_template_gives_its_words),
		CASE(start_with_refusing_template_gives_its_words),
		CASE(start_with_dying_engines_gives_their_words),
		CASE(start_that_takes_too_long_says_so),
		CASE(start_of_mute_engines_ends_too),
		CASE(start_with_one_early_death_tries_again),
		CASE(start_by_exec_where_fork_is_refused),
		CASE(engine_killed_is_announced_and_comes_back),
		CASE(death_by_exit_says_why),
		CASE(policy_on_failure_lets_a_clean_exit_be),
		CASE(policy_always_restarts_a_clean_exit),
		CASE(deaths_in_a_row_back_off),
		CASE(template_killed_engines_go_on_and_another_comes),
		CASE(engine_that_loses_its_socket_is_replaced),
		CASE(engine_that_talks_rubbish_is_replaced),
		CASE(engine_that_gives_back_what_is_not_its_own_is_told),
		CASE(output_of_a_dead_engine_is_logged),
		CASE(daemon_of_a_dead_engine_is_named_and_ended_by_stop),
		CASE(daemon_that_does_not_end_is_killed),
		CASE(daemon_is_killed_at_once_by_a_second_stop),
		CASE(restart_answers_when_it_is_up_again),
		CASE(add_and_remove_give_new_ids),
		CASE(stop_while_adding_answers_nobody_and_ends),
		CASE(add_without_a_program_says_why),
		CASE(signal_reaches_the_engine),
		CASE(extents_belong_to_who_asked),
		CASE(stranger_may_ask_but_gets_no_memory),
		CASE(hello_twice_is_refused),
		CASE(client_that_detaches_is_swept),
		CASE(client_killed_is_swept_though_its_child_holds_the_socket),
		CASE(client_that_talks_rubbish_is_cut_off),
		CASE(client_that_never_reads_is_cut_off),
		CASE(client_that_sends_descriptors_loses_them),
		CASE(idle_takes_no_processor_time),
		CASE(many_engines_start_and_stop),
	};
	struct px_loop *probe;
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 16);
	int failed;

	assert_true(length > 0);
	program[length] = '\0';
	strcpy(strrchr(program, '/'), "/fake_engine");
	event_loop = "epoll";
	failed = run_cases_named("epoll: ", tests, NULL, NULL);
	if (px_loop_new(PX_LOOP_URING, &probe) < 0) {
		print_message("skipped on io_uring: %s\n", px_last_error());
		return failed;
	}
	px_loop_free(probe);
	event_loop = "io_uring";
	return failed + run_cases_named("io_uring: ", tests, NULL, NULL);
}
