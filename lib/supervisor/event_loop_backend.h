/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event_loop_backend.h - what the loop needs from a kernel interface.
 */
#ifndef PX_EVENT_LOOP_BACKEND_H
#define PX_EVENT_LOOP_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PX_LOOP_BATCH 64

struct px_loop_backend {
	const char *name;
	/* Returns a new state in *out. PX_ESYSTEM in words, PX_ENOMEM. */
	int (*open)(void **out);
	void (*close)(void *state);
	/* Reports token once fd is readable, hung up or in error. */
	int (*add)(void *state, int fd, uint64_t token);
	/* The kernel holds no reference to fd afterwards. A token in flight may still be reported. */
	void (*remove)(void *state, int fd, uint64_t token);
	/* After a report was handled: watch again. NULL if reports repeat by themselves. */
	int (*again)(void *state, int fd, uint64_t token);
	/* Fills tokens that are ready; timeout_ns UINT64_MAX: for ever. Returns their number. */
	int (*wait)(void *state, uint64_t timeout_ns, uint64_t *tokens, size_t max);
};

extern const struct px_loop_backend px_loop_uring, px_loop_epoll;

#endif
