/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool.c - starts pools for tests, and speaks to their supervisors.
 */
#include "tests/c/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool/json.h"
#include "pool/runtime.h"
#include "shm/doorbell.h"
#include "shm/error.h"
#include "supervisor/event_loop.h"

const char *event_loop;
char base[64], program[512], once[96];
struct px_packet packet;

/* --- a pool --- */

void set(struct pool *pool, enum px_setting_id id, const char *text)
{
	if (px_settings_set(&pool->settings, id, PX_FROM_OPTION, "test", text) < 0)
		fail_msg("%s", px_last_error());
}

int pool_setup(void **state)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	assert_non_null(pool);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	strcpy(base, "/tmp/pxrun-test-XXXXXX");
	assert_non_null(mkdtemp(base));
	snprintf(once, sizeof(once), "%s/once", base);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", base, 1), 0);
	unsetenv("FAKE_TEMPLATE");
	unsetenv("FAKE_ENGINE");
	unsetenv("FAKE_ONCE");
	unsetenv("FAKE_TELL");
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

int read_words(struct pool *pool)
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
void launch(struct pool *pool)
{
	int ready[2], hang[2];

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(hang, O_CLOEXEC), 0);
	assert_int_equal(px_runtime_find("test", true, &pool->options.runtime), 0);
	pool->supervisor = fork();
	assert_true(pool->supervisor >= 0);
	if (pool->supervisor == 0) {
		char path[128];
		close(ready[0]);
		close(hang[1]);
		pool->options.ready_fd = ready[1];
		pool->options.owner_fd = hang[0];
		pool->options.log_fd =
			open(px_runtime_path(&pool->options.runtime, "log", path, sizeof(path)),
			     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (getenv("SHOW_LOG"))
			pool->options.log_fd = 2;
		if (px_runtime_lock(&pool->options.runtime, &pool->options.lock_fd) < 0)
			_exit(99);
		_exit(px_supervisor_run(&pool->options));
	}
	close(ready[1]);
	close(hang[0]);
	pool->ready = ready[0];
	pool->owner = hang[1];
}

void launch_until_silent(struct pool *pool)
{
	struct pollfd told = { .events = POLLIN };
	char path[96];

	snprintf(path, sizeof(path), "%s/told", base);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(setenv("FAKE_TELL", path, 1), 0);
	told.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(told.fd >= 0);
	launch(pool);
	assert_int_equal(poll(&told, 1, -1), 1);
	close(told.fd);
}

void start(struct pool *pool)
{
	launch(pool);
	assert_int_equal(read_words(pool), 0);
}

int supervisor_exit(struct pool *pool)
{
	int status;

	assert_int_equal(waitpid(pool->supervisor, &status, 0), pool->supervisor);
	pool->supervisor = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* We are the subreaper, so any process that is left is our child. */
void assert_nothing_left(struct pool *pool)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_false(px_runtime_has_pool(&pool->options.runtime));
}

void stop(struct pool *pool)
{
	assert_int_equal(kill(pool->supervisor, SIGTERM), 0);
	assert_int_equal(supervisor_exit(pool), 0);
	assert_nothing_left(pool);
}

void fails_with(struct pool *pool, int code, const char *words)
{
	launch(pool);
	assert_int_equal(read_words(pool), code);
	if (!strstr(pool->words, words))
		fail_msg("'%s' is not in '%s'", words, pool->words);
	assert_int_equal(supervisor_exit(pool), 1);
	assert_nothing_left(pool);
}

int pool_teardown(void **state)
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

int dial(struct pool *pool)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	px_runtime_path(&pool->options.runtime, "control", address.sun_path,
			sizeof(address.sun_path));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

int ask(int fd, uint16_t type, uint64_t a, uint64_t b)
{
	struct px_control head = { .type = type, .a = a, .b = b };

	return px_control_call(fd, &head, &packet, NULL);
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

uint32_t engine_state(const struct px_segment *segment, uint32_t id)
{
	return atomic_load(&segment->engines[id].state);
}

pid_t engine_pid(const struct px_segment *segment, uint32_t id)
{
	struct px_member member;

	assert_int_equal(px_member_read(segment, atomic_load(&segment->engines[id].slot), &member),
			 0);
	assert_true(member.pid > 1); /* kill(0) and kill(-1) would hit more than a test may */
	return member.pid;
}

void await_news(const struct attached *a, int (*come)(void *ctx), void *ctx)
{
	assert_int_equal(px_doorbell_wait(&a->segment->bells[a->self.slot], PX_BELL_FRAME, 0,
					  UINT64_MAX, come, NULL, ctx),
			 1);
}

struct wanted {
	const struct px_segment *segment;
	uint32_t id, state, generation;
};

static int in_state(void *ctx)
{
	const struct wanted *w = ctx;

	return engine_state(w->segment, w->id) == w->state;
}

void await_state(const struct attached *a, uint32_t id, uint32_t wanted)
{
	await_news(a, in_state,
		   &(struct wanted){ .segment = a->segment, .id = id, .state = wanted });
}

static int in_generation(void *ctx)
{
	const struct wanted *w = ctx;

	return engine_state(w->segment, w->id) == PX_ENGINE_UP &&
	       atomic_load(&w->segment->engines[w->id].generation) == w->generation;
}

void await_generation(const struct attached *a, uint32_t id, uint32_t wanted)
{
	await_news(a, in_generation,
		   &(struct wanted){ .segment = a->segment, .id = id, .generation = wanted });
}

const char *status(int fd)
{
	assert_int_equal(ask(fd, PX_CONTROL_STATUS, 0, 0), 0);
	assert_non_null(px_json_parse(packet.text));
	return packet.text;
}

const char *status_engine(int fd, int index)
{
	const char *engine = px_json_first(px_json_member(status(fd), "engines"));

	while (index-- > 0)
		engine = px_json_next(engine);
	assert_non_null(engine);
	return engine;
}

double number(const char *object, const char *key)
{
	return px_json_number(px_json_member(object, key), -1);
}

/* Whether the log has the words; it is removed with the pool. */
bool logged(struct pool *pool, const char *words)
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

void await_log(struct pool *pool, const char *words)
{
	char path[128], events[4096];
	int watch = inotify_init1(IN_CLOEXEC);

	px_runtime_path(&pool->options.runtime, "log", path, sizeof(path));
	assert_true(inotify_add_watch(watch, path, IN_MODIFY) >= 0);
	while (!logged(pool, words))
		assert_true(read(watch, events, sizeof(events)) > 0);
	close(watch);
}

struct attached attach(struct pool *pool)
{
	struct attached a;

	a.fd = dial(pool);
	a.segment = join(a.fd, &a.self);
	return a;
}

void detach(struct attached *a)
{
	px_segment_detach(a->segment);
	close(a->fd);
}

/* --- the cases --- */

int run_these_pool_cases(const struct CMUnitTest *cases, size_t count)
{
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 16);
	struct px_loop *probe;
	int failed;

	if (length < 0)
		return 1;
	program[length] = '\0';
	strcpy(strrchr(program, '/'), "/fake_engine");
	event_loop = "epoll";
	failed = run_these_cases("epoll: ", cases, count, NULL, NULL);
	if (px_loop_new(PX_LOOP_URING, &probe) < 0) {
		print_message("skipped on io_uring: %s\n", px_last_error());
		return failed;
	}
	px_loop_free(probe);
	event_loop = "io_uring";
	return failed + run_these_cases("io_uring: ", cases, count, NULL, NULL);
}
