/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_profile.c - what is allowed in a profile, and the words of errors.
 */
#include "tests/c/case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/profile.h"
#include "shm/error.h"

/* What the last parsed() has read; freed by the next. */
static struct px_settings settings;

static int parse(const char *text)
{
	px_settings_clear(&settings);
	return px_profile_parse("test.yaml", text, strlen(text), &settings, NULL);
}

static void parsed(const char *text)
{
	if (parse(text) < 0)
		fail_msg("%s", px_last_error());
}

#define NUMBER(id) px_settings_number(&settings, PX_SETTING_##id)
#define TEXT(id) px_settings_text(&settings, PX_SETTING_##id)

/* A text, and what its error must contain. */
struct bad {
	const char *text, *words;
};

static void assert_all_bad(const struct bad *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (parse(cases[i].text) != PX_EINVAL)
			fail_msg("accepted: %s", cases[i].text);
		if (!strstr(px_last_error(), cases[i].words))
			fail_msg("'%s' is not in '%s'", cases[i].words, px_last_error());
	}
}
#define ASSERT_ALL_BAD(cases) assert_all_bad(cases, sizeof(cases) / sizeof(cases[0]))

static void parse_all_keys(void **state)
{
	char **env;

	(void)state;
	parsed("# of the big machine\n"
	       "engines: 12\n"
	       "arena: 3G\n"
	       "restart: always\n"
	       "event_loop: epoll\n"
	       "quota: 256M\n"
	       "huge_pages: never\n"
	       "python: /opt/venv/bin/python\n"
	       "preload: [numpy, scipy.linalg]\n"
	       "pin: true\n"
	       "prefault: 256M\n"
	       "log: /var/tmp/pool.log\n"
	       "startup: |\n"
	       "  import json\n"
	       "  x = 1\n"
	       "niceness: 5\n"
	       "max_tasks: 1000\n"
	       "max_memory: 2G\n"
	       "env:\n"
	       "  OMP_NUM_THREADS: 2\n"
	       "  GREETING: \"a: b\"\n"
	       "  EMPTY: \"\"\n");
	assert_int_equal(NUMBER(ENGINES), 12);
	assert_int_equal(NUMBER(ARENA), UINT64_C(3) << 30);
	assert_int_equal(NUMBER(RESTART), PX_RESTART_ALWAYS);
	assert_int_equal(NUMBER(EVENT_LOOP), PX_LOOP_EPOLL);
	assert_int_equal(NUMBER(QUOTA), 256 << 20);
	assert_int_equal(NUMBER(HUGE_PAGES), PX_HUGE_PAGES_NEVER);
	assert_string_equal(TEXT(PYTHON), "/opt/venv/bin/python");
	assert_string_equal(TEXT(PRELOAD), "numpy,scipy.linalg");
	assert_int_equal(NUMBER(PIN), 1);
	assert_int_equal(NUMBER(PREFAULT), 256 << 20);
	assert_string_equal(TEXT(LOG), "/var/tmp/pool.log");
	assert_string_equal(TEXT(STARTUP), "import json\nx = 1\n");
	assert_int_equal(NUMBER(NICENESS), 5);
	assert_int_equal(NUMBER(MAX_TASKS), 1000);
	assert_int_equal(NUMBER(MAX_MEMORY), UINT64_C(2) << 30);
	env = settings.values[PX_SETTING_ENV].list;
	assert_string_equal(env[0], "OMP_NUM_THREADS=2");
	assert_string_equal(env[1], "GREETING=a: b");
	assert_string_equal(env[2], "EMPTY=");
	assert_null(env[3]);
}

static void parse_remembers_the_place(void **state)
{
	char where[64];

	(void)state;
	parsed("engines: 12\nenv: {A: 1}\n\npython:   /bin/python\npreload:\n- json");
	px_settings_where(&settings, PX_SETTING_PYTHON, where, sizeof(where));
	assert_string_equal(where, "test.yaml:4:11");
	px_settings_where(&settings, PX_SETTING_PRELOAD, where, sizeof(where));
	assert_string_equal(where, "test.yaml:6:1");
	px_settings_where(&settings, PX_SETTING_ENV, where, sizeof(where));
	assert_string_equal(where, "test.yaml:2:6");
	px_settings_where(&settings, PX_SETTING_ARENA, where, sizeof(where));
	assert_string_equal(where, "the default");
}

