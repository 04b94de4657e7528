/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holder.h - finds pools by the processes of their supervisors, whatever has become of their files.
 *
 * Who:     whoever looks for a pool of this user whose files were deleted.
 * Where:   /proc: a supervisor has its lock open, and in that file stand its pid and its folder.
 * Blocks:  for as long as reading /proc takes: some milliseconds.
 * Death:   of a supervisor: it is not found any more.
 *
 * A supervisor in another pid namespace is not found; only its lock's file tells of it.
 */
#ifndef PX_HOLDER_H
#define PX_HOLDER_H

#include <sys/types.h>

#include "pool/runtime.h"

/* Calls each(ctx, folder, pid) for each supervisor of this user, but this process. Until it is not 0: that. */
int px_holder_each(int (*each)(void *ctx, const char *folder, pid_t pid), void *ctx);
/* The supervisor of the pool in this folder; 0: none is found. */
pid_t px_holder_find(const struct px_runtime *runtime);

#endif
