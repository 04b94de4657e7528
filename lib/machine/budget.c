/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * budget.c - the smallest of the limits.
 */
#include "machine/budget.h"

#include <stdio.h>

#include "machine/cgroup.h"
#include "shm/error.h"

/*
 * Kept free in a group for everything that is not an array: page tables, private memory, memory
 * of the kernel. With nothing left, the next malloc would bring the OOM killer.
 */
#define GROUP_RESERVE_PART 32
#define GROUP_RESERVE_MAX (UINT64_C(64) << 20)

static void lower(struct px_budget *budget, enum px_budget_limit limit, uint64_t have, uint64_t of)
{
	if (have >= budget->have)
		return;
	budget->limit = limit;
	budget->have = have;
	budget->of = of;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

void px_budget_begin(struct px_budget *budget, uint64_t have, uint64_t of)
{
	*budget = (struct px_budget){ .limit = PX_LIMIT_ARENA, .have = have, .of = of };
}

void px_budget_mount(struct px_budget *budget, uint64_t have, uint64_t of)
{
	lower(budget, PX_LIMIT_MOUNT, have, of);
}

/* A group's limit and what is left of it; page cache that can be dropped does not count as used. */
static bool group_room(const struct px_cgroup *group, uint64_t *have, uint64_t *limit)
{
	bool two = group->unified;
	uint64_t used, cache = 0, reserve;

	if (!px_cgroup_number(group, two ? "memory.max" : "memory.limit_in_bytes", NULL, limit) ||
	    !px_cgroup_number(group, two ? "memory.current" : "memory.usage_in_bytes", NULL, &used))
		return false;
	/* Version 1 spells no limit as the largest number of pages. */
	if (*limit >= UINT64_C(1) << 62)
		return false;
	(void)px_cgroup_number(group, "memory.stat", two ? "inactive_file" : "total_inactive_file",
			       &cache);
	reserve = *limit / GROUP_RESERVE_PART;
	if (reserve > GROUP_RESERVE_MAX)
		reserve = GROUP_RESERVE_MAX;
	*have = minus(*limit, minus(used, cache) + reserve);
	return true;
}

void px_budget_memory(struct px_budget *budget, const char *root, uint64_t promised)
{
	uint64_t have, of = 0;
	struct px_cgroup group;

	if (px_proc_number(root, "/proc/meminfo", "MemAvailable:", &have)) {
		(void)px_proc_number(root, "/proc/meminfo", "MemTotal:", &of);
		lower(budget, PX_LIMIT_MACHINE, minus(have << 10, promised), of << 10);
	}
	if (!px_cgroup_find(root, "memory", &group))
		return;
	do {
		if (!group_room(&group, &have, &of))
			continue;
		have = minus(have, promised);
		if (have < budget->have)
			snprintf(budget->group, sizeof(budget->group), "%.*s",
				 (int)sizeof(budget->group) - 1, group.folder);
		lower(budget, PX_LIMIT_CGROUP, have, of);
	} while (px_cgroup_up(&group));
}

/* --- refusing --- */

struct amount {
	char words[32];
};

static struct amount amount(uint64_t bytes)
{
	struct amount out;

	if (bytes < 10 << 20)
		snprintf(out.words, sizeof(out.words), "%.3g MiB", (double)bytes / (1 << 20));
	else
		snprintf(out.words, sizeof(out.words), "%llu MiB",
			 (unsigned long long)(bytes >> 20));
	return out;
}

int px_budget_refuse(const struct px_budget *budget, uint64_t need)
{
	struct amount n = amount(need), have = amount(budget->have), of = amount(budget->of);

	switch (budget->limit) {
	case PX_LIMIT_MACHINE:
		return px_fail(PX_ENOMEM,
			       "needs %s, and %s of the machine's %s are available: end other "
			       "programs, or keep fewer arrays",
			       n.words, have.words, of.words);
	case PX_LIMIT_CGROUP:
		return px_fail(PX_ENOMEM,
			       "needs %s, and the control group %s has %s free of %s: raise its "
			       "memory limit (docker: --memory; systemd: MemoryMax=)",
			       n.words, budget->group, have.words, of.words);
	case PX_LIMIT_MOUNT:
		return px_fail(PX_ENOMEM,
			       "needs %s, and /dev/shm has %s free of %s: free it, or mount it "
			       "larger (docker: --shm-size)",
			       n.words, have.words, of.words);
	case PX_LIMIT_ARENA:
		break;
	}
	return px_fail(PX_ENOMEM,
		       "needs %s, and the arena has %s free of %s: raise arena: in the profile, or "
		       "start the pool with --arena (C: arena_bytes)",
		       n.words, have.words, of.words);
}
