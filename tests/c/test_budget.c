/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_budget.c - what limits the memory of arrays, on machines that are made up.
 */
#include "tests/c/machine.h"

#include "machine/budget.h"
#include "shm/error.h"

static struct px_budget measure(uint64_t arena, uint64_t promised)
{
	struct px_budget budget;

	px_budget_begin(&budget, arena, arena);
	px_budget_memory(&budget, machine_root(), promised);
	return budget;
}

static void without_any_files_is_the_arena(void **state)
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

static void of_a_full_machine_names_it(void **state)
{
	struct px_budget budget;

	(void)state;
	machine_put_memory(30 * MIB);
	budget = measure(100 * MIB, 0);
	assert_int_equal(budget.limit, PX_LIMIT_MACHINE);
	assert_int_equal(budget.have, 30 * MIB);
	/* What was granted and is not reserved yet counts as used. */
	assert_int_equal(measure(100 * MIB, 10 * MIB).have, 20 * MIB);
	assert_int_equal(measure(100 * MIB, 1000 * MIB).have, 0);
	assert_int_equal(px_budget_refuse(&budget, 64 * MIB), PX_ENOMEM);
	assert_words("needs 64 MiB, and 30 MiB of the machine's 65536 MiB are available");
}

static void in_a_unified_group_drops_its_cache(void **state)
{
	struct px_budget budget;

	(void)state;
	machine_put_memory(10000 * MIB);
	machine_put_unified(320 * MIB, 200 * MIB, 50 * MIB);
	budget = measure(1000 * MIB, 0);
	assert_int_equal(budget.limit, PX_LIMIT_CGROUP);
	/* 320 - (200 - 50), and a 32nd of the limit is kept for the rest. */
	assert_int_equal(budget.have, 160 * MIB);
	assert_int_equal(px_budget_refuse(&budget, 161 * MIB), PX_ENOMEM);
	assert_words(MACHINE_GROUP);
	assert_words("has 160 MiB free of 320 MiB");
	assert_words("--memory");
}

static void in_a_group_over_its_limit_is_nothing(void **state)
{
	(void)state;
	machine_put_unified(100 * MIB, 200 * MIB, 0);
	assert_int_equal(measure(1000 * MIB, 0).have, 0);
}

static void looks_at_the_parent_group(void **state)
{
	struct px_budget budget;

	(void)state;
	machine_put_unified(UINT64_MAX, 100 * MIB, 0);
	machine_put(MACHINE_GROUP "/memory.max", "max\n");
	machine_put_number(MACHINE_PARENT "/memory.max", 132 * MIB);
	budget = measure(1000 * MIB, 0);
	assert_int_equal(budget.limit, PX_LIMIT_CGROUP);
	assert_int_equal(budget.have, 32 * MIB - 132 * MIB / 32);
	assert_int_equal(budget.of, 132 * MIB);
	(void)px_budget_refuse(&budget, 1000 * MIB);
	assert_words("/sys/fs/cgroup/user.slice has");
}

static void in_a_container_of_version_1(void **state)
{
	struct px_budget budget;

	(void)state;
	machine_put_container(512 * MIB, 100 * MIB);
	budget = measure(1000 * MIB, 0);
	assert_int_equal(budget.limit, PX_LIMIT_CGROUP);
	assert_int_equal(budget.have, (512 - 100 - 16) * MIB);
	/* A very large number means no limit. */
	machine_put_container(UINT64_C(9223372036854771712), 100 * MIB);
	assert_int_equal(measure(1000 * MIB, 0).limit, PX_LIMIT_ARENA);
}

static void of_a_small_mount_names_it(void **state)
{
	struct px_budget budget = measure(1000 * MIB, 0);

	(void)state;
	px_budget_mount(&budget, 3 * MIB, 64 * MIB);
	assert_int_equal(budget.limit, PX_LIMIT_MOUNT);
	(void)px_budget_refuse(&budget, 4 * MIB);
	assert_words("needs 4 MiB, and /dev/shm has 3 MiB free of 64 MiB");
	assert_words("--shm-size");
}

static void group_keeps_no_more_than_64_mib_for_the_rest(void **state)
{
	(void)state;
	machine_put_unified(8192 * MIB, 0, 0);
	assert_int_equal(measure(100000 * MIB, 0).have, (8192 - 64) * MIB);
}

static void promised_to_others_is_not_had_in_a_group(void **state)
{
	(void)state;
	machine_put_unified(320 * MIB, 100 * MIB, 0);
	assert_int_equal(measure(1000 * MIB, 50 * MIB).have, (320 - 10 - 100 - 50) * MIB);
	assert_int_equal(measure(1000 * MIB, 500 * MIB).have, 0);
}

static void larger_limits_change_nothing(void **state)
{
	struct px_budget budget;

	(void)state;
	machine_put_memory(100 * MIB);
	machine_put_unified(5000 * MIB, 0, 0);
	budget = measure(100 * MIB, 0);
	px_budget_mount(&budget, 100 * MIB, 101 * MIB);
	assert_int_equal(budget.limit, PX_LIMIT_ARENA);
	assert_int_equal(budget.have, 100 * MIB);
	assert_int_equal(budget.of, 100 * MIB);
}

static void small_amounts_are_told_with_fractions(void **state)
{
	struct px_budget budget = measure(3 * MIB / 2, 0);

	(void)state;
	(void)px_budget_refuse(&budget, 10 * MIB);
	assert_words("needs 10 MiB, and the arena has 1.5 MiB free of 1.5 MiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_any_files_is_the_arena),
		cmocka_unit_test(of_a_full_machine_names_it),
		cmocka_unit_test(in_a_unified_group_drops_its_cache),
		cmocka_unit_test(in_a_group_over_its_limit_is_nothing),
		cmocka_unit_test(looks_at_the_parent_group),
		cmocka_unit_test(in_a_container_of_version_1),
		cmocka_unit_test(of_a_small_mount_names_it),
		cmocka_unit_test(group_keeps_no_more_than_64_mib_for_the_rest),
		cmocka_unit_test(promised_to_others_is_not_had_in_a_group),
		cmocka_unit_test(larger_limits_change_nothing),
		cmocka_unit_test(small_amounts_are_told_with_fractions),
	};

	return run_cases(tests, NULL, NULL);
}
