/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * setting.c - parses values of settings, and says what is allowed.
 */
#include "pool/setting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "shm/error.h"

#define MILLION UINT64_C(1000000)

/* --- names --- */

const char *px_setting_option(const struct px_setting *setting, char *out)
{
	snprintf(out, PX_SETTING_NAME_BYTES, "--%s", setting->name);
	for (char *at = out; *at; at++)
		if (*at == '_')
			*at = '-';
	return out;
}

const char *px_setting_keyword(const struct px_setting *setting)
{
	return setting->keyword ? setting->keyword : setting->name;
}

const char *px_setting_preset(const struct px_setting *setting)
{
	return setting->preset_words ? setting->preset_words : setting->preset;
}

/* --- what is allowed, in words --- */

/* "'a', 'b' or 'c'". */
static void list_words(const struct px_setting *setting, char *out, size_t out_bytes)
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = 0; setting->words[i] && used < out_bytes; i++) {
		const char *before = i == 0 ? "" : setting->words[i + 1] ? ", " : " or ";

		used += (size_t)snprintf(out + used, out_bytes - used, "%s'%s'", before,
					 setting->words[i]);
	}
}

static void allowed(const struct px_setting *setting, char *out, size_t out_bytes)
{
	static const char *const words[] = {
		[PX_TYPE_SIZE] = "a size such as 512M, 4G or 50% (of the memory)",
		[PX_TYPE_FLAG] = "true or false",
		[PX_TYPE_PROGRAM] = "the absolute path of a program, such as /usr/bin/python3",
		[PX_TYPE_FILE] = "the absolute path of a file, such as ~/pool.log",
		[PX_TYPE_COMMAND] =
			"the name of a program, such as mpiexec.mpich, or its absolute path",
		[PX_TYPE_WORDS] =
			"words separated by blanks, such as '--oversubscribe --bind-to core'",
		[PX_TYPE_CODE] =
			"Python code, or the absolute path of a file with it, such as ~/startup.py",
		[PX_TYPE_MODULES] =
			"names of modules separated by commas, such as numpy,scipy.linalg",
		[PX_TYPE_FOLDERS] = "folders separated by colons",
		[PX_TYPE_VARIABLES] = "a map of variables, NAME: value",
	};

	if (setting->type == PX_TYPE_COUNT)
		snprintf(out, out_bytes, "a whole number from %" PRIu64 " to %" PRIu64,
			 setting->min, setting->max);
	else if (setting->type == PX_TYPE_WORD)
		list_words(setting, out, out_bytes);
	else
		snprintf(out, out_bytes, "%s", words[setting->type]);
}

int px_setting_refuse(const struct px_setting *setting, const char *what, const char *found)
{
	char may[160];

	allowed(setting, may, sizeof(may));
	return px_fail(PX_EINVAL, "%s must be %s, not %.90s", what, may, found);
}

static int refuse_text(const struct px_setting *setting, const char *what, const char *text)
{
	char found[84];

	snprintf(found, sizeof(found), "'%.80s'", text);
	return px_setting_refuse(setting, what, found);
}

/* --- types --- */

static int parse_count(const struct px_setting *setting, const char *what, const char *text,
		       uint64_t *out)
{
	char *end = NULL;
	uint64_t number = 0;

	errno = 0;
	if (text[0] >= '0' && text[0] <= '9')
		number = strtoull(text, &end, 10);
	if (errno || !end || *end || number < setting->min || number > setting->max)
		return refuse_text(setting, what, text);
	*out = number;
	return 0;
}

