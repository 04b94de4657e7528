/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heap.h - tunes malloc for arrays.
 *
 * Who:     an engine, once, before it serves.
 * Where:   settings of glibc's allocator, for the whole process.
 */
#ifndef PX_HEAP_H
#define PX_HEAP_H

/* Makes malloc keep freed memory for the next array instead of giving it back to the kernel. */
void px_heap_keep_warm(void);

#endif
