/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event_loop.h - waits for descriptors and times, and calls back.
 *
 * Who:     the supervisor's one thread.
 * Where:   private memory; io_uring where the kernel gives it, else epoll.
 * Blocks:  px_loop_step() only, if told so. Nothing set and nothing ready: no wake-up ever.
 * Death:   the kernel forgets it with the process.
 *
 * Level-triggered under both: a callback may read one packet and leave, the
 * rest calls it again. A callback may unwatch, watch and free anything, itself
 * included.
 */
#ifndef PX_EVENT_LOOP_H
#define PX_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "pool/settings.h"

/* A descriptor that is watched. The caller's memory; zero before the first use. */
struct px_watch {
	int fd;
	void (*ready)(void *ctx); /* readable, hung up, or in error */
	void *ctx;
	uint64_t token; /* the loop's; 0: not watched */
};

/* One shot. The caller's memory; zero before the first use. */
struct px_timer {
	void (*expired)(void *ctx);
	void *ctx;
	uint64_t deadline_ns; /* 0: not set */
	struct px_timer *next;
};

struct px_loop;

/*
 * AUTO takes io_uring if it is available. PX_ESYSTEM: the kind that was asked for is not, the
 * words say why; PX_ENOMEM.
 */
int px_loop_new(enum px_loop_kind kind, struct px_loop **out);
void px_loop_free(struct px_loop *loop);
/* "io_uring" or "epoll". Static. */
const char *px_loop_name(const struct px_loop *loop);

/* PX_ENOMEM, PX_ESYSTEM. */
int px_loop_watch(struct px_loop *loop, struct px_watch *watch, int fd, void (*ready)(void *ctx),
		  void *ctx);
/* Before the descriptor is closed. Nothing if it is not watched. */
void px_loop_unwatch(struct px_loop *loop, struct px_watch *watch);

/* Sets or moves it. */
void px_loop_timer_set(struct px_loop *loop, struct px_timer *timer, uint64_t delay_ns,
		       void (*expired)(void *ctx), void *ctx);
void px_loop_timer_stop(struct px_loop *loop, struct px_timer *timer);

/* Calls back what is due; with wait, waits until something is. PX_ESYSTEM. */
int px_loop_step(struct px_loop *loop, bool wait);

#endif
