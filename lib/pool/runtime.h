/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * runtime.h - the files of a running pool, by which others find it.
 *
 * Who:     `pxrun start` makes and locks them; clients and the command read them.
 * Blocks:  never.
 * Death:   of the supervisor: the lock is free, and the next start or `pxrun list` removes the files,
 *          all but the log, which is the next start's.
 *
 *   $XDG_RUNTIME_DIR/pxrun/PROFILE/   else /tmp/pxrun-UID/PROFILE/, all 0700
 *       lock              the supervisor's pid and the folder, a line each; locked (F_OFD_SETLK) while
 *                         the pool lives: this decides whether it does. A supervisor whose lock was
 *                         deleted still counts: it is found by its process (holder.h), and puts its
 *                         files back (supervisor/files.h)
 *       control           the supervisor's socket; "bound" before it listens
 *       connection.json   {"pxrun": VERSION, "profile", "pid", "socket", "engines",
 *                          "python": [major, minor], "started": ISO 8601}
 *       log, log.1        what supervisor and engines print; see log_file.h. They outlive the pool
 *       kernel-ID.json    how Jupyter's clients find the kernel that engine ID is bound to, and
 *       kID-1 … kID-5     its sockets: made by the engine (python/pxrun/engine/channels.py)
 *
 * A folder that another user owns, a symbolic link, or one with a wider mode is refused.
 */
#ifndef PX_RUNTIME_H
#define PX_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct px_runtime {
	char profile[64];
	char folder[108 - 10]; /* + "/control" fits a sockaddr_un */
};

/* PX_EINVAL, unless it is the name of a profile. */
int px_runtime_check_name(const char *name);
/*
 * Finds the folder of a profile (NULL: $PXRUN_PROFILE, else "default"); with create, makes it.
 * PX_EINVAL: a name that is not [A-Za-z0-9._-]{1,63} or begins with a dot; PX_EPERM; PX_ESYSTEM.
 */
int px_runtime_find(const char *profile, bool create, struct px_runtime *out);
/* Path of a file in it. Returns out. */
const char *px_runtime_path(const struct px_runtime *runtime, const char *file, char *out,
			    size_t out_bytes);
/*
 * Takes the profile's lock for a supervisor's life and removes what a dead one
 * left (sockets, connection files). PX_EEXIST: a pool runs, in words with its pid.
 */
int px_runtime_lock(const struct px_runtime *runtime, int *lock_fd);
/*
 * Of a supervisor whose lock's file was deleted: makes folders and file anew, and has the same descriptor
 * hold it. PX_EEXIST: another process holds it, perhaps for a moment only; PX_EPERM, PX_ESYSTEM.
 */
int px_runtime_relock(const struct px_runtime *runtime, int lock_fd);
/* Whether the file of the lock that is held by this descriptor is still in the folder. */
bool px_runtime_holds(const struct px_runtime *runtime, int lock_fd);
/* Whether a pool lives there: the lock is held, or would be, had its file not been deleted. */
bool px_runtime_alive(const struct px_runtime *runtime);
/* Whether a pool lives there that cannot be reached, as its socket was deleted. */
bool px_runtime_lost(const struct px_runtime *runtime);

struct px_runtime_facts {
	int pid; /* of the supervisor that has, or had, the lock */
	uint32_t engines;
	char started[40]; /* "" until the pool serves */
	bool deleted;     /* it lives, and its lock's file is gone */
};
/* What lock and connection file say of a pool; zeros where they say nothing. */
void px_runtime_facts(const struct px_runtime *runtime, struct px_runtime_facts *out);

/* Removes the files of an engine's kernel. Whether it was bound to one. */
bool px_runtime_remove_kernel(const struct px_runtime *runtime, uint32_t engine);
/* Whether it is that of a private pool, which ends with the process that has started it. */
bool px_runtime_is_private(const struct px_runtime *runtime);
/* Whether there are files of a pool, living or dead, other than its log. */
bool px_runtime_has_pool(const struct px_runtime *runtime);
/*
 * Removes the files, the log only if with_log is true and nothing else is there, and then the folder, if it is
 * empty.
 */
void px_runtime_clean(const struct px_runtime *runtime, bool with_log);
/*
 * The same after a supervisor that was killed, unless another one is just starting. The log is left, but for
 * that of a private pool.
 */
void px_runtime_clean_dead(const struct px_runtime *runtime);
/* Of private pools that are gone, and have left a log as they could not be started, leaves the last few. */
void px_runtime_clean_private(void);
/* Calls each(ctx, runtime) for every profile folder there is, and for pools whose folder was deleted. */
int px_runtime_list(int (*each)(void *ctx, const struct px_runtime *runtime), void *ctx);
/* From a connection file's path to its runtime. PX_ENOPOOL, PX_EINVAL. */
int px_runtime_from_file(const char *path, struct px_runtime *out);

#endif
