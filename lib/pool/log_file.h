/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_file.h - the file of a pool's log, which is kept and begun anew when it has become too long.
 *
 * What was before is beside it, as the same name with ".1". To those who still have that one open it is
 * marked by its mode, in which nobody may write.
 *
 * Who:     the supervisor makes it; it and each engine append to it, through descriptors of one file.
 * Blocks:  as opening a file does.
 * Death:   while it is kept leaves both files; whoever writes next goes on.
 */
#ifndef PX_LOG_FILE_H
#define PX_LOG_FILE_H

#include <stdbool.h>

#include "pool/runtime.h"

/* How long the file may become: a 16th of its filesystem, which may be memory, within these bounds. */
#define PX_LOG_LEAST_BYTES (16 << 20)
#define PX_LOG_MAX_BYTES (128 << 20)

/*
 * Removes the log of the profile's last pool and opens a new one. If it is to lie elsewhere, opens that file,
 * of which nothing is removed, and leaves a link to it; NULL: it is not. PX_ESYSTEM.
 */
int px_log_file_begin(const struct px_runtime *runtime, const char *elsewhere, int *fd);
/*
 * To be called before something is written. If the file has become too long, was kept by another process, or
 * was deleted, fd becomes a descriptor of the new one. Whether it did.
 */
bool px_log_file_renew(int fd);

#endif
