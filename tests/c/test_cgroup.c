/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_cgroup.c - control groups are found, and their files read, on machines that are made up.
 */
#include "tests/c/machine.h"

#include <stdio.h>
#include <string.h>

#include "machine/cgroup.h"

/* What a group's folder is, without the root. */
static const char *place(const struct px_cgroup *group)
{
	return group->folder + strlen(machine_root());
}

static void assert_found(const char *controller, const char *folder, bool unified)
{
	struct px_cgroup group;

	assert_true(px_cgroup_find(machine_root(), controller, &group));
	assert_string_equal(place(&group), folder);
	assert_int_equal(group.unified, unified);
}

static void assert_not_found(const char *controller)
{
	struct px_cgroup group;

	assert_false(px_cgroup_find(machine_root(), controller, &group));
}

/* --- finding --- */

static void find_without_files_finds_none(void **state)
{
	(void)state;
	assert_not_found("memory");
	machine_put("/proc/self/cgroup", "0::/job\n");
	assert_not_found("memory");
	machine_put("/proc/self/mountinfo", "22 1 0:5 / /proc rw - proc proc rw\n");
	assert_not_found("memory");
}

static void find_in_garbage_finds_none(void **state)
{
	(void)state;
	machine_put("/proc/self/cgroup", "\n:\n0\n0:\nno colon at all\n");
	machine_put("/proc/self/mountinfo", "\n - \n30 23 0:26 / /x rw - \n - cgroup2\n");
	assert_not_found("memory");
}

static void find_unified_has_all_controllers(void **state)
{
	(void)state;
	machine_put_unified(MIB, 0, 0);
	assert_found("memory", MACHINE_GROUP, true);
	assert_found("cpu", MACHINE_GROUP, true);
	machine_put("/proc/self/cgroup", "7::/wrong\n1:name=systemd:/wrong\n0::/user.slice/job\n");
	assert_found("memory", MACHINE_GROUP, true);
}

