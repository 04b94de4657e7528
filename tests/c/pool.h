/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool.h - for tests: a real supervisor with fake engines (fake_engine.c), and a client of it.
 *
 * Who:     cases between pool_setup() and pool_teardown(); their state is a struct pool.
 * Where:   the supervisor is a child of the case, and the runtime folder lies in /tmp. FAKE_ENGINE,
 *          FAKE_TEMPLATE and FAKE_ONCE in the environment say how processes misbehave. With
 *          SHOW_LOG in the environment the log goes to standard error.
 * Blocks:  what is waited for comes in milliseconds, or the case fails.
 * Death:   stop() and assert_nothing_left() fail if a process or a file is left.
 */
#ifndef PX_TEST_POOL_H
#define PX_TEST_POOL_H

#include <stdbool.h>
#include <sys/types.h>

#include "tests/c/case.h"
#include "pool/control.h"
#include "shm/member.h"
#include "supervisor/supervisor.h"

#define MS UINT64_C(1000000)

struct pool {
	struct px_supervisor_options options;
	struct px_settings settings;
	pid_t supervisor;
	int ready, owner; /* our ends */
	char words[1200]; /* what was read from the ready pipe */
};

struct attached {
	int fd;
	struct px_member_id self;
	struct px_segment *segment;
};

/* The folder of this case's pool, the program that its engines are, a file for FAKE_ONCE. */
extern char base[64], program[512], once[96];
/* "epoll" or "io_uring". */
extern const char *event_loop;
/* The answer to the last ask(). */
extern struct px_packet packet;

int pool_setup(void **state);
int pool_teardown(void **state);
#define POOL_CASE(name) cmocka_unit_test_setup_teardown(name, pool_setup, pool_teardown)
/* Runs the cases on epoll and, if there is any, on io_uring; returns how many failed. */
#define run_pool_cases(cases) run_these_pool_cases(cases, sizeof(cases) / sizeof((cases)[0]))
int run_these_pool_cases(const struct CMUnitTest *cases, size_t count);

/* --- a pool --- */

/* Before it is launched. */
void set(struct pool *pool, enum px_setting_id id, const char *text);
/* Begins a pool without waiting for it. */
void launch(struct pool *pool);
/* The same, until one of the processes that are to be silent has no more to do. */
void launch_until_silent(struct pool *pool);
/* What it says when it is ready, or cannot be: 0 or a code, with pool->words. */
int read_words(struct pool *pool);
/* Both. */
void start(struct pool *pool);
/* A pool that is to end by itself: its exit code, or minus a signal. */
int supervisor_exit(struct pool *pool);
void assert_nothing_left(struct pool *pool);
/* By SIGTERM, and nothing is left. */
void stop(struct pool *pool);
/* It does not start, with this code and these words, and nothing is left. */
void fails_with(struct pool *pool, int code, const char *words);

/* --- a client --- */

/* Connects, which does not make a member yet. */
int dial(struct pool *pool);
/* One request; returns the code of its answer. */
int ask(int fd, uint16_t type, uint64_t a, uint64_t b);
struct attached attach(struct pool *pool);
void detach(struct attached *attached);
/* JSON, lent until the next request. */
const char *status(int fd);
const char *status_engine(int fd, int index);
double number(const char *object, const char *key);

/* --- what can be seen --- */

uint32_t engine_state(const struct px_segment *segment, uint32_t id);
pid_t engine_pid(const struct px_segment *segment, uint32_t id);
/* Until come(ctx) is 1, which some member's coming or going brings. */
void await_news(const struct attached *a, int (*come)(void *ctx), void *ctx);
void await_state(const struct attached *a, uint32_t id, uint32_t wanted);
void await_generation(const struct attached *a, uint32_t id, uint32_t wanted);
/* Whether the log has the words; it is removed with the pool. */
bool logged(struct pool *pool, const char *words);
void await_log(struct pool *pool, const char *words);

#endif