static uint64_t memory_bytes(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The factor of a suffix; 0 if it is none. A percentage has memory / 100. */
static uint64_t size_factor(const char *suffix)
{
	static const char letters[] = "KMGT";
	const char *letter;

	suffix += strspn(suffix, " ");
	if (!*suffix)
		return 1;
	if (!strcmp(suffix, "%"))
		return memory_bytes() / 100;
	letter = strchr(letters, *suffix >= 'a' ? *suffix - 'a' + 'A' : *suffix);
	if (!letter || (suffix[1] && strcasecmp(suffix + 1, "B") && strcasecmp(suffix + 1, "iB")))
		return 0;
	return UINT64_C(1) << (10 * (letter - letters + 1));
}

/* The digits after the point, in millionths; more digits are ignored. */
static uint64_t read_fraction(char **at)
{
	uint64_t millionths = 0, unit = MILLION / 10;

	if (**at != '.' || (*at)[1] < '0' || (*at)[1] > '9')
		return 0;
	while (*++*at >= '0' && **at <= '9') {
		millionths += unit * (uint64_t)(**at - '0');
		unit /= 10;
	}
	return millionths;
}

/* "1M". min and max are powers of two. */
static const char *size_words(uint64_t bytes, char *out)
{
	int thousands = __builtin_ctzll(bytes) / 10;

	sprintf(out, "%" PRIu64 "%.1s", bytes >> (10 * thousands), &"\0KMGT"[thousands]);
	return out;
}

static int parse_size(const struct px_setting *setting, const char *what, const char *text,
		      uint64_t *out)
{
	char *end = (char *)(uintptr_t)text, min[24], max[24];
	uint64_t whole = 0, fraction = 0, factor = 0, bytes;

	errno = 0;
	/* Not strtod(3), whose decimal point depends on the program's locale. */
	if (text[0] >= '0' && text[0] <= '9') {
		whole = strtoull(text, &end, 10);
		fraction = read_fraction(&end);
		factor = size_factor(end);
	}
	if (errno || !factor)
		return refuse_text(setting, what, text);
	if (strchr(end, '%') && (whole < 1 || whole > 100 || (whole == 100 && fraction)))
		return px_fail(PX_EINVAL, "%s must be from 1%% to 100%% of the memory, not '%.80s'",
			       what, text);
	/* A factor has at most 40 bits, a fraction 20. */
	if (__builtin_mul_overflow(whole, factor, &bytes) ||
	    __builtin_add_overflow(bytes, factor * fraction / MILLION, &bytes) ||
	    bytes < setting->min || bytes > setting->max)
		return px_fail(PX_EINVAL, "%s must be from %s to %s, not '%.80s'", what,
			       size_words(setting->min, min), size_words(setting->max, max), text);
	*out = bytes;
	return 0;
}

static int parse_word(const struct px_setting *setting, const char *what, const char *text,
		      uint64_t *out)
{
	for (unsigned i = 0; setting->words[i]; i++)
		if (!strcmp(text, setting->words[i])) {
			*out = i;
			return 0;
		}
	return refuse_text(setting, what, text);
}

static int parse_flag(const struct px_setting *setting, const char *what, const char *text,
		      uint64_t *out)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on", "n", "y" };

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcasecmp(text, words[i])) {
			*out = i % 2;
			return 0;
		}
	return refuse_text(setting, what, text);
}

/* Bytes beyond ASCII may be letters: Python's identifiers are in Unicode. */
static bool name_character(unsigned char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80 ||
	       (!first && c >= '0' && c <= '9');
}

bool px_setting_is_path(const struct px_setting *setting, const char *text)
{
	size_t length = strlen(text);

	if (setting->type != PX_TYPE_CODE || strchr(text, '\n'))
		return false;
	return text[0] == '/' || !strncmp(text, "~/", 2) ||
	       (length > 3 && !strcmp(text + length - 3, ".py"));
}

static int parse_modules(const struct px_setting *setting, const char *what, const char *text)
{
	bool first = true;

	for (const char *at = text; *at; at++) {
		bool separator = *at == ',' || *at == '.';

		if (separator ? first || !at[1] : !name_character((unsigned char)*at, first))
			return refuse_text(setting, what, text);
		first = separator;
	}
	return 0;
}

int px_setting_parse(const struct px_setting *setting, const char *what, const char *text,
		     uint64_t *number)
{
	int rc = 0;

	switch (setting->type) {
	case PX_TYPE_COUNT:
		return parse_count(setting, what, text, number);
	case PX_TYPE_SIZE:
		return parse_size(setting, what, text, number);
	case PX_TYPE_WORD:
		return parse_word(setting, what, text, number);
	case PX_TYPE_FLAG:
		return parse_flag(setting, what, text, number);
	case PX_TYPE_MODULES:
		rc = parse_modules(setting, what, text);
		break;
	case PX_TYPE_COMMAND:
		if (!*text || (strchr(text, '/') && text[0] != '/' && strncmp(text, "~/", 2) != 0))
			rc = refuse_text(setting, what, text);
		break;
	case PX_TYPE_PROGRAM:
	case PX_TYPE_FILE:
		if (!*text)
			rc = refuse_text(setting, what, text);
		break;
	case PX_TYPE_WORDS:
	case PX_TYPE_CODE:
	case PX_TYPE_FOLDERS:
	case PX_TYPE_VARIABLES:
		break;
	}
	if (rc == 0)
		*number = 0;
	return rc;
}
