/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * children.h - the pids of this process's children.
 *
 * Where:   /proc/thread-self/children; a kernel without CONFIG_PROC_CHILDREN has none to show.
 * Blocks:  never.
 */
#ifndef PX_CHILDREN_H
#define PX_CHILDREN_H

#include <stddef.h>
#include <sys/types.h>

/* Writes the pids of at most max living children of this thread; returns how many. */
size_t px_children_list(pid_t *out, size_t max);
/* The command name of a process, "?" if there is none. Returns out. */
const char *px_children_name(pid_t pid, char *out, size_t out_bytes);

#endif
