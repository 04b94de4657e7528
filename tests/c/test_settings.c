/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_settings.c - the table of settings, values and where they are from, and programs that were
 * compiled with another header.
 */
#include "tests/c/case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/pxrun.h"
#include "pool/settings.h"
#include "shm/error.h"

static struct px_settings settings;

static int setup(void **state)
{
	(void)state;
	px_settings_init(&settings);
	unsetenv("PXRUN_ENGINES");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	px_settings_clear(&settings);
	return 0;
}

static int set(enum px_setting_id id, enum px_setting_source source, const char *text)
{
	return px_settings_set(&settings, id, source, "it", text);
}

static const char *where(enum px_setting_id id)
{
	static char out[64];

	return px_settings_where(&settings, id, out, sizeof(out));
}

static void assert_fails(int rc, const char *words)
{
	assert_int_equal(rc, PX_EINVAL);
	if (!strstr(px_last_error(), words))
		fail_msg("'%s' is not in '%s'", words, px_last_error());
}

/* --- the table --- */

static size_t field_bytes(enum px_setting_type type)
{
	return type == PX_TYPE_COUNT ? sizeof(uint32_t) :
	       type == PX_TYPE_SIZE  ? sizeof(uint64_t) :
	       type == PX_TYPE_FLAG  ? sizeof(int) :
				       sizeof(char *);
}

static void table_rows_are_whole(void **state)
{
	(void)state;
	for (int id = 0; id < PX_SETTINGS; id++) {
		const struct px_setting *row = &px_settings_table[id];
		uint64_t number;

		assert_non_null(row->name);
		assert_true(strlen(row->name) + strlen("--") < PX_SETTING_NAME_BYTES);
		assert_true(row->who);
		if (row->preset && px_setting_parse(row, row->name, row->preset, &number) < 0)
			fail_msg("%s", px_last_error());
		if (row->help && !px_setting_preset(row))
			fail_msg("%s: a default in words is missing", row->name);
		if (row->help && row->who & (PX_OF_START | PX_OF_RUN) && !row->argument &&
		    row->type != PX_TYPE_FLAG)
			fail_msg("%s: the word for its argument is missing", row->name);
		assert_true(!(row->who & PX_OF_LIBRARY) == !row->offset);
		if (row->offset && row->field_bytes != field_bytes(row->type))
			fail_msg("%s: its field has another type than setting.h says", row->name);
		/* The library passes settings to the supervisor as options, hence as texts. */
		if (row->who & (PX_OF_LIBRARY | PX_OF_PYTHON))
			assert_true(row->who & PX_OF_START);
		if (row->type == PX_TYPE_VARIABLES)
			assert_int_equal(row->who, PX_OF_PROFILE);
	}
}

static void table_names_are_of_one_row(void **state)
{
	(void)state;
	for (int id = 0; id < PX_SETTINGS; id++)
		for (int other = 0; other < id; other++) {
			const struct px_setting *a = &px_settings_table[id];
			const struct px_setting *b = &px_settings_table[other];

			assert_string_not_equal(a->name, b->name);
			assert_string_not_equal(px_setting_keyword(a), px_setting_keyword(b));
			assert_true(!a->letter || a->letter != b->letter);
			assert_true(!a->offset || a->offset != b->offset);
		}
}

static void find_knows_who_asks(void **state)
{
	(void)state;
	assert_int_equal(px_settings_find("arena", PX_OF_PROFILE), PX_SETTING_ARENA);
	assert_int_equal(px_settings_find("arena", PX_OF_PYTHON), PX_SETTING_ARENA);
	assert_int_equal(px_settings_find("n", PX_OF_PYTHON), PX_SETTING_ENGINES);
	assert_int_equal(px_settings_find("n", PX_OF_PROFILE), PX_SETTINGS);
	assert_int_equal(px_settings_find("pin", PX_OF_PROFILE), PX_SETTING_PIN);
	assert_int_equal(px_settings_find("pin", PX_OF_PYTHON), PX_SETTINGS);
	assert_int_equal(px_settings_find("", PX_OF_PROFILE), PX_SETTINGS);
}

