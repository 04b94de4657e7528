/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * complete.c - finds what may be typed next: verbs, their options, engines, profiles.
 *
 * Options are read from the help of their verb, so that there is no second list of them.
 */
#include "bin/complete.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bin/command.h"
#include "client/client.h"
#include "client/start.h"
#include "pool/profile.h"
#include "pool/runtime.h"
#include "pool/settings.h"

/* Nobody waits longer for a supervisor that hangs, with a finger on the key. */
#define SILENCE_NS UINT64_C(500000000)

struct typed {
	int count;
	char **words;
	const char *last;    /* what is to be completed, */
	int stem_bytes;      /* and how much of it stays: "--targets=0," */
	const char *profile; /* that of -p; NULL */
	const struct px_verb *verb;
};

static void offer(const struct typed *typed, const char *word, const char *meaning)
{
	const char *begun = typed->last + typed->stem_bytes;

	if (strncmp(word, begun, strlen(begun)) != 0)
		return;
	printf("%.*s%s\t%s\n", typed->stem_bytes, typed->last, word, meaning);
}

/* --- options, as the help shows them --- */

#define NAMES_MAX 4

struct shown {
	char names[NAMES_MAX][40];
	int count;
	char argument[40]; /* "": it takes none */
	const char *meaning;
};

/* "  -t, --targets IDS      the engines". Cuts the line. */
static bool read_option(char *line, struct shown *out)
{
	char *word = line + strspn(line, " "), *end = strstr(word, "  "), *rest;

	if (word < line + 2 || *word != '-')
		return false;
	*out = (struct shown){ .meaning = end ? end + strspn(end, " ") : "" };
	if (end)
		*end = '\0';
	for (word = strtok_r(word, ", ", &rest); word; word = strtok_r(NULL, ", ", &rest))
		if (*word != '-')
			snprintf(out->argument, sizeof(out->argument), "%s", word);
		else if (out->count < NAMES_MAX)
			snprintf(out->names[out->count++], sizeof(out->names[0]), "%s", word);
	return true;
}

/* The help of the verb, as a new string; NULL: no memory. */
static char *help_text(const struct px_verb *verb)
{
	size_t bytes = 0;
	char *text = NULL;
	FILE *to = open_memstream(&text, &bytes);

	if (!to)
		return NULL;
	px_command_write_help(verb, to);
	fclose(to);
	return text;
}

/* The next of the options in what is left of a text. */
static bool next_option(char **text, struct shown *out)
{
	char *line;

	while ((line = strsep(text, "\n")))
		if (read_option(line, out))
			return true;
	return false;
}

static void offer_options(struct typed *typed)
{
	char *text = help_text(typed->verb), *left = text;
	struct shown shown;

	while (next_option(&left, &shown))
		for (int i = 0; i < shown.count; i++)
			/* The letters are for who knows them. */
			if (shown.count == 1 || !strncmp(shown.names[i], "--", 2))
				offer(typed, shown.names[i], shown.meaning);
	offer(typed, "--help", "explains the verb");
	free(text);
}

/* Whether the verb has such an option, and it takes an argument, whose name is copied. */
static bool takes_argument(const struct typed *typed, const char *name, char argument[40])
{
	char *text = help_text(typed->verb), *left = text;
	struct shown shown;
	bool found = false;

	while (!found && next_option(&left, &shown))
		for (int i = 0; i < shown.count; i++)
			found |= shown.argument[0] && !strcmp(shown.names[i], name);
	if (found)
		memcpy(argument, shown.argument, sizeof(shown.argument));
	free(text);
	return found;
}

/* --- values --- */

static void offer_engines(struct typed *typed)
{
	const char *comma = strrchr(typed->last + typed->stem_bytes, ',');
	uint32_t ids[PX_ENGINES_MAX];
	struct px_client *client = NULL;
	char id[16];
	int count;

	/* Ids are separated by commas. */
	if (comma)
		typed->stem_bytes = (int)(comma + 1 - typed->last);
	if (px_client_attach_within(typed->profile, SILENCE_NS, &client) < 0)
		return;
	count = px_client_engines(client, ids, PX_ENGINES_MAX);
	for (int i = 0; i < count; i++) {
		snprintf(id, sizeof(id), "%u", ids[i]);
		offer(typed, id, "engine");
	}
	px_client_detach(client);
	if (!comma)
		offer(typed, "all", "every engine");
}

static int offer_profile(void *ctx, const struct px_runtime *runtime, const char *path)
{
	(void)path;
	offer(ctx, runtime->profile, px_runtime_alive(runtime) ? "running" : "not running");
	return 0;
}

