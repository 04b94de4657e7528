/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_oom.c - which deaths are the OOM killer's, by counters on machines that are made up.
 */
#include "tests/c/machine.h"

#include "machine/oom.h"

static void kills_are_charged_one_by_one(void **state)
{
	struct px_oom oom;

	(void)state;
	machine_put_unified(100 * MIB, 0, 0);
	machine_put(MACHINE_GROUP "/memory.events", "low 0\nhigh 0\nmax 3\noom 3\noom_kill 2\n");
	machine_put("/proc/vmstat", "nr_free_pages 1\noom_kill 40\n");
	px_oom_begin(&oom, machine_root());
	assert_false(px_oom_charge(&oom));
	/* A kill in another group is counted by the machine, and not for us. */
	machine_put("/proc/vmstat", "nr_free_pages 1\noom_kill 41\n");
	assert_false(px_oom_charge(&oom));
	machine_put(MACHINE_GROUP "/memory.events", "oom 9\noom_kill 4\n");
	assert_true(px_oom_charge(&oom));
	assert_true(px_oom_charge(&oom));
	assert_false(px_oom_charge(&oom));
}

static void kills_of_version_1_and_of_no_group(void **state)
{
	struct px_oom oom;

	(void)state;
	machine_put("/proc/vmstat", "oom_kill 1\n");
	px_oom_begin(&oom, machine_root());
	machine_put("/proc/vmstat", "oom_kill 2\n");
	assert_true(px_oom_charge(&oom));
	machine_put_container(100 * MIB, 0);
	machine_put("/sys/fs/cgroup/memory/memory.oom_control",
		    "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
	px_oom_begin(&oom, machine_root());
	assert_false(px_oom_charge(&oom));
	machine_put("/sys/fs/cgroup/memory/memory.oom_control",
		    "oom_kill_disable 0\nunder_oom 0\noom_kill 6\n");
	assert_true(px_oom_charge(&oom));
}

static void kills_of_a_counter_that_goes_back_are_none(void **state)
{
	struct px_oom oom;

	(void)state;
	machine_put("/proc/vmstat", "oom_kill 9\n");
	px_oom_begin(&oom, machine_root());
	machine_put("/proc/vmstat", "oom_kill 3\n");
	assert_false(px_oom_charge(&oom));
	machine_put("/proc/vmstat", "oom_kill 4\n");
	assert_true(px_oom_charge(&oom));
	assert_false(px_oom_charge(&oom));
}

static void kills_cannot_be_known_without_files(void **state)
{
	struct px_oom oom;

	(void)state;
	px_oom_begin(&oom, machine_root());
	assert_false(px_oom_charge(&oom));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kills_are_charged_one_by_one),
		cmocka_unit_test(kills_of_version_1_and_of_no_group),
		cmocka_unit_test(kills_of_a_counter_that_goes_back_are_none),
		cmocka_unit_test(kills_cannot_be_known_without_files),
	};

	return run_cases(tests, NULL, NULL);
}