static void unknown_name_suggests_the_nearest(void **state)
{
	static const char *const pairs[][2] = {
		{ "engine", "engines" }, { "arean", "arena" },     { "hugepages", "huge_pages" },
		{ "quotas", "quota" },   { "Restart", "restart" }, { "eventloop", "event_loop" },
		{ "pythons", "python" }, { "env_", "env" },
	};
	char meant[64];

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		snprintf(meant, sizeof(meant), "unknown key '%s', did you mean '%s'?", pairs[i][0],
			 pairs[i][1]);
		assert_fails(px_settings_unknown("unknown key", "key", pairs[i][0], PX_OF_PROFILE),
			     meant);
	}
	assert_fails(px_settings_unknown("no", "setting", "engines", PX_OF_PYTHON),
		     "no 'engines', did you mean 'n'?");
	assert_fails(px_settings_unknown("no", "setting", "nonsense", PX_OF_PYTHON),
		     "no 'nonsense': the settings are n, arena, quota");
	assert_fails(px_settings_unknown("no", "key", "nonsense", PX_OF_PROFILE),
		     "no 'nonsense': the keys are engines, arena, quota, ");
	assert_non_null(strstr(px_last_error(), " and "));
	assert_fails(px_settings_unknown("no", "key", "", PX_OF_PROFILE), "no '': the keys are");
	assert_fails(px_settings_unknown("no", "key", "a_name_that_is_longer_than_any_of_the_table",
					 PX_OF_PROFILE),
		     "table': the keys are");
}

/* --- values --- */

static void size_in_all_spellings(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} sizes[] = {
		{ "1048576", UINT64_C(1) << 20 },  { "2048K", UINT64_C(2) << 20 },
		{ "64M", UINT64_C(64) << 20 },     { "64m", UINT64_C(64) << 20 },
		{ "2GiB", UINT64_C(2) << 30 },     { "2gb", UINT64_C(2) << 30 },
		{ "1T", UINT64_C(1) << 40 },       { "1.5G", UINT64_C(3) << 29 },
		{ "0.25 GiB", UINT64_C(1) << 28 }, { "1048577.9", (UINT64_C(1) << 20) + 1 },
		{ "16T", UINT64_C(1) << 44 },      { "1.0000001G", (UINT64_C(1) << 30) },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(set(PX_SETTING_ARENA, PX_FROM_OPTION, sizes[i].text), 0);
		assert_int_equal(px_settings_number(&settings, PX_SETTING_ARENA), sizes[i].bytes);
		assert_string_equal(px_settings_text(&settings, PX_SETTING_ARENA), sizes[i].text);
	}
	assert_int_equal(set(PX_SETTING_ARENA, PX_FROM_OPTION, "50%"), 0);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_ARENA) / 50,
			 (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 100);
}

