/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * huge.h - a file for shared memory that may lie in huge pages.
 *
 * Who:     the supervisor, once.
 * Where:   a mount in a namespace of a child's own.
 * Blocks:  for the life of that child, which is short.
 * Death:   of the child: there is no file, and the mount is gone with it.
 *
 * Few systems let ordinary shared memory have huge pages (shmem_enabled is `never` by default),
 * yet any tmpfs may be mounted with huge=advise. A child process does so in a mount namespace of
 * its own, as root or in a user namespace, and hands back a file without a name. No other process
 * sees the mount, which ends with the file. Only what is asked for by madvise(2) is huge: rings
 * and blocks stay small.
 */
#ifndef PX_HUGE_H
#define PX_HUGE_H

/* Where huge pages come from. */
enum px_huge { PX_HUGE_NONE, PX_HUGE_SHMEM, PX_HUGE_MOUNT };

/* A descriptor of an empty file on a private mount, -1 if that is not possible. */
int px_huge_mount(void);
/* Whether the system lets a memfd have huge pages that are asked for. */
_Bool px_huge_shmem(void);

#endif
