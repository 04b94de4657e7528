/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * budget.h - how much memory arrays may still take, and what sets the limit.
 *
 * Who:     the supervisor, before it hands out an extent.
 * Where:   files of the kernel below `root` (cgroup.h).
 * Blocks:  never; some 50 microseconds.
 *
 * Shared memory is charged to the control group, and exceeding the group's limit ends in the OOM
 * killer, not in an error: so the limit is checked before.
 */
#ifndef PX_BUDGET_H
#define PX_BUDGET_H

#include <stdint.h>

enum px_budget_limit { PX_LIMIT_ARENA, PX_LIMIT_MACHINE, PX_LIMIT_CGROUP, PX_LIMIT_MOUNT };

struct px_budget {
	enum px_budget_limit limit; /* which of them is the smallest */
	uint64_t have, of;          /* bytes that are left, and in all */
	char group[256];            /* the limiting group's folder, for PX_LIMIT_CGROUP */
};

/* Starts with the arena's own count. */
void px_budget_begin(struct px_budget *budget, uint64_t have, uint64_t of);
/* Lowers it to a mount's free space. */
void px_budget_mount(struct px_budget *budget, uint64_t have, uint64_t of);
/* Lowers it to the machine's and the control groups'; promised: granted but not yet taken. */
void px_budget_memory(struct px_budget *budget, const char *root, uint64_t promised);
/* PX_ENOMEM in words: need, have, where the limit comes from, which setting changes it. */
int px_budget_refuse(const struct px_budget *budget, uint64_t need);

#endif
