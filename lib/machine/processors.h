/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * processors.h - how many processors this process may use.
 *
 * Who:     anyone; no state.
 * Where:   the affinity mask, and control groups (cgroup.h).
 * Blocks:  never.
 */
#ifndef PX_PROCESSORS_H
#define PX_PROCESSORS_H

#include <stdint.h>

/* Those we may run on (sched_getaffinity), or fewer if a control group allots less time; >= 1. */
uint32_t px_processors(void);
/* The cores that these belong to; >= 1. `root` stands before /sys (cgroup.h). */
uint32_t px_cores(const char *root);
/* What the control groups below `root` (cgroup.h) allot, rounded up; UINT32_MAX if no limit. */
uint32_t px_processors_quota(const char *root);

#endif
