/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command.c - prints errors and help, the same way for all verbs.
 */
#include "bin/command.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bin/nearest.h"
#include "bin/pool_option.h"
#include "bin/visible.h"
#include "client/pxrun.h"

#define WIDTH 80

const char *px_command_self(char *out)
{
	ssize_t length = readlink("/proc/self/exe", out, PATH_MAX - 1);

	if (length < 0)
		return NULL;
	out[length] = '\0';
	return out;
}

static int output_errno;

void px_command_written(bool done)
{
	if (!done && !output_errno)
		output_errno = errno;
}

int px_command_output_errno(void)
{
	return output_errno;
}

int px_command_exit(int rc)
{
	switch (rc) {
	case 0:
		return PX_EXIT_OK;
	case PX_EINVAL:
		return PX_EXIT_USAGE;
	case PX_ENOPOOL:
	case PX_EPOOL:
		return PX_EXIT_NO_POOL;
	case PX_EENGINE:
		return PX_EXIT_ENGINE;
	case PX_EEXIST:
		return PX_EXIT_EXISTS;
	default:
		return PX_EXIT_FAILED;
	}
}

__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list ap)
{
	char *words = NULL;

	if (vasprintf(&words, format, ap) < 0)
		words = NULL;
	fputs("pxrun: ", stderr);
	px_visible_write(words ? words : "no private memory for words", stderr);
	fputc('\n', stderr);
	free(words);
}

void px_command_say(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(format, ap);
	va_end(ap);
}

int px_command_fail(int rc)
{
	const char *words = px_last_error();

	px_command_written(fflush(stdout) == 0);
	px_command_say("%s", *words ? words : px_strerror(rc));
	return px_command_exit(rc);
}

void px_command_warn(const char *lines)
{
	px_command_written(fflush(stdout) == 0);
	while (*lines) {
		int length = (int)strcspn(lines, "\n");

		px_command_say("warning: %.*s", length, lines);
		lines += length + (lines[length] == '\n');
	}
}

void px_command_suggest(const char *argument, const struct option *options)
{
	struct px_nearest nearest = { .word = argument + strlen("--") };

	if (strncmp(argument, "--", strlen("--")) != 0)
		return;
	nearest.length = strcspn(nearest.word, "=");
	for (; options->name; options++) {
		/* It is known, or short for several that are. */
		if (!strncmp(options->name, nearest.word, nearest.length))
			return;
		px_nearest_try(&nearest, options->name);
	}
	if (nearest.best)
		fprintf(stderr, "pxrun: did you mean '--%s'?\n", nearest.best);
}

int px_command_bad_option(const struct px_verb *verb)
{
	fprintf(stderr, "Try 'pxrun help %s' for more information.\n", verb->name);
	return PX_EXIT_USAGE;
}

int px_command_misuse(const struct px_verb *verb, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(format, ap);
	va_end(ap);
	return px_command_bad_option(verb);
}

void px_command_write_wrapped(const char *text, int column, FILE *to)
{
	int at = column;

	while (*text) {
		int length = (int)strcspn(text, " ");

		if (at > column && at + 1 + length > WIDTH) {
			fprintf(to, "\n%*s", column, "");
			at = column;
		}
		at += fprintf(to, "%s%.*s", at > column ? " " : "", length, text);
		text += length + (text[length] == ' ');
	}
	putc('\n', to);
}

void px_command_write_help(const struct px_verb *verb, FILE *to)
{
	fputs(verb->help, to);
	if (verb->settings)
		px_pool_options_help(verb, to);
	if (verb->help_end)
		fputs(verb->help_end, to);
}

int px_command_help(const struct px_verb *verb)
{
	px_command_write_help(verb, stdout);
	return PX_EXIT_OK;
}
