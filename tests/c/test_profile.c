/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_profile.c - what a profile may say, and the words when it says something else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/profile.h"
#include "shm/error.h"

static int parse(const char *text, struct px_profile *out)
{
	return px_profile_parse("test.yaml", text, strlen(text), out);
}

static struct px_profile parsed(const char *text)
{
	struct px_profile profile;

	if (parse(text, &profile) < 0)
		fail_msg("%s", px_last_error());
	return profile;
}

/* A text, and what its error must contain. */
struct bad {
	const char *text, *words;
};

static void assert_all_bad(const struct bad *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct px_profile profile = { .engines = 77 };

		if (parse(cases[i].text, &profile) != PX_EINVAL)
			fail_msg("accepted: %s", cases[i].text);
		if (!strstr(px_last_error(), cases[i].words))
			fail_msg("'%s' is not in '%s'", cases[i].words, px_last_error());
		assert_int_equal(profile.engines, 77);
	}
}
#define ASSERT_ALL_BAD(cases) assert_all_bad(cases, sizeof(cases) / sizeof(cases[0]))

static void parse_all_keys(void **state)
{
	struct px_profile profile = parsed("# of the big machine\n"
					   "engines: 12\n"
					   "arena: 3G\n"
					   "restart: always\n"
					   "event_loop: epoll\n"
					   "quota: 256M\n"
					   "huge_pages: never\n"
					   "python: /opt/venv/bin/python\n"
					   "preload: [numpy, scipy.linalg]\n"
					   "pin: true\n"
					   "env:\n"
					   "  OMP_NUM_THREADS: 2\n"
					   "  GREETING: \"a: b\"\n"
					   "  EMPTY: \"\"\n");

	(void)state;
	assert_int_equal(profile.engines, 12);
	assert_int_equal(profile.arena_bytes, UINT64_C(3) << 30);
	assert_string_equal(profile.restart, "always");
	assert_string_equal(profile.event_loop, "epoll");
	assert_int_equal(profile.quota_bytes, 256 << 20);
	assert_string_equal(profile.huge_pages, "never");
	assert_string_equal(profile.python, "/opt/venv/bin/python");
	assert_string_equal(profile.preload, "numpy,scipy.linalg");
	assert_int_equal(profile.pin, 1);
	assert_int_equal(profile.env_count, 3);
	assert_string_equal(profile.env[0], "OMP_NUM_THREADS=2");
	assert_string_equal(profile.env[1], "GREETING=a: b");
	assert_string_equal(profile.env[2], "EMPTY=");
	assert_null(profile.env[3]);
	px_profile_clear(&profile);
	assert_null(profile.env);
}

static void parse_nothing_sets_nothing(void **state)
{
	static const char *const texts[] = { "", "\n", "# only words\n", "---\n", "{}", "~" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct px_profile profile = parsed(texts[i]);

		assert_int_equal(profile.engines, 0);
		assert_int_equal(profile.arena_bytes, 0);
		assert_null(profile.restart);
		assert_null(profile.preload);
		assert_int_equal(profile.env_count, 0);
		assert_int_equal(profile.pin, -1);
		px_profile_clear(&profile);
	}
}

static void parse_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} sizes[] = {
		{ "arena: 1048576", UINT64_C(1) << 20 }, { "arena: 2048K", UINT64_C(2) << 20 },
		{ "arena: 64M", UINT64_C(64) << 20 },    { "arena: 64m", UINT64_C(64) << 20 },
		{ "arena: 2GiB", UINT64_C(2) << 30 },    { "arena: 1T", UINT64_C(1) << 40 },
	};
	struct px_profile profile;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		profile = parsed(sizes[i].text);
		assert_int_equal(profile.arena_bytes, sizes[i].bytes);
	}
	profile = parsed("arena: 50%");
	assert_int_equal(profile.arena_bytes / 50,
			 (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 100);
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
	struct px_profile profile;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		profile = parsed(texts[i]);
		assert_string_equal(profile.preload, "numpy,json");
		px_profile_clear(&profile);
	}
	profile = parsed("preload: []");
	assert_string_equal(profile.preload, "");
	px_profile_clear(&profile);
	profile = parsed("preload: \"\"");
	assert_string_equal(profile.preload, "");
	px_profile_clear(&profile);
}

