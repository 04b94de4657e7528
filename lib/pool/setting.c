/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * setting.c - checks the words of settings.
 */
#include "pool/setting.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/layout.h"

#define ARENA_MIN_BYTES (UINT64_C(1) << 20)
#define ARENA_MAX_BYTES (UINT64_C(1) << 44)

int px_setting_engines(const char *what, const char *text, uint32_t *out)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || end == text || *end || number < 1 || number > PX_ENGINES_MAX)
		return px_fail(PX_EINVAL, "%s must be a whole number from 1 to %d, not '%.80s'",
			       what, PX_ENGINES_MAX, text);
	*out = (uint32_t)number;
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

	if (!*suffix)
		return 1;
	if (!strcmp(suffix, "%"))
		return memory_bytes() / 100;
	letter = strchr(letters, *suffix >= 'a' ? *suffix - 'a' + 'A' : *suffix);
	if (!letter || (suffix[1] && strcmp(suffix + 1, "iB")))
		return 0;
	return UINT64_C(1) << (10 * (letter - letters + 1));
}

int px_setting_arena(const char *what, const char *text, uint64_t *out)
{
	char *end = (char *)(uintptr_t)text;
	unsigned long long number = 0;
	uint64_t factor = 0, bytes = 0;

	errno = 0;
	if (text[0] >= '0' && text[0] <= '9') {
		number = strtoull(text, &end, 10);
		factor = size_factor(end);
	}
	if (errno || !factor)
		return px_fail(
			PX_EINVAL,
			"%s must be a size such as 512M, 4G or 50%% (of the memory), not '%.80s'",
			what, text);
	if (*end == '%' && (number < 1 || number > 100))
		return px_fail(PX_EINVAL, "%s must be from 1%% to 100%% of the memory, not '%.80s'",
			       what, text);
	if (__builtin_mul_overflow((uint64_t)number, factor, &bytes) || bytes < ARENA_MIN_BYTES ||
	    bytes > ARENA_MAX_BYTES)
		return px_fail(PX_EINVAL, "%s must be from 1M to 16T, not '%.80s'", what, text);
	*out = bytes;
	return 0;
}

static int parse_choice(const char *what, const char *text, const char *const *choices,
			const char **out)
{
	for (unsigned i = 0; i < 3; i++)
		if (!strcmp(text, choices[i])) {
			*out = choices[i];
			return 0;
		}
	return px_fail(PX_EINVAL, "%s must be '%s', '%s' or '%s', not '%.80s'", what, choices[0],
		       choices[1], choices[2], text);
}

int px_setting_restart(const char *what, const char *text, const char **out)
{
	static const char *const choices[3] = { "never", "on-failure", "always" };

	return parse_choice(what, text, choices, out);
}

int px_setting_event_loop(const char *what, const char *text, const char **out)
{
	static const char *const choices[3] = { "auto", "io_uring", "epoll" };

	return parse_choice(what, text, choices, out);
}

int px_setting_huge_pages(const char *what, const char *text, const char **out)
{
	if (strcmp(text, "auto") && strcmp(text, "never"))
		return px_fail(PX_EINVAL, "%s must be 'auto' or 'never', not '%.80s'", what, text);
	*out = text[0] == 'a' ? "auto" : "never";
	return 0;
}

/* Bytes beyond ASCII may be letters: Python's identifiers are in Unicode. */
static bool name_character(unsigned char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80 ||
	       (!first && c >= '0' && c <= '9');
}

int px_setting_preload(const char *what, const char *text)
{
	bool first = true;

	for (const char *at = text; *at; at++) {
		bool separator = *at == ',' || *at == '.';

		if (separator ? first || !at[1] : !name_character((unsigned char)*at, first))
			return px_fail(PX_EINVAL,
				       "%s must be names of modules separated by commas, such as "
				       "numpy,scipy.linalg, not '%.80s'",
				       what, text);
		first = separator;
	}
	return 0;
}
