/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * processors.c - affinity and quota.
 */
#include "machine/processors.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "machine/cgroup.h"

/* The processor time allowed in each period; false if there is no limit. */
static bool group_quota(const struct px_cgroup *group, uint64_t *quota, uint64_t *period)
{
	char path[1200];
	char text[64] = "";
	FILE *file;

	if (!group->unified)
		return px_cgroup_number(group, "cpu.cfs_quota_us", NULL, quota) &&
		       px_cgroup_number(group, "cpu.cfs_period_us", NULL, period) &&
		       *quota != UINT64_MAX && *period > 0;
	/* "150000 100000", or "max 100000" */
	snprintf(path, sizeof(path), "%s/cpu.max", group->folder);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return sscanf(text, "%" SCNu64 " %" SCNu64, quota, period) == 2 && *period > 0;
}

uint32_t px_processors_quota(const char *root)
{
	uint64_t least = UINT32_MAX, quota, period;
	struct px_cgroup group;

	if (!px_cgroup_find(root, "cpu", &group))
		return UINT32_MAX;
	do {
		if (!group_quota(&group, &quota, &period))
			continue;
		quota = (quota + period - 1) / period;
		if (quota < least)
			least = quota;
	} while (px_cgroup_up(&group));
	return least ? (uint32_t)least : 1;
}

static uint32_t allowed(void)
{
	/* A set of 1,024 is too small for the largest machines: EINVAL says so. */
	for (int most = 1024; most <= 65536; most *= 4) {
		size_t bytes = CPU_ALLOC_SIZE(most);
		cpu_set_t *set = CPU_ALLOC(most);
		int count = 0;

		if (!set)
			return 1;
		if (sched_getaffinity(0, bytes, set) == 0)
			count = CPU_COUNT_S(bytes, set);
		CPU_FREE(set);
		if (count > 0)
			return (uint32_t)count;
	}
	return 1;
}

uint32_t px_processors(void)
{
	uint32_t quota = px_processors_quota(""), count = allowed();

	return quota < count ? quota : count;
}
