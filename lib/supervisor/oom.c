/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * oom.c - counts the kernel's kills.
 */
#include "oom.h"

#include "cgroup.h"

/* The group's own counter where there is one: the machine's also has the kills of others. */
static uint64_t kills(const char *root)
{
	struct px_cgroup group;
	uint64_t count = 0;

	if (px_cgroup_find(root, "memory", &group) &&
	    px_cgroup_number(&group, group.unified ? "memory.events" : "memory.oom_control",
			     "oom_kill", &count))
		return count;
	(void)px_proc_number(root, "/proc/vmstat", "oom_kill", &count);
	return count;
}

void px_oom_begin(struct px_oom *oom, const char *root)
{
	*oom = (struct px_oom){ .root = root, .seen = kills(root) };
}

bool px_oom_charge(struct px_oom *oom)
{
	uint64_t now = kills(oom->root);

	if (now > oom->seen)
		oom->unused += now - oom->seen;
	oom->seen = now;
	if (!oom->unused)
		return false;
	oom->unused--;
	return true;
}
