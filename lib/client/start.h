/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * start.h - finding a pool, and starting one in two steps, for callers that have something to do meanwhile.
 *
 * Who:     any thread.
 * Where:   private memory, a pipe, a pair of sockets, and the process of `pxrun start`.
 * Blocks:  the second step until all engines serve.
 * Death:   of the caller: a private pool ends, for its supervisor sees it. Of the
 *          supervisor: the second step fails, for its pipe closes.
 */
#ifndef PX_POOL_H
#define PX_POOL_H

#include <stdbool.h>
#include <sys/types.h>

#include "client/pxrun.h"
#include "pool/control.h"
#include "pool/runtime.h"
#include "pool/settings.h"

/* A pool that is being started. */
struct px_launch {
	const char *profile; /* the caller's, or name */
	char name[64];       /* of a private pool */
	uint64_t limit_ns, began_ns;
	const char *python; /* of a Python client: for engines where nothing else is named; NULL */
	bool private, empty;
	int ready; /* our end of the pipe by which the supervisor says that it is ready */
	int owner; /* our end of the sockets by which it sees that we live; -1: not private */
	pid_t pid;
	/* The caller's, between the steps: is asked now and then whether to go on waiting; 0, or an error. */
	int (*give_up)(void);
	char warnings[PX_WARNINGS_BYTES]; /* after the second step: lines */
};

/*
 * The first step: runs `pxrun start`. profile and command are as in struct px_pool_options; an
 * empty pool has no engines yet. python: of a Python client, its interpreter, else NULL. *launch
 * must not be moved before the second step. Settings that are not the default are passed as
 * options. limit_ns: by when it is ready, 0: no matter. PX_ENOMEM, PX_ESYSTEM.
 */
int px_pool_launch(const struct px_settings *settings, const char *profile, const char *command,
		   const char *python, bool empty, uint64_t limit_ns, struct px_launch *launch);
/*
 * The second step: waits until the pool is ready, and attaches to it. Must be called, and once, if
 * the first step succeeded. Errors as of px_pool_start().
 */
int px_pool_launched(struct px_launch *launch, struct px_client **client);
/*
 * Of a client that has started a private pool: the pool no longer ends with the client, but when
 * the descriptor that this returns is closed; it is the caller's. -1: the client has none.
 */
int px_client_give_pool(struct px_client *client);
/*
 * Both steps, of a pool with its engines. warnings: PX_WARNINGS_BYTES for those of struct px_launch;
 * may be NULL.
 */
int px_pool_start_by(const struct px_settings *settings, const char *profile, const char *command,
		     uint64_t limit_ns, char *warnings, struct px_client **client);
/*
 * Connects to the pool's supervisor within that time: one that is stopped may have no room for more
 * connections. PX_ETIMEDOUT, PX_EPERM, PX_ESYSTEM; PX_ENOPOOL, also if there is one whose socket was deleted:
 * *lost says so.
 */
int px_pool_dial(const struct px_runtime *runtime, uint64_t silence_ns, int *control, bool *lost);
/* The pool of a profile, or of a connection file, whether one runs or not. PX_EINVAL, PX_EPERM, PX_ENOPOOL. */
int px_pool_find(const char *profile, struct px_runtime *out);
/* PX_ENOPOOL in words. */
int px_pool_none(const struct px_runtime *runtime);
/* px_client_attach() to a supervisor that answers within that time; 0: within PX_CONTROL_SILENCE_NS. */
int px_client_attach_within(const char *profile, uint64_t silence_ns, struct px_client **client);

#endif
