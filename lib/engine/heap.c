/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heap.c - keeps freed memory warm.
 *
 * By default glibc gives memory of large arrays back to the kernel as soon as they are
 * freed, and each temporary of a numpy expression is paged in anew: at 1.5 to 2.7 us a
 * page that was two thirds of the time of a five-point stencil on 130 x 512 doubles
 * (660 us a step, and 240 us with these settings).
 */
#include "engine/heap.h"

#include <malloc.h>
#include <stdlib.h>

/* The most that M_MMAP_THRESHOLD takes: longer arrays come from the kernel. */
#define LARGE_BYTES (32 << 20)
#define KEEP_BYTES (64 << 20) /* at the heap's end, before any is given back */

void px_heap_keep_warm(void)
{
#ifdef M_TRIM_THRESHOLD
	/* The user's own settings come first. */
	if (getenv("MALLOC_TRIM_THRESHOLD_") || getenv("MALLOC_MMAP_THRESHOLD_") ||
	    getenv("GLIBC_TUNABLES"))
		return;
	(void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, KEEP_BYTES);
#endif
}