static void set_wrong_value_says_what_is_allowed(void **state)
{
	static const struct {
		enum px_setting_id id;
		const char *text, *words;
	} cases[] = {
		{ PX_SETTING_ENGINES, "0", "it must be a whole number from 1 to 512, not '0'" },
		{ PX_SETTING_ENGINES, "513", "from 1 to 512, not '513'" },
		{ PX_SETTING_ENGINES, "+1", "from 1 to 512, not '+1'" },
		{ PX_SETTING_ENGINES, "1 ", "from 1 to 512, not '1 '" },
		{ PX_SETTING_ENGINES, "", "from 1 to 512, not ''" },
		{ PX_SETTING_ARENA, "12Q",
		  "it must be a size such as 512M, 4G or 50% (of the memory), not '12Q'" },
		{ PX_SETTING_ARENA, "", "a size such as" },
		{ PX_SETTING_ARENA, "B", "a size such as" },
		{ PX_SETTING_ARENA, "4GiBs", "a size such as" },
		{ PX_SETTING_ARENA, ".5G", "a size such as" },
		{ PX_SETTING_ARENA, "1..5G", "a size such as" },
		{ PX_SETTING_ARENA, "0.9M", "it must be from 1M to 16T, not '0.9M'" },
		{ PX_SETTING_ARENA, "16.1T", "from 1M to 16T" },
		{ PX_SETTING_ARENA, "99999999999999999999", "a size such as" },
		{ PX_SETTING_ARENA, "100.5%", "from 1% to 100% of the memory" },
		{ PX_SETTING_RESTART, "Never",
		  "it must be 'never', 'on-failure' or 'always', not 'Never'" },
		{ PX_SETTING_HUGE_PAGES, "", "it must be 'auto' or 'never', not ''" },
		{ PX_SETTING_PIN, "2", "it must be true or false, not '2'" },
		{ PX_SETTING_PRELOAD, "os;x", "it must be names of modules separated by commas" },
		{ PX_SETTING_PYTHON, "", "it must be the absolute path of a program" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_fails(set(cases[i].id, PX_FROM_OPTION, cases[i].text), cases[i].words);
		assert_int_equal(settings.values[cases[i].id].source, PX_FROM_DEFAULT);
	}
}

static void default_is_the_preset(void **state)
{
	(void)state;
	assert_int_equal(px_settings_number(&settings, PX_SETTING_RESTART), PX_RESTART_ON_FAILURE);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_EVENT_LOOP), PX_LOOP_AUTO);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_HUGE_PAGES), PX_HUGE_PAGES_AUTO);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_ENGINES), 0);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_ARENA), 0);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_PIN), 0);
	assert_string_equal(px_settings_text(&settings, PX_SETTING_PRELOAD), "numpy,cloudpickle");
	assert_null(px_settings_text(&settings, PX_SETTING_PYTHON));
	assert_string_equal(where(PX_SETTING_ENGINES), "the default");
}

static void set_from_the_better_source_stays(void **state)
{
	(void)state;
	assert_int_equal(set(PX_SETTING_HUGE_PAGES, PX_FROM_PROFILE, "never"), 0);
	assert_int_equal(set(PX_SETTING_HUGE_PAGES, PX_FROM_OPTION, "auto"), 0);
	assert_int_equal(set(PX_SETTING_HUGE_PAGES, PX_FROM_PROFILE, "never"), 0);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_HUGE_PAGES), PX_HUGE_PAGES_AUTO);
	assert_string_equal(where(PX_SETTING_HUGE_PAGES), "--huge-pages");
	/* Invalid, although it would not be used. */
	assert_fails(set(PX_SETTING_HUGE_PAGES, PX_FROM_PROFILE, "always"), "'always'");
	/* Of two options the later counts. */
	assert_int_equal(set(PX_SETTING_HUGE_PAGES, PX_FROM_OPTION, "never"), 0);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_HUGE_PAGES), PX_HUGE_PAGES_NEVER);
}

static void environment_sets_what_no_option_does(void **state)
{
	(void)state;
	assert_int_equal(set(PX_SETTING_ENGINES, PX_FROM_PROFILE, "2"), 0);
	setenv("PXRUN_ENGINES", "", 1);
	assert_int_equal(px_settings_set_environment(&settings), 0);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_ENGINES), 2);
	setenv("PXRUN_ENGINES", "3", 1);
	assert_int_equal(px_settings_set_environment(&settings), 0);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_ENGINES), 3);
	assert_string_equal(where(PX_SETTING_ENGINES), "PXRUN_ENGINES");
	px_settings_clear(&settings);
	setenv("PXRUN_ENGINES", "many", 1);
	assert_fails(px_settings_set_environment(&settings),
		     "PXRUN_ENGINES must be a whole number from 1 to 512, not 'many'");
	assert_int_equal(set(PX_SETTING_ENGINES, PX_FROM_OPTION, "4"), 0);
	assert_int_equal(px_settings_set_environment(&settings), 0);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_ENGINES), 4);
}

