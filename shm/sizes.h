/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sizes.h - from which size on memory is copied, lent or mapped.
 *
 * All layers use it; Python gets the numbers from lib/python/ext/module.c. They are in the order in
 * which they apply to an array that is sent. The times are of a virtual machine with an AMD Zen 5, on
 * which memcpy(3) makes 10 GB/s; `make bench` (tests/bench/arrays.py) shows what another number does.
 */
#ifndef PX_SIZES_H
#define PX_SIZES_H

#include "shm/layout.h"

/* --- the sender */

/*
 * A buffer of at least this size is lent: it lies in a region, beside the message. Shorter ones are
 * copied into the message, which takes 2 us at most: less than region and lease.
 */
#define PX_LENT_BYTES (16 * 1024)
/*
 * The same for a string of bytes, which its receiver has to copy once more, and which is copied twice
 * if it is in a pickle.
 */
#define PX_LENT_STRING_BYTES (64 * 1024)
/* A region of at least this size begins with a page, and is found by any address in it. */
#define PX_REGION_LARGE_BYTES (64 * 1024)
/*
 * A body of at least this size is copied into a region once for several receivers. It may be too long
 * for a frame: then it would be copied into a region for each.
 */
#define PX_SHARED_BODY_BYTES (PX_FRAME_MAX_BYTES / 2)
/*
 * While this much or more is copied, other threads of the interpreter may run: it takes 25 us, and
 * what is shorter is done sooner than another thread is woken.
 */
#define PX_UNLOCKED_BYTES (256 * 1024)
/*
 * Copies of at least this size are made by rep movsb where the processor does that well: 15 to 20 GB/s,
 * memcpy(3) 10 to 12. From 1 to 8 MiB both take the same time (copy.h).
 */
#define PX_MOVED_BYTES (16 * 1024 * 1024)
/*
 * Copies of at least this size, and extents, are shared with threads on idle processors: starting one
 * takes 0.05 to 0.1 ms, and copying this much 1 to 2.
 */
#define PX_CREW_BYTES (8 * 1024 * 1024)

/* --- the receiver */

/*
 * A loan of at least this size is mapped as a private view. Shorter ones are copied and given back at
 * once: mapping and touching a view takes as long as copying 30 to 100 KiB.
 */
#define PX_MAPPED_BYTES (64 * 1024)

/* --- results */

/*
 * Arrays of at least this size that an engine makes lie in regions from the start, so that they are
 * lent as they are if they become a result. Copying this much takes 20 us from and to caches, a
 * lease a few.
 */
#define PX_ALLOCATED_BYTES (1024 * 1024)
/*
 * To gather arrays of at least this size, the client asks for their shapes, makes the whole, and the
 * engines write into it. Shorter ones are sent as they are, which saves one of two messages.
 */
#define PX_GATHERED_BYTES (256 * 1024)

_Static_assert(PX_REGION_LARGE_BYTES % PX_PAGE_BYTES == 0, "whole pages");
_Static_assert(PX_LENT_BYTES <= PX_MAPPED_BYTES, "what is mapped was lent");

#endif
