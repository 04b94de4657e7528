/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop.c - a program whose event loop is its own: engines, signals and a clock are descriptors of one
 * epoll(7). It counts primes, and says every second how far it is; Control-C ends it in good order.
 *
 *     cc loop.c $(pkg-config --cflags --libs pxrun) && ./a.out [LIMIT]
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <pxrun.h>

#define ENGINES 4
#define AHEAD 16 /* tasks that wait or run: so many, and no more */
#define WIDTH 10000

/* Runs on the engines: the primes from first to below last. */
static const char definition[] =
	"def primes(first, last):\n"
	"    def is_prime(n):\n"
	"        return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))\n"
	"    return sum(map(is_prime, range(first, last)))\n";

struct work {
	struct px_view *any;
	int64_t limit, next, counted; /* numbers: to be done, posted, answered */
	int64_t primes;
	int running; /* tasks */
};

static void check(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "loop: %s: %s\n", what, px_last_error());
	exit(1);
}

static void define(struct px_client *client)
{
	struct px_view *all;

	check(px_view_all(client, &all), "making a view of all engines");
	/* What runs on an engine later comes after it: nobody has to wait here. */
	check(px_view_execute(all, definition, NULL, NULL), "sending the function");
	px_view_free(all);
}

/* Posts tasks while there is work and not too much is ahead. The result's pointer has the width. */
static void post(struct work *work)
{
	while (work->running < AHEAD && work->next < work->limit) {
		int64_t last = work->next + WIDTH < work->limit ? work->next + WIDTH : work->limit;
		const struct px_value range[] = { px_int(work->next), px_int(last) };
		struct px_how how = PX_HOW;
		struct px_result *result;

		how.user = (void *)(intptr_t)(last - work->next);
		check(px_view_call(work->any, "primes", 2, range, NULL, &how, &result),
		      "posting a task");
		work->next = last;
		work->running++;
	}
}

/* Takes all results that are ready; never waits. */
static void take(struct px_client *client, struct work *work)
{
	struct px_result *result;
	struct px_value value;
	int rc;

	while ((rc = px_client_next(client, 0, &result)) == 0) {
		check(px_result_value(result, 0, &value), "primes()");
		work->primes += value.as.integer;
		work->counted += (intptr_t)px_result_user(result);
		work->running--;
		px_result_free(result);
	}
	if (rc != PX_ETIMEDOUT)
		check(rc, "waiting for engines");
}

/* A descriptor for SIGINT and SIGTERM. */
static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_clock(void)
{
	const struct itimerspec every = { { 1, 0 }, { 1, 0 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		timerfd_settime(fd, 0, &every, NULL);
	return fd;
}

static void watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
		perror("loop");
		exit(1);
	}
}

/* Until everything is counted, or a signal comes: returns that, or 0. */
static int run(struct px_client *client, struct work *work)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), signals = open_signals(), clock = open_clock();
	int engines = px_client_fd(client), stopped_by = 0;
	struct signalfd_siginfo signal;
	struct epoll_event event;
	uint64_t ticks;

	check(engines, "asking for the descriptor");
	watch(epoll, signals);
	watch(epoll, clock);
	watch(epoll, engines);
	post(work);
	while (work->running > 0 && !stopped_by) {
		if (epoll_wait(epoll, &event, 1, -1) != 1)
			continue;
		if (event.data.fd == engines) {
			take(client, work);
			post(work);
		} else if (event.data.fd == clock && read(clock, &ticks, sizeof(ticks)) > 0) {
			printf("  %" PRId64 " of %" PRId64 "\n", work->counted, work->limit);
			fflush(stdout);
		} else if (event.data.fd == signals && read(signals, &signal, sizeof(signal)) > 0) {
			stopped_by = (int)signal.ssi_signo;
		}
	}
	close(clock);
	close(signals);
	close(epoll);
	return stopped_by;
}

int main(int argc, char **argv)
{
	struct work work = { .limit = argc > 1 ? strtoll(argv[1], NULL, 10) : 1000000 };
	struct px_pool_options options = PX_POOL_OPTIONS;
	struct px_client *client;
	int stopped_by;

	options.profile = ""; /* a pool for this program alone: it ends with the client */
	options.engines = ENGINES;
	check(px_pool_start(&options, &client), "starting a pool");
	define(client);
	check(px_view_any(client, &work.any), "making a load-balanced view");
	stopped_by = run(client, &work);
	px_view_free(work.any);
	px_client_detach(client);

	if (stopped_by) {
		printf("stopped: %" PRId64 " primes among %" PRId64 " numbers\n", work.primes,
		       work.counted);
		return 128 + stopped_by;
	}
	printf("%" PRId64 " primes below %" PRId64 "\n", work.primes, work.limit);
	return work.limit == 1000000 && work.primes != 78498 ? 1 : 0;
}
