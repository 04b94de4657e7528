/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * oom.h - whether it was the kernel's OOM killer that killed a process.
 *
 * Who:     the supervisor, after a death by SIGKILL.
 * Where:   counters of the kernel below `root` (cgroup.h): the group's oom_kill, or the
 *          machine's where there is no group.
 * Blocks:  never.
 */
#ifndef PX_OOM_H
#define PX_OOM_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/cgroup.h"

struct px_oom {
	const char *root;
	struct px_cgroup group; /* looked up once, so that deaths are reported without delay */
	bool grouped;
	uint64_t seen;   /* kills counted so far */
	uint64_t unused; /* of these, the ones not yet matched with a death */
};

/* Kills before this call do not count. */
void px_oom_begin(struct px_oom *oom, const char *root);
/* Whether a kill is not yet matched with a death; if so, matches it with this death. */
bool px_oom_charge(struct px_oom *oom);

#endif
