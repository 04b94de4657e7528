/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_processors.c - how many processors we may use: quotas on machines that are made up, and affinity.
 */
#include "tests/c/machine.h"

#include <sched.h>
#include <stdio.h>

#include "machine/processors.h"

static void quota_is_rounded_up_and_the_least_of_all_groups(void **state)
{
	(void)state;
	assert_int_equal(px_processors_quota(machine_root()), UINT32_MAX);
	machine_put_unified(100 * MIB, 0, 0);
	machine_put(MACHINE_GROUP "/cpu.max", "max 100000\n");
	assert_int_equal(px_processors_quota(machine_root()), UINT32_MAX);
	machine_put(MACHINE_PARENT "/cpu.max", "250000 100000\n");
	assert_int_equal(px_processors_quota(machine_root()), 3);
	machine_put(MACHINE_GROUP "/cpu.max", "50000 100000\n");
	assert_int_equal(px_processors_quota(machine_root()), 1);
	machine_put_container(100 * MIB, 0);
	machine_put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	machine_put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
	assert_int_equal(px_processors_quota(machine_root()), UINT32_MAX);
	machine_put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000\n");
	assert_int_equal(px_processors_quota(machine_root()), 4);
}

static void quota_of_less_than_one_is_one(void **state)
{
	(void)state;
	machine_put_unified(MIB, 0, 0);
	machine_put(MACHINE_GROUP "/cpu.max", "1 100000\n");
	assert_int_equal(px_processors_quota(machine_root()), 1);
	machine_put(MACHINE_GROUP "/cpu.max", "0 100000\n");
	assert_int_equal(px_processors_quota(machine_root()), 1);
}

static void quota_that_makes_no_sense_is_none(void **state)
{
	(void)state;
	machine_put_unified(MIB, 0, 0);
	machine_put(MACHINE_GROUP "/cpu.max", "");
	assert_int_equal(px_processors_quota(machine_root()), UINT32_MAX);
	machine_put(MACHINE_GROUP "/cpu.max", "50000 0\n");
	assert_int_equal(px_processors_quota(machine_root()), UINT32_MAX);
}

static void cores_have_several_processors(void **state)
{
	uint32_t processors = px_processors();
	char path[100];

	(void)state;
	machine_put_unified(MIB, 0, 0);
	/* Nothing is known of them. */
	assert_int_equal(px_cores(machine_root()), processors);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		snprintf(path, sizeof(path),
			 "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", i);
		machine_put(path, i < 64 ? "0-63\n" : "nonsense\n");
	}
	if (processors <= 64)
		assert_int_equal(px_cores(machine_root()), 1);
}

static void affinity_is_the_most(void **state)
{
	uint32_t before = px_processors();
	cpu_set_t all, one;
	int first = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	assert_in_range(before, 1, (uint32_t)CPU_COUNT(&all));
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(px_processors(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quota_is_rounded_up_and_the_least_of_all_groups),
		cmocka_unit_test(quota_of_less_than_one_is_one),
		cmocka_unit_test(quota_that_makes_no_sense_is_none),
		cmocka_unit_test(cores_have_several_processors),
		cmocka_unit_test(affinity_is_the_most),
	};

	return run_cases(tests, NULL, NULL);
}