static void parse_nothing_sets_nothing(void **state)
{
	static const char *const texts[] = { "", "\n", "# only words\n", "---\n", "{}", "~" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		parsed(texts[i]);
		for (int id = 0; id < PX_SETTINGS; id++)
			assert_int_equal(settings.values[id].source, PX_FROM_DEFAULT);
		assert_null(settings.values[PX_SETTING_ENV].list);
	}
}

static void parse_leaves_what_goes_before_it(void **state)
{
	static const char text[] = "engines: 12\narena: 3G\n";

	(void)state;
	px_settings_clear(&settings);
	assert_int_equal(px_settings_set(&settings, PX_SETTING_ENGINES, PX_FROM_OPTION, "-n", "7"),
			 0);
	assert_int_equal(px_profile_parse("test.yaml", text, strlen(text), &settings, NULL), 0);
	assert_int_equal(NUMBER(ENGINES), 7);
	assert_int_equal(NUMBER(ARENA), UINT64_C(3) << 30);
}

static void parse_preload_forms(void **state)
{
	static const char *const texts[] = {
		"preload: numpy,json",
		"preload: [numpy, json]",
		"preload:\n  - numpy\n  - json\n",
		"preload: \"numpy,json\"",
		"preload: [&n numpy, 'json']",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		parsed(texts[i]);
		assert_string_equal(TEXT(PRELOAD), "numpy,json");
	}
	parsed("preload: []");
	assert_string_equal(TEXT(PRELOAD), "");
	parsed("preload: \"\"");
	assert_string_equal(TEXT(PRELOAD), "");
}

static void parse_flags_of_yaml(void **state)
{
	static const char *const yes[] = { "true", "True", "TRUE", "yes", "Yes", "on", "ON", "y" };
	static const char *const no[] = {
		"false", "False", "FALSE", "no", "NO", "off", "Off", "n"
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		snprintf(text, sizeof(text), "pin: %s", yes[i]);
		parsed(text);
		assert_int_equal(NUMBER(PIN), 1);
		snprintf(text, sizeof(text), "pin: %s", no[i]);
		parsed(text);
		assert_int_equal(NUMBER(PIN), 0);
	}
}

static void parse_python_in_the_home_folder(void **state)
{
	(void)state;
	setenv("HOME", "/home/me", 1);
	parsed("python: ~/venv/bin/python");
	assert_string_equal(TEXT(PYTHON), "/home/me/venv/bin/python");
}

