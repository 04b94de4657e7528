/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.c - `pxrun log`: what a pool's supervisor, template and engines have printed.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/command.h"
#include "bin/log_reader.h"
#include "bin/pool_option.h"
#include "pool/log_line.h"
#include "shm/error.h"
#include "shm/layout.h"

/* How many lines are shown before those to come, as tail(1) has it. */
#define FOLLOW_LINES 10

struct request {
	const char *profile;
	bool follow, counted, chosen;
	uint64_t lines;
	/* Of which lines are shown, if chosen. */
	bool supervisor, template, engines[PX_ENGINES_MAX];
};

/* --- lines --- */

/* A line that does not say whose it is was printed by a library of the supervisor's. */
static bool is_wanted(const struct request *request, const char *line)
{
	int64_t whose = PX_LOG_SUPERVISOR;

	if (!request->chosen)
		return true;
	(void)px_log_line_whose(line, &whose);
	if (whose == PX_LOG_SUPERVISOR)
		return request->supervisor;
	if (whose == PX_LOG_TEMPLATE)
		return request->template;
	return whose < PX_ENGINES_MAX && request->engines[whose];
}

/* All that are there by now, but for the first ones. Returns their number. */
static uint64_t show(const struct request *request, struct px_log_reader *reader, uint64_t but)
{
	uint64_t count = 0;

	while (!ferror(stdout) && px_log_reader_next(reader, !request->follow))
		if (is_wanted(request, reader->line) && ++count > but)
			px_command_written(fwrite(reader->line, 1, reader->length, stdout) ==
					   reader->length);
	px_command_written(fflush(stdout) == 0);
	return count;
}

static int show_log(const struct request *request, const struct px_runtime *runtime)
{
	struct px_log_reader reader;
	uint64_t but = 0;
	char path[128];
	int rc = 0;

	px_log_reader_open(&reader, runtime);
	if (!px_log_reader_rewind(&reader)) {
		rc = px_fail(PX_ENOPOOL, "there is no log of the profile '%s': %s",
			     runtime->profile, px_runtime_path(runtime, "log", path, sizeof(path)));
		if (request->follow)
			fprintf(stderr, "pxrun: %s; waits for a pool\n", px_last_error());
	}
	if (rc == 0 && request->counted) {
		but = show(request, &reader, UINT64_MAX);
		but = but > request->lines ? but - request->lines : 0;
		(void)px_log_reader_rewind(&reader);
	}
	(void)show(request, &reader, but);
	while (request->follow && !ferror(stdout) && px_log_reader_wait(&reader))
		(void)show(request, &reader, 0);
	px_log_reader_close(&reader);
	return request->follow || rc == 0 ? PX_EXIT_OK : px_command_fail(rc);
}

/* --- the command line --- */

static bool choose(struct request *request, const char *word, size_t length)
{
	char *end;
	unsigned long id;

	if (length == strlen("supervisor") && !strncmp(word, "supervisor", length))
		return request->supervisor = true;
	if (length == strlen("template") && !strncmp(word, "template", length))
		return request->template = true;
	errno = 0;
	id = strtoul(word, &end, 10);
	if (*word < '0' || *word > '9' || errno || id >= PX_ENGINES_MAX || end != word + length)
		return false;
	return request->engines[id] = true;
}

static int choose_all(struct request *request, const char *text)
{
	request->chosen = strcmp(text, "all") != 0;
	request->supervisor = request->template = false;
	memset(request->engines, 0, sizeof(request->engines));
	for (const char *at = text; request->chosen; at++) {
		size_t length = strcspn(at, ",");

		if (!choose(request, at, length))
			return px_fail(
				PX_EINVAL,
				"-t must be 'all', or ids of engines, 'supervisor' and 'template' separated by "
				"commas, such as 0,2,supervisor, not '%.80s'",
				text);
		at += length;
		if (!*at)
			break;
	}
	return 0;
}

static int count_lines(struct request *request, const char *text)
{
	char *end;

	errno = 0;
	request->lines = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || errno || *end)
		return px_fail(PX_EINVAL, "-n must be a number of lines, not '%.80s'", text);
	request->counted = true;
	return 0;
}

static int take(void *ctx, int option, const char *value)
{
	struct request *request = ctx;

	switch (option) {
	case 'f':
		request->follow = true;
		return 0;
	case 'n':
		return count_lines(request, value);
	case 'p':
		request->profile = value;
		return 0;
	default:
		return choose_all(request, value);
	}
}

static int run(int argc, char **argv)
{
	static const struct option list[] = {
		{ "follow", no_argument, NULL, 'f' },
		{ "lines", required_argument, NULL, 'n' },
		{ "profile", required_argument, NULL, 'p' },
		{ "targets", required_argument, NULL, 't' },
	};
	struct request request = { .lines = FOLLOW_LINES };
	const struct px_own_options own = {
		.letters = "fn:p:t:", .list = list, .count = 4, .take = take, .ctx = &request
	};
	struct px_runtime runtime;
	int rc = px_pool_options_read(&px_verb_log, argc, argv, &own, NULL);

	if (rc)
		return px_pool_options_end(&px_verb_log, rc);
	if (optind < argc)
		return px_command_misuse(&px_verb_log, "unexpected argument '%s'", argv[optind]);
	request.counted |= request.follow;
	if (request.profile && strchr(request.profile, '/'))
		rc = px_runtime_from_file(request.profile, &runtime);
	else
		rc = px_runtime_find(request.profile, false, &runtime);
	return rc < 0 ? px_command_fail(rc) : show_log(&request, &runtime);
}

const struct px_verb px_verb_log = {
	.name = "log",
	.summary = "show what a pool has printed, also one that has stopped",
	.run = run,
	.help = "usage: pxrun log [OPTION...]\n"
		"Shows what a pool's supervisor and engines have printed, each line with its time. The log\n"
		"of a pool that has stopped, or could not be started, is there until the next start.\n\n"
		"  -f, --follow           go on with what is printed from now on, also by the next pool\n"
		"  -n, --lines N          only the last N lines (default: all, with -f the last 10)\n"
		"  -t, --targets IDS      only these engines, such as 0,2; also 'supervisor' and 'template',\n"
		"                         which forks engines (default: all)\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n",
};
