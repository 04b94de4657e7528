/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * supervisor.h - starts a pool's engines, watches them, and ends them.
 *
 * Who:     `pxrun start`, in the process that is to be the supervisor.
 * Where:   the runtime folder's `control` and `connection.json`; everything else is
 *          descriptors and private memory.
 * Blocks:  px_supervisor_run() for the life of the pool.
 * Death:   of the supervisor: engines and template die with it (PR_SET_PDEATHSIG); clients see
 *          their sockets hang up; the lock is free, and the next start removes the files.
 */
#ifndef PX_SUPERVISOR_H
#define PX_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "pool/runtime.h"
#include "pool/settings.h"

struct px_supervisor_options {
	/* The caller has made its folder, and holds its lock until the pool has ended. */
	struct px_runtime runtime;
	/* Not to be changed while the pool runs. */
	const struct px_settings *settings;
	bool empty;                 /* no engines are started before they are asked for */
	const char *client_python;  /* of the Python client that starts the pool; NULL */
	const char *engine_program; /* for tests: run instead of pxrun-engine */
	uint64_t limit_ns;          /* by when the pool is to be ready, or ends; 0: none */
	uint32_t start_seconds;     /* template and engines must be ready within it; 0: 120 */
	int ready_fd; /* gets '\0' and warnings once all engines serve, else "CODE words"; is closed. -1: none */
	int owner_fd; /* the pool ends with whoever has its other end (owner.h). -1: none */
	int log_fd;   /* the log. -1: none */
	int lock_fd;  /* the lock of its folder; stays the caller's. -1: files are not put back */
	const char *root; /* stands before /proc and /sys paths (cgroup.h); NULL: "" */
};
/* clang-format off */
#define PX_SUPERVISOR_OPTIONS { .ready_fd = -1, .owner_fd = -1, .log_fd = -1, .lock_fd = -1 }
/* clang-format on */

/*
 * Runs the pool in this process and its working directory until it is told to stop
 * (PX_CONTROL_STOP, SIGTERM, SIGINT, SIGHUP, or owner_fd). Then all its processes are gone and
 * the runtime folder is clean. Takes ready_fd and owner_fd. Returns an exit code: 0; 1 if the
 * pool could not be started, with the words in px_last_error(), in ready_fd and in the log. The
 * process should be single-threaded and end soon after: the signal mask, the limit of descriptors
 * and the child subreaper stay changed.
 */
int px_supervisor_run(const struct px_supervisor_options *options);

#endif