static void program_in_the_home_folder(void **state)
{
	(void)state;
	setenv("HOME", "/home/me", 1);
	assert_int_equal(set(PX_SETTING_PYTHON, PX_FROM_OPTION, "~/bin/python"), 0);
	assert_string_equal(px_settings_text(&settings, PX_SETTING_PYTHON), "/home/me/bin/python");
	assert_int_equal(set(PX_SETTING_PYTHON, PX_FROM_OPTION, "a~/python"), 0);
	assert_string_equal(px_settings_text(&settings, PX_SETTING_PYTHON), "a~/python");
	/* Without a home that is a path, the user's of the system. */
	setenv("HOME", "none", 1);
	assert_int_equal(set(PX_SETTING_PYTHON, PX_FROM_OPTION, "~/python"), 0);
	assert_int_equal(px_settings_text(&settings, PX_SETTING_PYTHON)[0], '/');
}

/* --- struct px_pool_options --- */

/* A caller's options, with bytes behind them that only a newer header has. */
struct caller {
	struct px_pool_options options;
	unsigned char tail[32];
};

static int take(const struct caller *caller, struct px_pool_options *known)
{
	return px_settings_set_options(&settings, &caller->options, known);
}

static void options_all_fields_are_read(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS, known;

	(void)state;
	options.profile = "name";
	options.engines = 3;
	options.arena_bytes = UINT64_C(5) << 30;
	options.restart = "always";
	options.event_loop = "epoll";
	options.python = "/bin/python3";
	options.preload = "";
	options.sys_path = "/a:/b";
	options.command = "/bin/pxrun";
	options.quota_bytes = 1 << 20;
	options.huge_pages = "never";
	options.native = 1;
	options.launcher = "mpi";
	options.mpiexec = "mpiexec.mpich";
	options.mpi_args = "-l -bind-to core";
	assert_int_equal(px_settings_set_options(&settings, &options, &known), 0);
	assert_memory_equal(&known, &options, sizeof(known));
	for (int id = 0; id < PX_SETTINGS; id++)
		assert_int_equal(settings.values[id].source == PX_FROM_OPTION,
				 px_settings_table[id].offset != 0);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_ENGINES), 3);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_ARENA), UINT64_C(5) << 30);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_QUOTA), 1 << 20);
	assert_string_equal(px_settings_text(&settings, PX_SETTING_RESTART), "always");
	assert_string_equal(px_settings_text(&settings, PX_SETTING_EVENT_LOOP), "epoll");
	assert_string_equal(px_settings_text(&settings, PX_SETTING_PYTHON), "/bin/python3");
	assert_string_equal(px_settings_text(&settings, PX_SETTING_PRELOAD), "");
	assert_string_equal(px_settings_text(&settings, PX_SETTING_SYS_PATH), "/a:/b");
	assert_string_equal(px_settings_text(&settings, PX_SETTING_HUGE_PAGES), "never");
	assert_string_equal(px_settings_text(&settings, PX_SETTING_LAUNCHER), "mpi");
	assert_string_equal(px_settings_text(&settings, PX_SETTING_MPIEXEC), "mpiexec.mpich");
	assert_string_equal(px_settings_text(&settings, PX_SETTING_MPI_ARGS), "-l -bind-to core");
}

static void options_untouched_set_nothing(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS, known;

	(void)state;
	assert_int_equal(px_settings_set_options(&settings, &options, &known), 0);
	for (int id = 0; id < PX_SETTINGS; id++)
		assert_int_equal(settings.values[id].source, PX_FROM_DEFAULT);
}

