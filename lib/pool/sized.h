/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sized.h - structs of pxrun.h that begin with their size, and may be another version's.
 *
 * Who:     any thread.
 * Where:   the caller's memory.
 * Blocks:  never.
 * Death:   none.
 */
#ifndef PX_SIZED_H
#define PX_SIZED_H

#include <stddef.h>

/*
 * Copies what the caller's header and ours both have of a struct that the caller has filled in; the
 * rest is 0. Its first member is its size; ours is out_bytes, and one of less than least bytes was never
 * made. name: as in "px_how", whose initialiser is PX_HOW. PX_EINVAL: it was not initialised, or
 * sets what we do not know.
 */
int px_sized_read(void *out, size_t out_bytes, size_t least, const void *given, const char *name,
		  const char *initialiser);

/*
 * Of a struct that we are to fill, whose first member the caller has set to its size: whether it has one.
 * PX_EINVAL. name: as above.
 */
int px_sized_check(const void *wanted, const char *name);
/* Fills it with what is ours as far as it goes, and what we do not know with 0. Its size stays. */
void px_sized_write(void *wanted, const void *ours, size_t ours_bytes);

#endif
