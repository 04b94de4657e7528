/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backoff.h - how long to wait before a process that died is started again.
 *
 * Not at all the first time, then 50 ms, doubling up to 5 s, as long as each dies within 10 s of
 * its start.
 */
#ifndef PX_BACKOFF_H
#define PX_BACKOFF_H

#include <stdint.h>

/* Counts one more death of a process that was started at started_ns; *failures is 0 at first. */
uint64_t px_backoff_ns(uint32_t *failures, uint64_t started_ns);

#endif
