/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * profile_show.c - prints settings, for people and as JSON.
 */
#include "bin/profile_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bin/quoted.h"

#define WHERE_BYTES 4200

static bool of_profiles(unsigned id)
{
	return px_settings_table[id].who & PX_OF_PROFILE;
}

static const char *where(const struct px_settings *settings, unsigned id, char *out)
{
	return px_settings_where(settings, (enum px_setting_id)id, out, WHERE_BYTES);
}

/* --- for people --- */

/* On one line: a line's end, and what moves the cursor, as in C. */
static void print_escaped(const char *text)
{
	for (; *text; text++)
		if (*text == '\n')
			fputs("\\n", stdout);
		else if (*text == '\t')
			fputs("\\t", stdout);
		else if ((unsigned char)*text < ' ' || *text == 0x7f)
			printf("\\x%02x", (unsigned)*text);
		else
			putchar(*text);
}

static void print_value(const struct px_settings *settings, unsigned id)
{
	const struct px_setting *row = &px_settings_table[id];
	const struct px_setting_value *value = &settings->values[id];
	const char *text = value->text;

	if (value->source == PX_FROM_DEFAULT)
		fputs(px_setting_preset(row), stdout);
	else if (row->type == PX_TYPE_FLAG)
		fputs(value->number ? "true" : "false", stdout);
	else if (row->type == PX_TYPE_VARIABLES)
		for (char **item = value->list; *item; item++) {
			fputs(item > value->list ? " " : "", stdout);
			print_escaped(*item);
		}
	else
		print_escaped(*text ? text : "\"\"");
}

void px_profile_show(const struct px_settings *settings)
{
	char from[WHERE_BYTES];
	int width = (int)strlen("the default");

	for (unsigned id = 0; id < PX_SETTINGS; id++) {
		int length = (int)strlen(where(settings, id, from));

		if (of_profiles(id) && length > width)
			width = length;
	}
	printf("%-10s  %-*s  %s\n", "SETTING", width, "FROM", "VALUE");
	for (unsigned id = 0; id < PX_SETTINGS; id++) {
		if (!of_profiles(id))
			continue;
		printf("%-10s  %-*s  ", px_settings_table[id].name, width,
		       where(settings, id, from));
		print_value(settings, id);
		putchar('\n');
	}
}

/* --- JSON --- */

static void print_variables(char **list)
{
	putchar('{');
	for (char **item = list; *item; item++) {
		size_t length = strcspn(*item, "=");

		fputs(item > list ? ", " : "", stdout);
		px_quoted_print_part(*item, length);
		fputs(": ", stdout);
		px_quoted_print(*item + length + 1);
	}
	putchar('}');
}

static void print_modules(const char *text)
{
	putchar('[');
	while (*text) {
		size_t length = strcspn(text, ",");

		px_quoted_print_part(text, length);
		text += length + (text[length] == ',');
		fputs(*text ? ", " : "", stdout);
	}
	putchar(']');
}

static void print_json_value(const struct px_settings *settings, unsigned id)
{
	const struct px_setting *row = &px_settings_table[id];
	const struct px_setting_value *value = &settings->values[id];

	/* What the default is, is found at the start. */
	if (value->source == PX_FROM_DEFAULT && row->preset_words) {
		fputs("null", stdout);
		return;
	}
	switch (row->type) {
	case PX_TYPE_COUNT:
	case PX_TYPE_SIZE:
		printf("%" PRIu64, value->number);
		break;
	case PX_TYPE_FLAG:
		fputs(value->number ? "true" : "false", stdout);
		break;
	case PX_TYPE_VARIABLES:
		print_variables(value->list);
		break;
	case PX_TYPE_MODULES:
		print_modules(value->text);
		break;
	default:
		px_quoted_print(px_settings_text(settings, (enum px_setting_id)id));
	}
}

static void print_or_null(const char *text)
{
	if (text)
		px_quoted_print(text);
	else
		fputs("null", stdout);
}

void px_profile_show_json(const struct px_settings *settings, const char *name, const char *file)
{
	char from[WHERE_BYTES];
	const char *before = "";

	fputs("{\"profile\": ", stdout);
	print_or_null(name);
	fputs(", \"file\": ", stdout);
	print_or_null(file);
	fputs(", \"settings\": {", stdout);
	for (unsigned id = 0; id < PX_SETTINGS; id++) {
		if (!of_profiles(id))
			continue;
		printf("%s\n \"%s\": {\"value\": ", before, px_settings_table[id].name);
		print_json_value(settings, id);
		fputs(", \"from\": ", stdout);
		px_quoted_print(where(settings, id, from));
		putchar('}');
		before = ",";
	}
	fputs("}}\n", stdout);
}
