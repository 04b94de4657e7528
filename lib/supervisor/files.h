/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * files.h - sees that the pool's files are deleted, as cleaners of /tmp do, and puts them back.
 *
 * Who:     the supervisor.
 * Where:   the runtime folder: lock, control and connection.json. The log comes back by itself
 *          (pool/log_file.h); files of kernels do when their engines are bound anew.
 * Blocks:  never.
 * Death:   while files are put back leaves those that are there, for the next start to remove.
 *
 * Who is connected does not notice. While files cannot be made the pool goes on without, and this tries
 * again. If another pool has taken the profile meanwhile, which only a supervisor in another pid namespace can, this
 * pool ends.
 */
#ifndef PX_FILES_H
#define PX_FILES_H

#include "supervisor/event_loop.h"

struct px_supervisor;

struct px_files {
	int inotify; /* -1: not yet, or the kernel gives none; then the timer looks */
	struct px_watch watch;
	struct px_timer timer;
	unsigned refused; /* how often in a row another process had the lock */
	bool told;        /* that files cannot be put back */
};

/* When all files that there are to be at first have been made. Those of a private pool are watched a second later. */
void px_files_begin(struct px_supervisor *s);
/* A phase of the turn: looks, and puts back what is gone. */
void px_files_restore(struct px_supervisor *s);
/* Whether the folder is this pool's, so that it may be cleaned; takes it back if it is nobody's. */
bool px_files_ours(const struct px_supervisor *s);
void px_files_close(struct px_supervisor *s);

#endif
