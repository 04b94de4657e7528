/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool_option.c - makes options and help of the table of settings.
 */
#include "bin/pool_option.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/error.h"

#define SECONDS_MAX 1e9

/* --- reading --- */

#define LIST_MAX 64
/* What getopt_long(3) gives for a setting: this and its id. */
#define OPTION_SETTING 256

/* What getopt_long(3) is asked with. */
struct table {
	struct option list[LIST_MAX];
	char names[PX_SETTINGS][PX_SETTING_NAME_BYTES];
	char letters[LIST_MAX];
};

static void make_table(const struct px_verb *verb, const struct px_own_options *own,
		       struct table *table)
{
	uint32_t count = 0;
	size_t letters = (size_t)sprintf(table->letters, "%sh", own->letters);

	memset(table->list, 0, sizeof(table->list));
	for (int id = 0; id < PX_SETTINGS; id++) {
		const struct px_setting *row = &px_settings_table[id];

		if (!(row->who & verb->settings))
			continue;
		table->list[count++] = (struct option){
			.name = px_setting_option(row, table->names[id]) + strlen("--"),
			.has_arg =
				row->type == PX_TYPE_FLAG ? optional_argument : required_argument,
			.val = row->letter ? row->letter : OPTION_SETTING + id,
		};
		if (row->letter)
			letters += (size_t)sprintf(table->letters + letters, "%c:", row->letter);
	}
	for (uint32_t i = 0; i < own->count; i++)
		table->list[count++] = own->list[i];
	table->list[count] = (struct option){ "help", no_argument, NULL, 'h' };
}

/* The setting of an option; PX_SETTINGS if it is none. */
static int setting_of(const struct px_verb *verb, int option)
{
	int id = 0;

	if (option >= OPTION_SETTING)
		return option < PX_OPTION_OWN ? option - OPTION_SETTING : PX_SETTINGS;
	while (id < PX_SETTINGS && (px_settings_table[id].letter != option ||
				    !(px_settings_table[id].who & verb->settings)))
		id++;
	return id;
}

int px_pool_options_read(const struct px_verb *verb, int argc, char **argv,
			 const struct px_own_options *own, struct px_settings *settings)
{
	struct table table;
	int option, id, rc = 0;

	make_table(verb, own, &table);
	while (rc == 0 &&
	       (option = getopt_long(argc, argv, table.letters, table.list, NULL)) != -1) {
		char what[PX_SETTING_NAME_BYTES];

		if (option == '?')
			px_command_suggest(argv[optind - 1], table.list);
		if (option == 'h' || option == '?')
			return option;
		id = setting_of(verb, option);
		if (id == PX_SETTINGS) {
			rc = own->take(own->ctx, option, optarg);
			continue;
		}
		if (option < OPTION_SETTING)
			snprintf(what, sizeof(what), "-%c", option);
		else
			px_setting_option(&px_settings_table[id], what);
		rc = px_settings_set(settings, (enum px_setting_id)id, PX_FROM_OPTION, what,
				     optarg ? optarg : "true");
	}
	return rc;
}

int px_pool_options_end(const struct px_verb *verb, int rc)
{
	if (rc == 'h')
		return px_command_help(verb);
	if (rc == '?')
		return px_command_bad_option(verb);
	return px_command_misuse(verb, "%s", px_last_error());
}

int px_seconds_option(const char *name, const char *value, uint64_t *timeout_ns)
{
	char *end;
	double seconds = strtod(value, &end);

	if (end == value || *end || !isfinite(seconds) || seconds < 0 || seconds > SECONDS_MAX)
		return px_fail(PX_EINVAL, "%s must be a number of seconds, not '%.80s'", name,
			       value);
	*timeout_ns = (uint64_t)(seconds * 1e9);
	return 0;
}

/* --- help --- */

#define COLUMN 25

static void describe(const struct px_setting *row, char *out, size_t out_bytes)
{
	size_t used = (size_t)snprintf(out, out_bytes, "%s", row->help);

	if (row->type == PX_TYPE_COUNT)
		used += (size_t)snprintf(out + used, out_bytes - used, ", %d to %d", (int)row->min,
					 (int)row->max);
	for (int i = 0; row->words[i]; i++)
		used += (size_t)snprintf(out + used, out_bytes - used, "%s%s", i ? ", " : ": ",
					 row->words[i]);
	snprintf(out + used, out_bytes - used, " (default: %s)", px_setting_preset(row));
}

void px_pool_options_help(const struct px_verb *verb, FILE *to)
{
	for (int id = 0; id < PX_SETTINGS; id++) {
		const struct px_setting *row = &px_settings_table[id];
		char option[PX_SETTING_NAME_BYTES], words[512];

		if (!(row->who & verb->settings) || !row->help)
			continue;
		if (row->letter)
			fprintf(to, "  -%c, ", row->letter);
		else
			fprintf(to, "      ");
		px_setting_option(row, option);
		fprintf(to, "%s %-*s", option, COLUMN - 7 - (int)strlen(option),
			row->argument ? row->argument : "");
		describe(row, words, sizeof(words));
		px_command_write_wrapped(words, COLUMN, to);
	}
}
