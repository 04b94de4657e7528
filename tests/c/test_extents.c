/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_extents.c - who owns which unit of the arena, and the machine's limits (budget.c, oom.c,
 * processors.c), on made-up machines: /proc and /sys in a folder of the test.
 */
#include "tests/c/case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine/budget.h"
#include "machine/cgroup.h"
#include "machine/oom.h"
#include "machine/processors.h"
#include "shm/error.h"
#include "supervisor/extents.h"

#define MIB (UINT64_C(1) << 20)
#define UNITS 8

static char root[64];

/* --- a machine --- */

static int setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/pxrun-test-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void put(const char *path, const char *text)
{
	char name[512];
	FILE *file;

	snprintf(name, sizeof(name), "%s%s", root, path);
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

static void put_number(const char *path, uint64_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)number);
	put(path, text);
}

static void put_memory(uint64_t available)
{
	char text[128];

	snprintf(text, sizeof(text), "MemTotal: %llu kB\nMemFree: 1 kB\nMemAvailable: %llu kB\n",
		 (unsigned long long)(64 * 1024 * MIB >> 10),
		 (unsigned long long)(available >> 10));
	put("/proc/meminfo", text);
}

#define V2 "/sys/fs/cgroup/user.slice/job"

/* Version 2: our group has a limit, its parent another. */
static void unified(uint64_t limit, uint64_t used, uint64_t cache)
{
	char text[64];

	put("/proc/self/cgroup", "0::/user.slice/job\n");
	put("/proc/self/mountinfo",
	    "22 1 0:5 / /proc rw - proc proc rw\n"
	    "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
	put_number(V2 "/memory.max", limit);
	put_number(V2 "/memory.current", used);
	snprintf(text, sizeof(text), "anon 1\ninactive_file %llu\nactive_file 7\n",
		 (unsigned long long)cache);
	put(V2 "/memory.stat", text);
	put("/sys/fs/cgroup/user.slice/memory.max", "max\n");
	put_number("/sys/fs/cgroup/user.slice/memory.current", used);
}

/* Version 1 in a container: the path is the host's, and the mount shows only a part of it. */
static void container(uint64_t limit, uint64_t used)
{
	put("/proc/self/cgroup",
	    "11:cpu,cpuacct:/docker/abc\n9:memory:/docker/abc\n0::/docker/abc\n");
	put("/proc/self/mountinfo",
	    "40 39 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
	    "41 39 0:31 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n"
	    "42 39 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	put_number("/sys/fs/cgroup/memory/memory.limit_in_bytes", limit);
	put_number("/sys/fs/cgroup/memory/memory.usage_in_bytes", used);
	put("/sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 0\n");
}

static struct px_budget measure(uint64_t arena, uint64_t promised)
{
	struct px_budget budget;

	px_budget_begin(&budget, arena, arena);
	px_budget_memory(&budget, root, promised);
	return budget;
}

static void assert_words(const char *needle)
{
	if (!strstr(px_last_error(), needle))
		fail_msg("'%s' is not in '%s'", needle, px_last_error());
}

/* --- limits --- */

static void budget_without_any_files_is_the_arena(void **state)
{
	struct px_budget budget = measure(100 * MIB, 0);

	(void)state;
	assert_int_equal(budget.limit, PX_LIMIT_ARENA);
	assert_int_equal(budget.have, 100 * MIB);
	assert_int_equal(px_budget_refuse(&budget, 200 * MIB), PX_ENOMEM);
	assert_words("needs 200 MiB");
	assert_words("has 100 MiB free of 100 MiB");
	assert_words("arena:");
	assert_words("--arena");
}

static void budget_of_a_full_machine_names_it(void **state)
{
	struct px_budget budget;

	(void)state;
	put_memory(30 * MIB);
	budget = measure(100 * MIB, 0);
	assert_int_equal(budget.limit, PX_LIMIT_MACHINE);
	assert_int_equal(budget.have, 30 * MIB);
	/* What was granted and is not reserved yet counts as used. */
	assert_int_equal(measure(100 * MIB, 10 * MIB).have, 20 * MIB);
	assert_int_equal(measure(100 * MIB, 1000 * MIB).have, 0);
	assert_int_equal(px_budget_refuse(&budget, 64 * MIB), PX_ENOMEM);
	assert_words("needs 64 MiB, and 30 MiB of the machine's 65536 MiB are available");
}

static void budget_in_a_unified_group_drops_its_cache(void **state)
{
	struct px_budget budget;

	(void)state;
	put_memory(10000 * MIB);
	unified(320 * MIB, 200 * MIB, 50 * MIB);
	budget = measure(1000 * MIB, 0);
	assert_int_equal(budget.limit, PX_LIMIT_CGROUP);
	/* 320 - (200 - 50), and a 32nd of the limit is kept for the rest. */
	assert_int_equal(budget.have, 160 * MIB);
	assert_int_equal(px_budget_refuse(&budget, 161 * MIB), PX_ENOMEM);
	assert_words(V2);
	assert_words("has 160 MiB free of 320 MiB");
	assert_words("--memory");
}

static void budget_in_a_group_over_its_limit_is_nothing(void **state)
{
	(void)state;
	unified(100 * MIB, 200 * MIB, 0);
	assert_int_equal(measure(1000 * MIB, 0).have, 0);
}

static void budget_looks_at_the_parent_group(void **state)
{
	struct px_budget budget;

	(void)state;
	unified(UINT64_MAX, 100 * MIB, 0);
	put(V2 "/memory.max", "max\n");
	put_number("/sys/fs/cgroup/user.slice/memory.max", 132 * MIB);
	budget = measure(1000 * MIB, 0);
	assert_int_equal(budget.limit, PX_LIMIT_CGROUP);
	assert_int_equal(budget.have, 32 * MIB - 132 * MIB / 32);
	assert_int_equal(budget.of, 132 * MIB);
	(void)px_budget_refuse(&budget, 1000 * MIB);
	assert_words("/sys/fs/cgroup/user.slice has");
}

static void budget_in_a_container_of_version_1(void **state)
{
	struct px_budget budget;

	(void)state;
	container(512 * MIB, 100 * MIB);
	budget = measure(1000 * MIB, 0);
	assert_int_equal(budget.limit, PX_LIMIT_CGROUP);
	assert_int_equal(budget.have, (512 - 100 - 16) * MIB);
	/* A very large number means no limit. */
	container(UINT64_C(9223372036854771712), 100 * MIB);
	assert_int_equal(measure(1000 * MIB, 0).limit, PX_LIMIT_ARENA);
}

static void budget_of_a_small_mount_names_it(void **state)
{
	struct px_budget budget = measure(1000 * MIB, 0);

	(void)state;
	px_budget_mount(&budget, 3 * MIB, 64 * MIB);
	assert_int_equal(budget.limit, PX_LIMIT_MOUNT);
	(void)px_budget_refuse(&budget, 4 * MIB);
	assert_words("needs 4 MiB, and /dev/shm has 3 MiB free of 64 MiB");
	assert_words("--shm-size");
}

static void default_is_half_of_what_is_available(void **state)
{
	(void)state;
	put_memory(4096 * MIB);
	assert_int_equal(px_extents_default_bytes(root), 2048 * MIB);
	container(512 * MIB, 112 * MIB);
	assert_int_equal(px_extents_default_bytes(root), 192 * MIB);
	put_memory(0);
	assert_int_equal(px_extents_default_bytes(root), PX_UNIT_BYTES);
}

/* --- the ledger --- */

struct arena {
	struct px_extents extents;
	uint64_t base;
};

static struct arena make_arena(void)
{
	struct arena a = { .extents.root = root };

	put_memory(10000 * MIB);
	assert_int_equal(px_segment_create(UNITS * (uint64_t)PX_UNIT_BYTES, false,
					   &a.extents.segment),
			 0);
	a.base = a.extents.segment->arena_offset;
	return a;
}

static uint64_t get(struct arena *a, uint32_t owner, uint64_t units)
{
	uint64_t offset, got;

	assert_int_equal(px_extents_get(&a->extents, owner, units * PX_UNIT_BYTES, &offset, &got),
			 0);
	assert_int_equal(got, units * PX_UNIT_BYTES);
	return (offset - a->base) / PX_UNIT_BYTES;
}

static int give(struct arena *a, uint32_t owner, uint64_t unit, uint64_t units)
{
	return px_extents_put(&a->extents, owner, a->base + unit * PX_UNIT_BYTES,
			      units * PX_UNIT_BYTES);
}

static void get_takes_the_lowest_that_fits(void **state)
{
	struct arena a = make_arena();

	(void)state;
	assert_int_equal(get(&a, 3, 2), 0);
	assert_int_equal(get(&a, 4, 3), 2);
	assert_int_equal(get(&a, 3, 1), 5);
	assert_int_equal(give(&a, 3, 0, 2), 0);
	assert_int_equal(get(&a, 5, 1), 0);
	assert_int_equal(get(&a, 5, 2), 6);
	assert_int_equal(get(&a, 5, 1), 1);
	px_segment_detach(a.extents.segment);
}

static void get_rounds_up_to_units(void **state)
{
	struct arena a = make_arena();
	uint64_t offset, got;

	(void)state;
	assert_int_equal(px_extents_get(&a.extents, 1, 1, &offset, &got), 0);
	assert_int_equal(got, PX_UNIT_BYTES);
	assert_int_equal(px_extents_get(&a.extents, 1, PX_UNIT_BYTES + 1, &offset, &got), 0);
	assert_int_equal(got, 2 * PX_UNIT_BYTES);
	assert_int_equal(px_extents_used(&a.extents, NULL), 3 * PX_UNIT_BYTES);
	px_segment_detach(a.extents.segment);
}

static void get_more_than_there_is_says_so(void **state)
{
	struct arena a = make_arena();
	uint64_t offset = 77, got = 77;

	(void)state;
	assert_int_equal(px_extents_get(&a.extents, 1, 0, &offset, &got), PX_EINVAL);
	assert_int_equal(px_extents_get(&a.extents, 1, UINT64_MAX, &offset, &got), PX_ENOMEM);
	assert_int_equal(px_extents_get(&a.extents, 1, (UNITS + 1) * (uint64_t)PX_UNIT_BYTES,
					&offset, &got),
			 PX_ENOMEM);
	assert_words("the arena has");
	put_memory(PX_UNIT_BYTES);
	assert_int_equal(px_extents_get(&a.extents, 1, 2 * PX_UNIT_BYTES, &offset, &got),
			 PX_ENOMEM);
	assert_words("the machine's");
	assert_int_equal(offset, 77);
	assert_int_equal(got, 77);
	assert_int_equal(px_extents_used(&a.extents, NULL), 0);
	px_segment_detach(a.extents.segment);
}

static void get_from_pieces_names_the_largest(void **state)
{
	struct arena a = make_arena();
	uint64_t offset, got;

	(void)state;
	get(&a, 1, UNITS);
	assert_int_equal(give(&a, 1, 0, 1), 0);
	assert_int_equal(give(&a, 1, 3, 1), 0);
	assert_int_equal(px_extents_get(&a.extents, 1, 2 * PX_UNIT_BYTES, &offset, &got),
			 PX_ENOMEM);
	assert_words("in one piece");
	px_segment_detach(a.extents.segment);
}

static void put_of_what_is_not_ones_own_takes_nothing(void **state)
{
	struct arena a = make_arena();

	(void)state;
	get(&a, 1, 2);
	get(&a, 2, 2);
	assert_int_equal(give(&a, 1, 2, 1), PX_EINVAL);
	assert_int_equal(give(&a, 1, 1, 2), PX_EINVAL);
	assert_int_equal(give(&a, 1, 7, 1), PX_EINVAL);
	assert_int_equal(give(&a, 1, 0, 0), PX_EINVAL);
	assert_int_equal(px_extents_put(&a.extents, 1, a.base + 64, PX_UNIT_BYTES), PX_EINVAL);
	assert_int_equal(px_extents_put(&a.extents, 1, a.base, PX_UNIT_BYTES - 64), PX_EINVAL);
	assert_int_equal(px_extents_put(&a.extents, 1, 0, PX_UNIT_BYTES), PX_EINVAL);
	assert_int_equal(px_extents_put(&a.extents, 1, a.base, UINT64_MAX - 4095), PX_EINVAL);
	assert_int_equal(px_extents_put(&a.extents, 1, UINT64_MAX - 4095, 8192), PX_EINVAL);
	assert_int_equal(px_extents_used(&a.extents, NULL), 4 * PX_UNIT_BYTES);
	px_segment_detach(a.extents.segment);
}

static void used_is_counted_by_member(void **state)
{
	uint64_t by_slot[PX_MEMBERS_MAX] = { 0 };
	struct arena a = make_arena();

	(void)state;
	get(&a, 1, 2);
	get(&a, 1023, 3);
	assert_int_equal(px_extents_used(&a.extents, by_slot), 5 * PX_UNIT_BYTES);
	assert_int_equal(by_slot[1], 2 * PX_UNIT_BYTES);
	assert_int_equal(by_slot[1023], 3 * PX_UNIT_BYTES);
	px_segment_detach(a.extents.segment);
}

static void granted_and_not_reserved_counts_as_used(void **state)
{
	struct arena a = make_arena();
	uint64_t head, owed;
	struct px_budget budget;
	struct stat st;

	(void)state;
	assert_int_equal(fstat(a.extents.segment->fd, &st), 0);
	head = (uint64_t)st.st_blocks * 512;
	get(&a, 1, UNITS - 1);
	owed = (UNITS - 1) * (uint64_t)PX_UNIT_BYTES;
	owed = owed > head ? owed - head : 0;
	put_memory(owed);
	px_extents_budget(&a.extents, &budget);
	/* The arena has a unit left, but the machine's memory is promised to others. */
	assert_int_equal(budget.limit, PX_LIMIT_MACHINE);
	assert_int_equal(budget.have, 0);
	px_segment_detach(a.extents.segment);
}

/* --- the OOM killer's count, and processors --- */

static void oom_kills_are_charged_one_by_one(void **state)
{
	struct px_oom oom;

	(void)state;
	unified(100 * MIB, 0, 0);
	put(V2 "/memory.events", "low 0\nhigh 0\nmax 3\noom 3\noom_kill 2\n");
	put("/proc/vmstat", "nr_free_pages 1\noom_kill 40\n");
	px_oom_begin(&oom, root);
	assert_false(px_oom_charge(&oom));
	/* A kill in another group is counted by the machine, and not for us. */
	put("/proc/vmstat", "nr_free_pages 1\noom_kill 41\n");
	assert_false(px_oom_charge(&oom));
	put(V2 "/memory.events", "oom 9\noom_kill 4\n");
	assert_true(px_oom_charge(&oom));
	assert_true(px_oom_charge(&oom));
	assert_false(px_oom_charge(&oom));
}

static void oom_kills_of_version_1_and_of_no_group(void **state)
{
	struct px_oom oom;

	(void)state;
	put("/proc/vmstat", "oom_kill 1\n");
	px_oom_begin(&oom, root);
	put("/proc/vmstat", "oom_kill 2\n");
	assert_true(px_oom_charge(&oom));
	container(100 * MIB, 0);
	put("/sys/fs/cgroup/memory/memory.oom_control",
	    "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
	px_oom_begin(&oom, root);
	assert_false(px_oom_charge(&oom));
	put("/sys/fs/cgroup/memory/memory.oom_control",
	    "oom_kill_disable 0\nunder_oom 0\noom_kill 6\n");
	assert_true(px_oom_charge(&oom));
}

static void processors_follow_the_quota(void **state)
{
	(void)state;
	assert_int_equal(px_processors_quota(root), UINT32_MAX);
	unified(100 * MIB, 0, 0);
	put(V2 "/cpu.max", "max 100000\n");
	assert_int_equal(px_processors_quota(root), UINT32_MAX);
	put("/sys/fs/cgroup/user.slice/cpu.max", "250000 100000\n");
	assert_int_equal(px_processors_quota(root), 3);
	put(V2 "/cpu.max", "50000 100000\n");
	assert_int_equal(px_processors_quota(root), 1);
	container(100 * MIB, 0);
	put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
	assert_int_equal(px_processors_quota(root), UINT32_MAX);
	put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000\n");
	assert_int_equal(px_processors_quota(root), 4);
	assert_true(px_processors() >= 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		CASE(budget_without_any_files_is_the_arena),
		CASE(budget_of_a_full_machine_names_it),
		CASE(budget_in_a_unified_group_drops_its_cache),
		CASE(budget_in_a_group_over_its_limit_is_nothing),
		CASE(budget_looks_at_the_parent_group),
		CASE(budget_in_a_container_of_version_1),
		CASE(budget_of_a_small_mount_names_it),
		CASE(default_is_half_of_what_is_available),
		CASE(get_takes_the_lowest_that_fits),
		CASE(get_rounds_up_to_units),
		CASE(get_more_than_there_is_says_so),
		CASE(get_from_pieces_names_the_largest),
		CASE(put_of_what_is_not_ones_own_takes_nothing),
		CASE(used_is_counted_by_member),
		CASE(granted_and_not_reserved_counts_as_used),
		CASE(oom_kills_are_charged_one_by_one),
		CASE(oom_kills_of_version_1_and_of_no_group),
		CASE(processors_follow_the_quota),
	};

	return run_cases(tests, NULL, NULL);
}
