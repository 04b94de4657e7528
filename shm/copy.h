/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * copy.h - memcpy(3) for what is larger than the caches.
 *
 * Who:     any thread, to memory that only it uses so far; of what is long, idle processors do parts (crew.h).
 * Where:   any memory.
 * Blocks:  for the copy.
 * Death:   leaves half a copy, in memory that was not published.
 *
 * Measured in a virtual machine with an AMD Zen 5, 64 and 512 MiB into huge pages that are warm, GB/s:
 *   memcpy of glibc 2.36   10 to 12
 *   rep movsb              15 to 20
 *   streaming stores       15 to 20
 * From 1 to 8 MiB the first two are equally fast, and the third is slower. So rep movsb, which
 * needs no loop in C, is used where the processor says that it is fast.
 */
#ifndef PX_COPY_H
#define PX_COPY_H

#include <stddef.h>

void px_copy(void *to, const void *from, size_t bytes);

#endif