static void parse_wrong_value_says_allowed(void **state)
{
	static const struct bad cases[] = {
		{ "engines: 0",
		  "test.yaml:1:10: engines must be a whole number from 1 to 512, not '0'" },
		{ "engines: 100000", "from 1 to 512, not '100000'" },
		{ "engines: -4", "engines must be" },
		{ "engines: 4.5", "engines must be" },
		{ "engines: four", "engines must be" },
		{ "engines: \"4\"", "from 1 to 512, not a text in quotes" },
		{ "engines: [4]",
		  "test.yaml:1:10: engines must be a whole number from 1 to 512, not a list" },
		{ "engines: 99999999999999999999", "engines must be" },
		{ "engines:", "engines: has no value" },
		{ "arena: big", "arena must be a size such as" },
		{ "arena: -1G", "arena must be a size such as" },
		{ "arena: 1.G", "arena must be a size such as" },
		{ "arena: 4GX", "arena must be a size such as" },
		{ "arena: 4096", "arena must be from 1M to 16T" },
		{ "arena: 17T", "arena must be from 1M to 16T" },
		{ "arena: 99999999999T", "arena must be from 1M to 16T" },
		{ "arena: 0%", "from 1% to 100%" },
		{ "arena: 101%", "from 1% to 100%" },
		{ "arena: {a: 1}", "not a map" },
		{ "restart: maybe",
		  "restart must be 'never', 'on-failure' or 'always', not 'maybe'" },
		{ "restart: [never]",
		  "restart must be 'never', 'on-failure' or 'always', not a list" },
		{ "huge_pages: always", "huge_pages must be 'auto' or 'never', not 'always'" },
		{ "huge_pages: [1]", "huge_pages must be 'auto' or 'never', not a list" },
		{ "quota: much", "quota must be a size such as 512M" },
		{ "event_loop: kqueue", "event_loop must be 'auto', 'io_uring' or 'epoll'" },
		{ "python: python3",
		  "test.yaml:1:9: python must be the absolute path of a program, "
		  "such as /usr/bin/python3, not 'python3'" },
		{ "python: ~me/python3", "not '~me/python3'" },
		{ "python: [/a]", "python must be the absolute path" },
		{ "python: \"/a\\0b\"", "not a text with a NUL" },
		{ "preload: numpy,,json", "preload must be names of modules" },
		{ "preload: numpy,", "preload must be names of modules" },
		{ "preload: import os", "preload must be names of modules" },
		{ "preload: [numpy, [x]]", "preload: each item must be the name of a module" },
		{ "preload: [\"a,b\"]", "preload: each item must be the name of a module" },
		{ "preload: {numpy: 1}", "preload must be names of modules" },
		{ "pin: maybe", "pin must be true or false" },
		{ "pin: 1", "pin must be true or false" },
		{ "log: pool.log",
		  "log must be the absolute path of a file, such as ~/pool.log, not 'pool.log'" },
		{ "log: [/a]", "log must be the absolute path of a file" },
		{ "pin: \"true\"", "pin must be true or false" },
		{ "env: A=1", "env must be a map of variables, NAME: value, not a text" },
		{ "env:\n  A: [1]", "test.yaml:2:6: env: the value of A must be a text" },
		{ "env:\n  A:\n", "the value of A must be a text" },
		{ "env:\n  1A: x", "'1A' is no name of a variable" },
		{ "env:\n  A=B: x", "'A=B' is no name of a variable" },
		{ "env:\n  A: 1\n  B: 2\n  A: 3", "test.yaml:4:3: env: A is set twice" },
	};

	(void)state;
	ASSERT_ALL_BAD(cases);
}

static void parse_unknown_key_says_keys(void **state)
{
	static const struct bad cases[] = {
		{ "engines: 4\nengine: 4",
		  "test.yaml:2:1: unknown key 'engine', did you mean 'engines'?" },
		{ "colour: red", "unknown key 'colour': the keys are engines" },
		{ "sys_path: /", "unknown key 'sys_path': the keys are engines" },
		{ "engines: 4\n\n# again\nengines: 5",
		  "test.yaml:4:1: engines: stands here for the second" },
		{ "[a]: 1", "test.yaml:1:1: unknown key 'a list'" },
		{ "- engines", "test.yaml:1:1: a profile is a map of keys" },
		{ "engines", "test.yaml:1:1: a profile is a map of keys" },
		{ "--- {engines: 4}\n--- {engines: 5}", "test.yaml:2:5: a second document" },
	};

	(void)state;
	ASSERT_ALL_BAD(cases);
}

static void parse_bad_syntax_says_line(void **state)
{
	static const struct bad cases[] = {
		{ "engines: 4\nenv: {A: 1", "not YAML" },
		{ "engines: 4\n\tarena: 1G", "test.yaml:2:1: not YAML" },
		{ "a: b: c", "test.yaml:1:5: not YAML" },
		{ "engines: *nothing", "test.yaml:1:10: not YAML" },
		{ "engines: \xff\xfe", "not UTF-8 text" },
		{ "engines: \x01", "not UTF-8 text" },
		{ "# \xc3\xa9\n\n pin: \x01", "test.yaml:3:7: not UTF-8 text" },
	};

	(void)state;
	ASSERT_ALL_BAD(cases);
}

static void parse_long_file_refused(void **state)
{
	static char text[PX_PROFILE_FILE_BYTES_MAX + 2];

	(void)state;
	memset(text, '#', sizeof(text) - 1);
	assert_int_equal(parse(text), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "not a profile"));
}

