/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * oom.c - counts the kernel's kills.
 */
#include "machine/oom.h"

/* The group's own counter where there is one: the machine's counts kills in other groups, too. */
static uint64_t kills(const struct px_oom *oom)
{
	const char *file = oom->group.unified ? "memory.events" : "memory.oom_control";
	uint64_t count = 0;

	if (oom->grouped && px_cgroup_number(&oom->group, file, "oom_kill", &count))
		return count;
	(void)px_proc_number(oom->root, "/proc/vmstat", "oom_kill", &count);
	return count;
}

void px_oom_begin(struct px_oom *oom, const char *root)
{
	*oom = (struct px_oom){ .root = root };
	oom->grouped = px_cgroup_find(root, "memory", &oom->group);
	oom->seen = kills(oom);
}

bool px_oom_charge(struct px_oom *oom)
{
	uint64_t now = kills(oom);

	if (now > oom->seen)
		oom->unused += now - oom->seen;
	oom->seen = now;
	if (!oom->unused)
		return false;
	oom->unused--;
	return true;
}