static void options_wrong_value_is_named(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS, known;

	(void)state;
	options.engines = 513;
	assert_fails(px_settings_set_options(&settings, &options, &known),
		     "engines must be a whole number from 1 to 512, not '513'");
	options.engines = 0;
	options.arena_bytes = 3;
	assert_fails(px_settings_set_options(&settings, &options, &known),
		     "arena must be from 1M to 16T, not '3'");
	options.arena_bytes = 0;
	options.restart = "";
	assert_fails(px_settings_set_options(&settings, &options, &known),
		     "restart must be 'never'");
}

static void options_of_an_older_header_are_taken(void **state)
{
	struct caller caller = { .options = PX_POOL_OPTIONS };
	struct px_pool_options known;

	(void)state;
	caller.options.size = offsetof(struct px_pool_options, quota_bytes);
	caller.options.engines = 3;
	caller.options.command = "/bin/pxrun";
	/* The memory behind an older struct must not be read. */
	memset(&caller.options.quota_bytes, 0xaa,
	       sizeof(caller) - offsetof(struct caller, options.quota_bytes));
	assert_int_equal(take(&caller, &known), 0);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_ENGINES), 3);
	assert_string_equal(known.command, "/bin/pxrun");
	assert_int_equal(settings.values[PX_SETTING_QUOTA].source, PX_FROM_DEFAULT);
	assert_int_equal(settings.values[PX_SETTING_HUGE_PAGES].source, PX_FROM_DEFAULT);
	assert_null(known.huge_pages);
}

static void options_of_a_newer_header_are_taken_if_nothing_new_is_set(void **state)
{
	struct caller caller = { .options = PX_POOL_OPTIONS };
	struct px_pool_options known;

	(void)state;
	caller.options.size = sizeof(caller);
	caller.options.engines = 3;
	assert_int_equal(take(&caller, &known), 0);
	assert_int_equal(px_settings_number(&settings, PX_SETTING_ENGINES), 3);
	caller.tail[31] = 1;
	assert_fails(take(&caller, &known),
		     "struct px_pool_options sets what libpxrun " PX_VERSION " does not know");
	caller.tail[31] = 0;
	caller.tail[0] = 1;
	assert_fails(take(&caller, &known), "does not know");
}

static void options_of_no_sensible_size_are_refused(void **state)
{
	static const size_t sizes[] = {
		0, 8, 15, 17, sizeof(struct px_pool_options) - 1, 1 << 20, SIZE_MAX
	};
	struct caller caller = { .options = PX_POOL_OPTIONS };
	struct px_pool_options known;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		caller.options.size = sizes[i];
		assert_fails(take(&caller, &known), "was not made by PX_POOL_OPTIONS");
	}
	assert_fails(px_settings_set_options(&settings, NULL, &known), "PX_POOL_OPTIONS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_rows_are_whole),
		cmocka_unit_test(table_names_are_of_one_row),
		cmocka_unit_test(find_knows_who_asks),
		cmocka_unit_test(unknown_name_suggests_the_nearest),
		cmocka_unit_test_setup_teardown(size_in_all_spellings, setup, teardown),
		cmocka_unit_test_setup_teardown(set_wrong_value_says_what_is_allowed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(default_is_the_preset, setup, teardown),
		cmocka_unit_test_setup_teardown(set_from_the_better_source_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(environment_sets_what_no_option_does, setup,
						teardown),
		cmocka_unit_test_setup_teardown(program_in_the_home_folder, setup, teardown),
		cmocka_unit_test_setup_teardown(options_all_fields_are_read, setup, teardown),
		cmocka_unit_test_setup_teardown(options_untouched_set_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(options_wrong_value_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(options_of_an_older_header_are_taken, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			options_of_a_newer_header_are_taken_if_nothing_new_is_set, setup, teardown),
		cmocka_unit_test_setup_teardown(options_of_no_sensible_size_are_refused, setup,
						teardown),
	};

	return run_cases(tests, NULL, NULL);
}
