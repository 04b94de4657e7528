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

/* The first processor of the core that one belongs to; itself, if that is not known. */
static int core_of(const char *root, int processor)
{
	char path[512];
	int first = processor;
	FILE *file;

	snprintf(path, sizeof(path),
		 "%s/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", root, processor);
	file = fopen(path, "re");
	if (!file)
		return processor;
	/* "0,4", or "0-1" */
	if (fscanf(file, "%d", &first) != 1 || first < 0 || first >= CPU_SETSIZE)
		first = processor;
	fclose(file);
	return first;
}

uint32_t px_cores(const char *root)
{
	uint32_t processors = px_processors(), count;
	cpu_set_t may, cores;

	CPU_ZERO(&cores);
	if (sched_getaffinity(0, sizeof(may), &may) < 0)
		return processors;
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &may))
			CPU_SET(core_of(root, i), &cores);
	count = (uint32_t)CPU_COUNT(&cores);
	return count < processors ? count : processors;
}

uint32_t px_processors(void)
{
	uint32_t quota = px_processors_quota(""), count = allowed();

	return quota < count ? quota : count;
}
