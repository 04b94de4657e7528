/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * profile.c - `pxrun profile`: which profiles have files, what is wrong in them, and what they come to.
 */
#include "pool/profile.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bin/command.h"
#include "bin/nearest.h"
#include "bin/pool_option.h"
#include "bin/profile_show.h"
#include "bin/quoted.h"
#include "pool/runtime.h"
#include "shm/error.h"

struct request {
	bool json;
	const char *profile; /* that of -p; NULL */
	char **names;        /* the arguments, NULL at the end */
};

/* A profile, or a file that need not be one yet. */
struct subject {
	char name[64]; /* "": a file */
	char path[PATH_MAX];
	bool there; /* it has a file */
};

static bool is_file(const char *name)
{
	size_t length = strlen(name);

	return strchr(name, '/') || (length > 5 && !strcmp(name + length - 5, ".yaml"));
}

/* name NULL: $PXRUN_PROFILE, else "default". */
static int find(const char *name, struct subject *out)
{
	struct px_runtime runtime;
	int rc;

	if (name && is_file(name)) {
		out->name[0] = '\0';
		out->there = true;
		return snprintf(out->path, sizeof(out->path), "%s", name) < PATH_MAX ?
			       0 :
			       px_fail(PX_EINVAL, "the path is too long: %.80s...", name);
	}
	rc = px_runtime_find(name, false, &runtime);
	if (rc == 0)
		rc = px_profile_path(runtime.profile, out->path, sizeof(out->path));
	if (rc < 0)
		return rc;
	snprintf(out->name, sizeof(out->name), "%s", runtime.profile);
	out->there = access(out->path, F_OK) == 0;
	return 0;
}

/* --- list --- */

struct listing {
	bool json;
	unsigned count;
};

static int list_one(void *ctx, const struct px_runtime *runtime, const char *path)
{
	struct listing *listing = ctx;
	bool runs = px_runtime_alive(runtime);

	if (listing->json) {
		fputs(listing->count ? ",\n {\"profile\": " : "[{\"profile\": ", stdout);
		px_quoted_print(runtime->profile);
		printf(", \"running\": %s, \"file\": ", runs ? "true" : "false");
		px_quoted_print(path);
		putchar('}');
	} else {
		if (!listing->count)
			printf("%-24s %-11s  %s\n", "PROFILE", "POOL", "FILE");
		printf("%-24s %-11s  %s\n", runtime->profile, runs ? "running" : "not running",
		       path);
	}
	listing->count++;
	return 0;
}

static int list(const struct request *request)
{
	struct listing listing = { .json = request->json };
	int rc = px_profile_list(list_one, &listing);

	if (rc < 0)
		return px_command_fail(rc);
	if (listing.json)
		puts(listing.count ? "]" : "[]");
	else if (!listing.count)
		fputs("no profile of yours has a file; pxrun.yaml(5) says what may be in one\n",
		      stderr);
	return PX_EXIT_OK;
}

/* --- show --- */

static int read_settings(const struct subject *subject, struct px_settings *settings)
{
	int rc = subject->name[0] ? px_profile_load(subject->name, settings) :
				    px_profile_read(subject->path, settings, NULL);

	return rc == 0 ? px_settings_set_environment(settings) : rc;
}

static int show(const struct request *request)
{
	struct px_settings settings;
	struct subject subject;
	int rc = find(request->names[0], &subject);

	px_settings_init(&settings);
	if (rc == 0)
		rc = read_settings(&subject, &settings);
	if (rc == 0 && request->json)
		px_profile_show_json(&settings, subject.name[0] ? subject.name : NULL,
				     subject.there ? subject.path : NULL);
	else if (rc == 0)
		px_profile_show(&settings);
	if (rc == 0 && !subject.there)
		fprintf(stderr, "the profile '%s' has no file: %s\n", subject.name, subject.path);
	px_settings_clear(&settings);
	return rc < 0 ? px_command_fail(rc) : PX_EXIT_OK;
}

/* --- check --- */

static void print_error(void *ctx, const char *words)
{
	++*(unsigned *)ctx;
	puts(words);
}

