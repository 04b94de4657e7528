/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event_loop.c - the part of the loop that io_uring and epoll have in common.
 */
#include "supervisor/event_loop.h"

#include <stdlib.h>

#include "shm/error.h"
#include "shm/os.h"
#include "supervisor/event_loop_backend.h"

/*
 * The kernel knows a watch by a token: the watch's place in this table, and how many watches have
 * had the place. So late reports for watches that are gone are recognised.
 */
struct place {
	struct px_watch *watch; /* NULL: free */
	uint32_t users;
	uint32_t next_free;
};
#define NO_PLACE UINT32_MAX

struct px_loop {
	const struct px_loop_backend *backend;
	void *state;
	struct place *places;
	uint32_t places_count, free_place;
	struct px_timer *timers; /* soonest first */
};

static int open_backend(struct px_loop *loop, const struct px_loop_backend *backend)
{
	int rc = backend->open(&loop->state);

	if (rc == 0)
		loop->backend = backend;
	return rc;
}

int px_loop_new(enum px_loop_kind kind, struct px_loop **out)
{
	struct px_loop *loop = calloc(1, sizeof(*loop));
	int rc = PX_ESYSTEM;

	if (!loop)
		return px_fail(PX_ENOMEM, "no private memory for the event loop");
	loop->free_place = NO_PLACE;
	if (kind != PX_LOOP_EPOLL)
		rc = open_backend(loop, &px_loop_uring);
	if (rc < 0 && kind != PX_LOOP_URING)
		rc = open_backend(loop, &px_loop_epoll);
	if (rc < 0) {
		free(loop);
		return rc;
	}
	*out = loop;
	return 0;
}

void px_loop_free(struct px_loop *loop)
{
	if (!loop)
		return;
	loop->backend->close(loop->state);
	free(loop->places);
	free(loop);
}

const char *px_loop_name(const struct px_loop *loop)
{
	return loop->backend->name;
}

/* --- descriptors --- */

static int grow(struct px_loop *loop)
{
	uint32_t count = loop->places_count ? 2 * loop->places_count : 64;
	struct place *places = realloc(loop->places, count * sizeof(*places));

	if (!places)
		return px_fail(PX_ENOMEM, "no private memory to watch %u descriptors", count);
	for (uint32_t i = loop->places_count; i < count; i++)
		places[i] = (struct place){ .next_free = i + 1 < count ? i + 1 : NO_PLACE };
	loop->free_place = loop->places_count;
	loop->places = places;
	loop->places_count = count;
	return 0;
}

static struct px_watch *find(const struct px_loop *loop, uint64_t token)
{
	uint32_t index = (uint32_t)token;

	if (index >= loop->places_count || loop->places[index].users != token >> 32)
		return NULL;
	return loop->places[index].watch;
}

int px_loop_watch(struct px_loop *loop, struct px_watch *watch, int fd, void (*ready)(void *ctx),
		  void *ctx)
{
	int rc = loop->free_place == NO_PLACE ? grow(loop) : 0;
	struct place *place;
	uint32_t index;

	if (rc < 0)
		return rc;
	index = loop->free_place;
	place = &loop->places[index];
	/* No token is ever 0, which is what backends use for themselves. */
	if (++place->users == 0)
		place->users = 1;
	*watch = (struct px_watch){ fd, ready, ctx, (uint64_t)place->users << 32 | index };
	rc = loop->backend->add(loop->state, fd, watch->token);
	if (rc < 0) {
		watch->token = 0;
		return rc;
	}
	place->watch = watch;
	loop->free_place = place->next_free;
	return 0;
}

void px_loop_unwatch(struct px_loop *loop, struct px_watch *watch)
{
	uint32_t index = (uint32_t)watch->token;

	if (!watch->token)
		return;
	loop->backend->remove(loop->state, watch->fd, watch->token);
	loop->places[index].watch = NULL;
	loop->places[index].next_free = loop->free_place;
	loop->free_place = index;
	watch->token = 0;
}

/* --- times --- */

void px_loop_timer_stop(struct px_loop *loop, struct px_timer *timer)
{
	struct px_timer **where = &loop->timers;

	while (*where && *where != timer)
		where = &(*where)->next;
	if (*where)
		*where = timer->next;
	timer->deadline_ns = 0;
}

void px_loop_timer_set(struct px_loop *loop, struct px_timer *timer, uint64_t delay_ns,
		       void (*expired)(void *ctx), void *ctx)
{
	struct px_timer **where = &loop->timers;

	px_loop_timer_stop(loop, timer);
	timer->expired = expired;
	timer->ctx = ctx;
	timer->deadline_ns = px_os.now_ns() + delay_ns;
	while (*where && (*where)->deadline_ns <= timer->deadline_ns)
		where = &(*where)->next;
	timer->next = *where;
	*where = timer;
}

static uint64_t until_timer(const struct px_loop *loop)
{
	uint64_t now;

	if (!loop->timers)
		return UINT64_MAX;
	now = px_os.now_ns();
	return loop->timers->deadline_ns > now ? loop->timers->deadline_ns - now : 0;
}

/* Timers that a callback sets now are for the next step, even if they are due. */
static void run_timers(struct px_loop *loop)
{
	uint64_t now = loop->timers ? px_os.now_ns() : 0;

	while (loop->timers && loop->timers->deadline_ns <= now) {
		struct px_timer *timer = loop->timers;

		loop->timers = timer->next;
		timer->deadline_ns = 0;
		timer->expired(timer->ctx);
	}
}

int px_loop_step(struct px_loop *loop, bool wait)
{
	uint64_t tokens[PX_LOOP_BATCH];
	int count = loop->backend->wait(loop->state, wait ? until_timer(loop) : 0, tokens,
					PX_LOOP_BATCH);
	struct px_watch *watch;
	int rc = 0;

	for (int i = 0; i < count; i++) {
		watch = find(loop, tokens[i]);
		if (!watch)
			continue;
		watch->ready(watch->ctx);
		watch = find(loop, tokens[i]);
		if (watch && loop->backend->again && rc == 0)
			rc = loop->backend->again(loop->state, watch->fd, watch->token);
	}
	run_timers(loop);
	return count < 0 ? count : rc;
}