static void parse_wrong_value_says_allowed(void **state)
{
	static const struct bad cases[] = {
		{ "engines: 0",
		  "test.yaml:1: engines must be a whole number from 1 to 512, not '0'" },
		{ "engines: 100000", "from 1 to 512, not '100000'" },
		{ "engines: -4", "engines must be" },
		{ "engines: 4.5", "engines must be" },
		{ "engines: four", "engines must be" },
		{ "engines: \"4\"", "engines: must be a whole number" },
		{ "engines: [4]", "engines: must be a whole number" },
		{ "engines: 99999999999999999999", "engines must be" },
		{ "engines:", "engines: has no value" },
		{ "arena: big", "arena must be a size such as" },
		{ "arena: -1G", "arena must be a size such as" },
		{ "arena: 1.5G", "arena must be a size such as" },
		{ "arena: 4GB", "arena must be a size such as" },
		{ "arena: 4096", "arena must be from 1M to 16T" },
		{ "arena: 17T", "arena must be from 1M to 16T" },
		{ "arena: 99999999999T", "arena must be from 1M to 16T" },
		{ "arena: 0%", "from 1% to 100%" },
		{ "arena: 101%", "from 1% to 100%" },
		{ "arena: {a: 1}", "arena: must be a size" },
		{ "restart: maybe",
		  "restart must be 'never', 'on-failure' or 'always', not 'maybe'" },
		{ "restart: [never]", "restart: must be 'never'" },
		{ "huge_pages: always", "huge_pages must be 'auto' or 'never', not 'always'" },
		{ "huge_pages: [1]", "huge_pages: must be 'auto' or 'never'" },
		{ "quota: much", "quota must be a size such as 512M" },
		{ "event_loop: kqueue", "event_loop must be 'auto', 'io_uring' or 'epoll'" },
		{ "python: python3", "python: must be the absolute path" },
		{ "python: [/a]", "python: must be the absolute path" },
		{ "python: \"/a\\0b\"", "python: must be the absolute path" },
		{ "preload: numpy,,json", "preload must be names of modules" },
		{ "preload: numpy,", "preload must be names of modules" },
		{ "preload: import os", "preload must be names of modules" },
		{ "preload: [numpy, [x]]", "preload: each item must be the name of a module" },
		{ "preload: [\"a,b\"]", "preload: each item must be the name of a module" },
		{ "preload: {numpy: 1}", "preload: must be a list of modules" },
		{ "pin: maybe", "pin: must be true or false" },
		{ "pin: 1", "pin: must be true or false" },
		{ "pin: \"true\"", "pin: must be true or false" },
		{ "env: A=1", "env: must be a map of variables" },
		{ "env:\n  A: [1]", "test.yaml:2: env: the value of A must be a text" },
		{ "env:\n  A:\n", "the value of A must be a text" },
		{ "env:\n  1A: x", "'1A' is no name of a variable" },
		{ "env:\n  A=B: x", "'A=B' is no name of a variable" },
		{ "env:\n  A: 1\n  B: 2\n  A: 3", "test.yaml:4: env: A is set twice" },
	};

	(void)state;
	ASSERT_ALL_BAD(cases);
}

static void parse_unknown_key_says_keys(void **state)
{
	static const struct bad cases[] = {
		{ "engines: 4\nengine: 4",
		  "test.yaml:2: unknown key 'engine': the keys are engines, "
		  "arena, quota, huge_pages, restart, event_loop, python, preload, env and pin" },
		{ "engines: 4\n\n# again\nengines: 5",
		  "test.yaml:4: engines: stands here for the second" },
		{ "[a]: 1", "test.yaml:1: unknown key" },
		{ "- engines", "test.yaml:1: a profile is a map of keys" },
		{ "engines", "test.yaml:1: a profile is a map of keys" },
		{ "--- {engines: 4}\n--- {engines: 5}", "test.yaml:2: a second document" },
	};

	(void)state;
	ASSERT_ALL_BAD(cases);
}

static void parse_bad_syntax_says_line(void **state)
{
	static const struct bad cases[] = {
		{ "engines: 4\nenv: {A: 1", "not YAML" },
		{ "engines: 4\n\tarena: 1G", "test.yaml:2: not YAML" },
		{ "a: b: c", "test.yaml:1: not YAML" },
		{ "engines: *nothing", "test.yaml:1: not YAML" },
		{ "engines: \xff\xfe", "not UTF-8 text" },
		{ "engines: \x01", "not UTF-8 text" },
	};

	(void)state;
	ASSERT_ALL_BAD(cases);
}

static void parse_long_file_refused(void **state)
{
	static char text[PX_PROFILE_FILE_BYTES_MAX + 2];
	struct px_profile profile;

	(void)state;
	memset(text, '#', sizeof(text) - 1);
	assert_int_equal(parse(text, &profile), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "not a profile"));
}

static void parse_many_aliases_refused(void **state)
{
	static char text[60000] = "preload: [&a ";
	struct px_profile profile;

	(void)state;
	memset(text + strlen(text), 'm', 1000);
	for (int i = 0; i < 8000; i++)
		strcat(text, ",*a");
	strcat(text, "]");
	assert_int_equal(parse(text, &profile), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "is too long"));
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
	struct px_profile profile;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(base));
	setenv("XDG_CONFIG_HOME", base, 1);
	assert_int_equal(px_profile_load("work", &profile), 0);
	assert_int_equal(profile.engines, 0);
	snprintf(path, sizeof(path), "%s/pxrun", base);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/pxrun/work.yaml", base);
	file = fopen(path, "w");
	fputs("engines: 3\npreload: json\n", file);
	fclose(file);
	assert_int_equal(px_profile_load("work", &profile), 0);
	assert_int_equal(profile.engines, 3);
	px_profile_clear(&profile);
	file = fopen(path, "w");
	fputs("engines: none\n", file);
	fclose(file);
	assert_int_equal(px_profile_load("work", &profile), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), path));
	unlink(path);
	mkdir(path, 0700);
	assert_int_equal(px_profile_load("work", &profile), PX_ESYSTEM);
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
		cmocka_unit_test(parse_sizes),
		cmocka_unit_test(parse_preload_forms),
		cmocka_unit_test(parse_wrong_value_says_allowed),
		cmocka_unit_test(parse_unknown_key_says_keys),
		cmocka_unit_test(parse_bad_syntax_says_line),
		cmocka_unit_test(parse_long_file_refused),
		cmocka_unit_test(parse_many_aliases_refused),
		cmocka_unit_test(path_follows_xdg),
		cmocka_unit_test(load_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