static void parse_many_aliases_refused(void **state)
{
	static char text[60000] = "preload: [&a ";

	(void)state;
	memset(text + strlen(text), 'm', 1000);
	for (int i = 0; i < 8000; i++)
		strcat(text, ",*a");
	strcat(text, "]");
	assert_int_equal(parse(text), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "is too long"));
}

static void count(void *ctx, const char *words)
{
	assert_true(words[0]);
	++*(int *)ctx;
}

static void parse_with_a_listener_tells_all(void **state)
{
	static const char text[] =
		"engines: 0\narena: 1G\nenv: {1: a, B: b}\npreload: [1, json]\npin: 2";
	int told = 0;
	const struct px_profile_listener listener = { .error = count, .ctx = &told };

	(void)state;
	px_settings_clear(&settings);
	assert_int_equal(px_profile_parse("test.yaml", text, strlen(text), &settings, &listener),
			 PX_EINVAL);
	assert_int_equal(told, 4);
	/* What is right is read. */
	assert_int_equal(NUMBER(ARENA), UINT64_C(1) << 30);
	assert_string_equal(TEXT(PRELOAD), "json");
	assert_string_equal(settings.values[PX_SETTING_ENV].list[0], "B=b");
}

static void path_follows_xdg(void **state)
{
	char path[4096];

	(void)state;
	setenv("XDG_CONFIG_HOME", "/cfg", 1);
	assert_int_equal(px_profile_path("big", path, sizeof(path)), 0);
	assert_string_equal(path, "/cfg/pxrun/big.yaml");
	setenv("XDG_CONFIG_HOME", "relative", 1);
	setenv("HOME", "/home/me", 1);
	assert_int_equal(px_profile_path("big", path, sizeof(path)), 0);
	assert_string_equal(path, "/home/me/.config/pxrun/big.yaml");
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("HOME");
	assert_int_equal(px_profile_path("big", path, sizeof(path)), 0);
	assert_int_equal(px_profile_path("big", path, 10), PX_EINVAL);
}

static void load_file(void **state)
{
	char base[] = "/tmp/pxpf.XXXXXX", path[128];
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(base));
	setenv("XDG_CONFIG_HOME", base, 1);
	px_settings_clear(&settings);
	assert_int_equal(px_profile_load("work", &settings), 0);
	assert_int_equal(NUMBER(ENGINES), 0);
	snprintf(path, sizeof(path), "%s/pxrun", base);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/pxrun/work.yaml", base);
	file = fopen(path, "w");
	fputs("engines: 3\npreload: json\n", file);
	fclose(file);
	assert_int_equal(px_profile_load("work", &settings), 0);
	assert_int_equal(NUMBER(ENGINES), 3);
	px_settings_clear(&settings);
	file = fopen(path, "w");
	fputs("engines: none\n", file);
	fclose(file);
	assert_int_equal(px_profile_load("work", &settings), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), path));
	unlink(path);
	mkdir(path, 0700);
	assert_int_equal(px_profile_load("work", &settings), PX_ESYSTEM);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/pxrun", base);
	rmdir(path);
	rmdir(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_all_keys),
		cmocka_unit_test(parse_nothing_sets_nothing),
		cmocka_unit_test(parse_remembers_the_place),
		cmocka_unit_test(parse_leaves_what_goes_before_it),
		cmocka_unit_test(parse_preload_forms),
		cmocka_unit_test(parse_flags_of_yaml),
		cmocka_unit_test(parse_python_in_the_home_folder),
		cmocka_unit_test(parse_wrong_value_says_allowed),
		cmocka_unit_test(parse_unknown_key_says_keys),
		cmocka_unit_test(parse_bad_syntax_says_line),
		cmocka_unit_test(parse_long_file_refused),
		cmocka_unit_test(parse_many_aliases_refused),
		cmocka_unit_test(parse_with_a_listener_tells_all),
		cmocka_unit_test(path_follows_xdg),
		cmocka_unit_test(load_file),
	};

	int failed;

	px_settings_init(&settings);
	failed = run_cases(tests, NULL, NULL);
	px_settings_clear(&settings);
	return failed;
}
