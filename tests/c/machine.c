/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine.c - writes files as the kernel does.
 */
#include "tests/c/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

const char *machine_root(void)
{
	return case_folder();
}

void machine_put(const char *path, const char *text)
{
	char name[512];
	FILE *file;

	snprintf(name, sizeof(name), "%s%s", machine_root(), path);
	for (char *slash = strchr(name + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(name, 0700);
		*slash = '/';
	}
	file = fopen(name, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

void machine_put_number(const char *path, uint64_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)number);
	machine_put(path, text);
}

void machine_put_memory(uint64_t available)
{
	char text[128];

	snprintf(text, sizeof(text), "MemTotal: %llu kB\nMemFree: 1 kB\nMemAvailable: %llu kB\n",
		 (unsigned long long)(64 * 1024 * MIB >> 10),
		 (unsigned long long)(available >> 10));
	machine_put("/proc/meminfo", text);
}

void machine_put_unified(uint64_t limit, uint64_t used, uint64_t cache)
{
	char text[64];

	machine_put("/proc/self/cgroup", "0::/user.slice/job\n");
	machine_put("/proc/self/mountinfo",
		    "22 1 0:5 / /proc rw - proc proc rw\n"
		    "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
	machine_put_number(MACHINE_GROUP "/memory.max", limit);
	machine_put_number(MACHINE_GROUP "/memory.current", used);
	snprintf(text, sizeof(text), "anon 1\ninactive_file %llu\nactive_file 7\n",
		 (unsigned long long)cache);
	machine_put(MACHINE_GROUP "/memory.stat", text);
	machine_put(MACHINE_PARENT "/memory.max", "max\n");
	machine_put_number(MACHINE_PARENT "/memory.current", used);
}

void machine_put_container(uint64_t limit, uint64_t used)
{
	machine_put("/proc/self/cgroup",
		    "11:cpu,cpuacct:/docker/abc\n9:memory:/docker/abc\n0::/docker/abc\n");
	machine_put("/proc/self/mountinfo",
		    "40 39 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
		    "41 39 0:31 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n"
		    "42 39 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	machine_put_number("/sys/fs/cgroup/memory/memory.limit_in_bytes", limit);
	machine_put_number("/sys/fs/cgroup/memory/memory.usage_in_bytes", used);
	machine_put("/sys/fs/cgroup/memory/memory.stat",
		    "inactive_file 1\ntotal_inactive_file 0\n");
}