static int check_one(const char *name)
{
	unsigned errors = 0;
	const struct px_profile_listener listener = { .error = print_error, .ctx = &errors };
	struct px_settings settings;
	struct subject subject;
	int rc = find(name, &subject);

	if (rc == 0 && !subject.there)
		rc = px_fail(PX_EINVAL, "the profile '%s' has no file: %s", subject.name,
			     subject.path);
	if (rc == 0) {
		px_settings_init(&settings);
		rc = px_profile_read(subject.path, &settings, &listener);
		px_settings_clear(&settings);
	}
	if (rc == 0)
		printf("%s: ok\n", subject.path);
	/* What was told is told already. */
	if (rc == PX_EINVAL && errors)
		return PX_EXIT_USAGE;
	return rc < 0 ? px_command_fail(rc) : PX_EXIT_OK;
}

static int check(const struct request *request)
{
	char **name = request->names;
	int code = PX_EXIT_OK;

	do {
		int found = check_one(*name);

		code = found > code ? found : code;
	} while (*name && *++name);
	return code;
}

/* --- the line --- */

static const struct action {
	const char *name;
	int most; /* arguments */
	bool json;
	int (*run)(const struct request *request);
} actions[] = {
	{ "list", 0, true, list },
	{ "show", 1, true, show },
	{ "check", INT_MAX, false, check },
};
#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

static int unknown(const char *name)
{
	struct px_nearest nearest = { .word = name, .length = strlen(name) };

	for (size_t i = 0; i < ACTIONS; i++)
		px_nearest_try(&nearest, actions[i].name);
	if (nearest.best)
		return px_command_misuse(&px_verb_profile,
					 "there is no 'pxrun profile %s'; did you mean '%s'?", name,
					 nearest.best);
	return px_command_misuse(&px_verb_profile,
				 "there is no 'pxrun profile %s', but list, show and check", name);
}

static int act(const struct action *action, struct request *request, int count)
{
	char *named[] = { (char *)(uintptr_t)request->profile, NULL };

	if (request->json && !action->json)
		return px_command_misuse(&px_verb_profile, "'%s' has no --json", action->name);
	if (request->profile && (count || !action->most))
		return px_command_misuse(&px_verb_profile,
					 action->most ? "a name, or --profile, but not both" :
							"'list' has no --profile");
	if (count > action->most)
		return px_command_misuse(&px_verb_profile, "unexpected argument '%s'",
					 request->names[action->most]);
	if (request->profile)
		request->names = named;
	return action->run(request);
}

static int take_own(void *ctx, int option, const char *value)
{
	struct request *request = ctx;

	if (option == 'p')
		request->profile = value;
	else
		request->json = true;
	return 0;
}

static int run(int argc, char **argv)
{
	static const struct option list_of_own[] = {
		{ "json", no_argument, NULL, PX_OPTION_OWN },
		{ "profile", required_argument, NULL, 'p' },
	};
	struct request request = { .json = false };
	const struct px_own_options own = {
		.letters = "p:", .list = list_of_own, .count = 2, .take = take_own, .ctx = &request
	};
	int rc = px_pool_options_read(&px_verb_profile, argc, argv, &own, NULL);

	if (rc)
		return px_pool_options_end(&px_verb_profile, rc);
	if (optind == argc)
		return px_command_misuse(&px_verb_profile, "say what to do: list, show or check");
	request.names = argv + optind + 1;
	for (size_t i = 0; i < ACTIONS; i++)
		if (!strcmp(argv[optind], actions[i].name))
			return act(&actions[i], &request, argc - optind - 1);
	return unknown(argv[optind]);
}

const struct px_verb px_verb_profile = {
	.name = "profile",
	.summary = "list, show and check files of settings",
	.run = run,
	.help = "usage: pxrun profile list|show|check [OPTION...] [NAME|FILE...]\n"
		"list   lists the profiles that have files, and whether their pools run.\n"
		"show   prints the settings with which a pool would start, and where each comes from:\n"
		"       the environment, a line and column of the file, or the default.\n"
		"check  prints all errors of files, a line each, or that they are ok.\n"
		"A FILE has a '/', or ends with .yaml.\n\n"
		"      --json             of list and show: as JSON\n"
		"  -p, --profile NAME     which one (default: $PXRUN_PROFILE, else 'default')\n",
};