static void find_version_1_goes_before_unified(void **state)
{
	(void)state;
	machine_put("/proc/self/cgroup", "3:memory:/old\n0::/new\n");
	machine_put("/proc/self/mountinfo",
		    "39 1 0:29 / /wrong rw - tmpfs cgroup rw,memory\n"
		    "41 39 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		    "40 39 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
	assert_found("memory", "/sys/fs/cgroup/memory/old", false);
	assert_found("cpu", "/sys/fs/cgroup/unified/new", true);
}

static void find_compares_whole_names(void **state)
{
	(void)state;
	machine_put("/proc/self/cgroup", "5:cpuset:/wrong\n4:rdma,cpu,cpuacct:/right\n");
	machine_put("/proc/self/mountinfo",
		    "40 39 0:30 / /mnt/cpuset rw - cgroup cgroup rw,cpuset\n"
		    "41 39 0:31 / /mnt/cpu rw - cgroup cgroup rw,rdma,cpu,cpuacct\n");
	assert_found("cpu", "/mnt/cpu/right", false);
	assert_found("cpuacct", "/mnt/cpu/right", false);
	assert_not_found("acct");
}

static void find_in_container_begins_at_its_mount(void **state)
{
	(void)state;
	machine_put("/proc/self/cgroup", "0::/docker/abc/inner\n");
	machine_put("/proc/self/mountinfo",
		    "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
	assert_found("memory", "/sys/fs/cgroup/inner", true);
	machine_put("/proc/self/cgroup", "0::/docker/abc\n");
	assert_found("memory", "/sys/fs/cgroup", true);
}

static void find_path_outside_of_mount_takes_its_top(void **state)
{
	(void)state;
	machine_put("/proc/self/mountinfo",
		    "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
	machine_put("/proc/self/cgroup", "0::/elsewhere\n");
	assert_found("memory", "/sys/fs/cgroup", true);
	/* The beginning of a name is not a parent. */
	machine_put("/proc/self/cgroup", "0::/docker/abcdef\n");
	assert_found("memory", "/sys/fs/cgroup", true);
}

static void find_root_group_is_the_mount(void **state)
{
	(void)state;
	machine_put("/proc/self/cgroup", "0::/\n");
	machine_put("/proc/self/mountinfo",
		    "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
	assert_found("memory", "/sys/fs/cgroup", true);
}

static void find_path_too_long_is_not_cut(void **state)
{
	char line[700] = "0::/";

	(void)state;
	memset(line + 4, 'x', 600);
	strcpy(line + 604, "\n");
	machine_put("/proc/self/cgroup", line);
	machine_put("/proc/self/mountinfo",
		    "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
	assert_not_found("memory");
}

static void up_ends_at_the_top_of_the_mount(void **state)
{
	struct px_cgroup group;

	(void)state;
	machine_put_unified(MIB, 0, 0);
	assert_true(px_cgroup_find(machine_root(), "memory", &group));
	assert_true(px_cgroup_up(&group));
	assert_string_equal(place(&group), MACHINE_PARENT);
	assert_true(px_cgroup_up(&group));
	assert_string_equal(place(&group), "/sys/fs/cgroup");
	assert_false(px_cgroup_up(&group));
	assert_string_equal(place(&group), "/sys/fs/cgroup");
}

/* --- numbers --- */

static uint64_t number(const char *text, const char *key)
{
	uint64_t found = 77;

	machine_put("/proc/some", text);
	assert_true(px_proc_number(machine_root(), "/proc/some", key, &found));
	return found;
}

static void assert_no_number(const char *text, const char *key)
{
	uint64_t found = 77;

	machine_put("/proc/some", text);
	assert_false(px_proc_number(machine_root(), "/proc/some", key, &found));
}

static void number_first_is_read(void **state)
{
	(void)state;
	assert_int_equal(number("42\n43\n", NULL), 42);
	assert_int_equal(number("18446744073709551615", NULL), UINT64_MAX);
	assert_int_equal(number("max\n", NULL), UINT64_MAX);
	assert_int_equal(number("-1\n", NULL), UINT64_MAX);
	assert_int_equal(number("0\n", NULL), 0);
}

static void number_behind_a_key_is_read(void **state)
{
	(void)state;
	assert_int_equal(number("oom 1\noom_kill 2\noom_kill_group 3\n", "oom_kill"), 2);
	assert_int_equal(number("MemFree:  1 kB\nMemAvailable:\t  9 kB\n", "MemAvailable:"), 9);
	assert_int_equal(number("xoom 5\noom max\n", "oom"), UINT64_MAX);
}

static void number_that_is_not_there_says_so(void **state)
{
	uint64_t found;

	(void)state;
	assert_no_number("", NULL);
	assert_no_number("words\n", NULL);
	assert_no_number("oom_kill 2\n", "oom");
	assert_no_number("a 1\n", "b");
	assert_false(px_proc_number(machine_root(), "/proc/other", NULL, &found));
}

static void number_of_a_group_is_in_its_folder(void **state)
{
	struct px_cgroup group;
	uint64_t found;

	(void)state;
	machine_put_unified(5 * MIB, 3, 0);
	assert_true(px_cgroup_find(machine_root(), "memory", &group));
	assert_true(px_cgroup_number(&group, "memory.max", NULL, &found));
	assert_int_equal(found, 5 * MIB);
	assert_true(px_cgroup_up(&group));
	assert_true(px_cgroup_number(&group, "memory.max", NULL, &found));
	assert_int_equal(found, UINT64_MAX);
	assert_false(px_cgroup_number(&group, "cpu.max", NULL, &found));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(find_without_files_finds_none),
		cmocka_unit_test(find_in_garbage_finds_none),
		cmocka_unit_test(find_unified_has_all_controllers),
		cmocka_unit_test(find_version_1_goes_before_unified),
		cmocka_unit_test(find_compares_whole_names),
		cmocka_unit_test(find_in_container_begins_at_its_mount),
		cmocka_unit_test(find_path_outside_of_mount_takes_its_top),
		cmocka_unit_test(find_root_group_is_the_mount),
		cmocka_unit_test(find_path_too_long_is_not_cut),
		cmocka_unit_test(up_ends_at_the_top_of_the_mount),
		cmocka_unit_test(number_first_is_read),
		cmocka_unit_test(number_behind_a_key_is_read),
		cmocka_unit_test(number_that_is_not_there_says_so),
		cmocka_unit_test(number_of_a_group_is_in_its_folder),
	};

	return run_cases(tests, NULL, NULL);
}