/* A pool that runs without a file. */
static int offer_pool(void *ctx, const struct px_runtime *runtime)
{
	char path[PATH_MAX];

	if (!px_runtime_is_private(runtime) && px_runtime_alive(runtime) &&
	    (px_profile_path(runtime->profile, path, sizeof(path)) < 0 || access(path, F_OK) < 0))
		offer(ctx, runtime->profile, "running");
	return 0;
}

static void offer_profiles(struct typed *typed)
{
	(void)px_profile_list(offer_profile, typed);
	(void)px_runtime_list(offer_pool, typed);
}

/* The words that a setting can be. */
static void offer_words(struct typed *typed, const char *option)
{
	char name[PX_SETTING_NAME_BYTES];

	for (int id = 0; id < PX_SETTINGS; id++) {
		const struct px_setting *row = &px_settings_table[id];

		if (strcmp(px_setting_option(row, name), option) != 0)
			continue;
		for (int i = 0; row->words[i]; i++)
			offer(typed, row->words[i], row->help ? row->help : "");
	}
}

static void offer_value(struct typed *typed, const char *option, const char *argument)
{
	if (!strcmp(option, "-p") || !strcmp(option, "--profile"))
		offer_profiles(typed);
	else if (!strcmp(argument, "ID") || !strcmp(argument, "IDS"))
		offer_engines(typed);
	else
		offer_words(typed, option);
}

/* --- the line --- */

static void offer_verbs(struct typed *typed)
{
	const struct px_verb *verb;

	for (size_t i = 0; (verb = px_command_verb(i)); i++)
		offer(typed, verb->name, verb->summary);
	offer(typed, "help", "explain a verb");
}

static void find_verb(struct typed *typed)
{
	for (size_t i = 0; (typed->verb = px_command_verb(i)); i++)
		if (!strcmp(typed->verb->name, typed->words[0]))
			return;
}

static void find_profile(struct typed *typed)
{
	for (int i = 1; i < typed->count - 1; i++) {
		const char *word = typed->words[i];

		if (!strcmp(word, "-p") || !strcmp(word, "--profile"))
			typed->profile = i + 1 < typed->count - 1 ? typed->words[i + 1] : NULL;
		else if (!strncmp(word, "--profile=", strlen("--profile=")))
			typed->profile = word + strlen("--profile=");
		else if (!strncmp(word, "-p", 2))
			typed->profile = word + 2;
	}
}

/* "list|show|check", where it is the first argument of the verb. */
static bool offer_actions(struct typed *typed)
{
	char action[40];
	const char *at = strstr(typed->verb->help, typed->verb->name);
	size_t length;

	at += strlen(typed->verb->name) + 1;
	if (typed->count > 2 || !memchr(at, '|', strcspn(at, " \n")))
		return false;
	for (; *at != ' ' && *at != '\n'; at += length + (at[length] == '|')) {
		length = strcspn(at, "| \n");
		snprintf(action, sizeof(action), "%.*s", (int)length, at);
		offer(typed, action, "");
	}
	return true;
}

/* "--option=" before what is to be completed. */
static bool offer_after_equals(struct typed *typed)
{
	const char *equals = strchr(typed->last, '=');
	char option[64], argument[40];

	if (strncmp(typed->last, "--", 2) != 0 || !equals)
		return false;
	snprintf(option, sizeof(option), "%.*s", (int)(equals - typed->last), typed->last);
	typed->stem_bytes = (int)(equals + 1 - typed->last);
	if (takes_argument(typed, option, argument))
		offer_value(typed, option, argument);
	return true;
}

static void offer_for_verb(struct typed *typed)
{
	const char *before = typed->words[typed->count - 2];
	char argument[40];

	find_profile(typed);
	if (takes_argument(typed, before, argument)) {
		offer_value(typed, before, argument);
		return;
	}
	if (offer_after_equals(typed))
		return;
	/* The first line of the help says which arguments there are. */
	if (*typed->last == '-' || strstr(typed->verb->help, "[OPTION...]\n"))
		offer_options(typed);
	else if (offer_actions(typed))
		return;
	else if (strstr(typed->verb->help, "[ID...]\n"))
		offer_engines(typed);
	else if (strstr(typed->verb->help, "[NAME|FILE...]\n"))
		offer_profiles(typed);
}

int px_complete(int count, char **words)
{
	struct typed typed = { .count = count, .words = words };

	if (count < 1)
		return PX_EXIT_USAGE;
	typed.last = words[count - 1];
	if (count == 1 || (count == 2 && !strcmp(words[0], "help"))) {
		offer_verbs(&typed);
		return PX_EXIT_OK;
	}
	find_verb(&typed);
	if (typed.verb)
		offer_for_verb(&typed);
	return PX_EXIT_OK;
}
