/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heap.h - how an engine's private memory is kept.
 */
#ifndef PX_HEAP_H
#define PX_HEAP_H

/* Makes malloc keep what was freed for the next array. In an engine, once. */
void px_heap_keep_warm(void);

#endif
