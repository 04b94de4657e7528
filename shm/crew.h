/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crew.h - does a long piece of work with as many threads as there are idle processors.
 *
 * Who:     any thread; the work is done by it, and by threads that end before the call returns.
 * Where:   private memory; the work says where its own is.
 * Blocks:  until all is done. A helper that loses its processor to somebody else holds its caller up, by
 *          one piece.
 * Death:   as of a thread that did it alone.
 *
 * For memory, of which one thread cannot use all the speed that there is. Measured in a virtual machine with
 * two cores (Xeon, 2.5 GHz), 256 MiB, ms, alone and with one helper:
 *   first touch of small pages, by MADV_POPULATE_WRITE   119   74
 *   first touch of huge pages                             49   30
 *   copy into pages that are there                        51   28
 */
#ifndef PX_CREW_H
#define PX_CREW_H

#include <stdint.h>

/* Whole huge pages; taking a piece costs nothing beside it, and at the end nobody waits for more than one. */
#define PX_CREW_PIECE_BYTES (UINT64_C(2) << 20)

/* Does the bytes from `from` on, in any thread and any order; 0, or a negative number. */
typedef int (*px_crew_work)(void *ctx, uint64_t from, uint64_t bytes);

/*
 * Has all bytes from 0 on done. 0, or what the work returned when it first failed; then some of them may not
 * have been done. Errors that have words (error.h) belong into the caller's thread: the work makes none.
 */
int px_crew_run(px_crew_work work, void *ctx, uint64_t bytes);

#endif
