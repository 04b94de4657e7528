/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map.c - `pxrun map`: a function of Python's, or a shell command, for each record of the input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bin/command.h"
#include "bin/map_run.h"
#include "bin/own_pool.h"
#include "bin/pool_option.h"
#include "client/client.h"
#include "machine/wall_clock.h"
#include "pool/profile.h"
#include "shm/error.h"

/* What the command line says. */
struct line {
	struct px_settings settings;
	const char *profile;
	struct px_map_job job;
	struct px_map_input input;
	uint32_t chunk;
	bool nul, json, csv, tsv, json_out, resume;
	bool owns; /* the pool is its own */
};

/* --- the command line --- */

enum {
	OPTION_JSON = PX_OPTION_OWN,
	OPTION_CSV,
	OPTION_TSV,
	OPTION_JSON_OUT,
	OPTION_INIT,
	OPTION_RETRIES,
	OPTION_TIMEOUT,
	OPTION_CHUNK,
	OPTION_JOBLOG,
	OPTION_RESUME,
	OPTION_DRY_RUN,
};

static const struct option options[] = {
	{ "command", required_argument, NULL, 'c' },
	{ "null", no_argument, NULL, '0' },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "csv", no_argument, NULL, OPTION_CSV },
	{ "tsv", no_argument, NULL, OPTION_TSV },
	{ "json-out", no_argument, NULL, OPTION_JSON_OUT },
	{ "unordered", no_argument, NULL, 'u' },
	{ "keep-going", no_argument, NULL, 'k' },
	{ "init", required_argument, NULL, OPTION_INIT },
	{ "retries", required_argument, NULL, OPTION_RETRIES },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "chunk", required_argument, NULL, OPTION_CHUNK },
	{ "joblog", required_argument, NULL, OPTION_JOBLOG },
	{ "resume", no_argument, NULL, OPTION_RESUME },
	{ "dry-run", no_argument, NULL, OPTION_DRY_RUN },
	{ "colsep", required_argument, NULL, 'C' },
	{ "profile", required_argument, NULL, 'p' },
};

/* A whole number in [least, UINT32_MAX]. */
static int take_number(const char *name, const char *text, uint32_t least, uint32_t *out)
{
	char *end;
	unsigned long long number = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || number < least || number > UINT32_MAX)
		return px_fail(PX_EINVAL, "%s must be a whole number from %u on, not '%.80s'", name,
			       least, text);
	*out = (uint32_t)number;
	return 0;
}

static int take_timeout(const char *text, uint64_t *out)
{
	int rc = px_seconds_option("--timeout", text, out);

	if (rc == 0 && *out == 0)
		rc = px_fail(PX_EINVAL, "--timeout must be longer than 0 seconds");
	return rc;
}

static int take_flag(struct line *line, int option)
{
	bool *const flags[] = { &line->json, &line->csv, &line->tsv, &line->json_out };

	if (option == '0')
		line->nul = true;
	else if (option == 'u')
		line->job.unordered = true;
	else if (option == 'k')
		line->job.keep_going = true;
	else if (option == OPTION_RESUME)
		line->resume = true;
	else if (option == OPTION_DRY_RUN)
		line->job.dry = true;
	else
		*flags[option - OPTION_JSON] = true;
	return 0;
}

static int take_option(void *ctx, int option, const char *value)
{
	struct line *line = ctx;

	switch (option) {
	case 'c':
		line->job.shell = true;
		line->job.code = value;
		return 0;
	case 'C':
		line->job.colsep = value;
		return *value ? 0 : px_fail(PX_EINVAL, "--colsep must not be empty");
	case 'j':
	case 'P': /* as parallel and xargs call it */
		return px_settings_set(&line->settings, PX_SETTING_ENGINES, PX_FROM_OPTION,
				       option == 'j' ? "-j" : "-P", value);
	case 'p':
		line->profile = value;
		return 0;
	case OPTION_INIT:
		line->job.init = value;
		return 0;
	case OPTION_JOBLOG:
		line->job.log = value;
		return 0;
	case OPTION_RETRIES:
		return take_number("--retries", value, 0, &line->job.retries);
	case OPTION_TIMEOUT:
		return take_timeout(value, &line->job.timeout_ns);
	case OPTION_CHUNK:
		if (!strcmp(value, "auto"))
			return 0;
		return take_number("--chunk", value, 1, &line->chunk);
	default:
		return take_flag(line, option);
	}
}

/* Cuts off what stands behind ':::'. Returns how many arguments are before it. */
static int take_arguments(struct line *line, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], ":::") != 0)
			continue;
		line->input.arguments = &argv[i + 1];
		argv[i] = NULL;
		return i;
	}
	return argc;
}

static bool asks_for_pool(const struct line *line)
{
	for (int id = 0; id < PX_SETTINGS; id++)
		if (line->settings.values[id].source == PX_FROM_OPTION)
			return true;
	return false;
}

/* Whether the options go together. PX_EINVAL. */
static int check(struct line *line)
{
	if (line->nul + line->json + line->csv > 1)
		return px_fail(PX_EINVAL, "-0, --json and --csv exclude each other");
	if (line->tsv && line->json_out)
		return px_fail(PX_EINVAL, "--tsv and --json-out exclude each other");
	if (line->job.shell && (line->json || line->tsv || line->json_out))
		return px_fail(PX_EINVAL, "-c takes lines, with -0 what ends with NUL, or --csv, "
					  "and its results are what the command prints");
	if (*line->job.colsep && (line->json || line->csv || !line->job.shell))
		return px_fail(PX_EINVAL, "--colsep is for lines of -c: code has line.split()");
	if (line->resume && !line->job.log)
		return px_fail(PX_EINVAL, "--resume needs the --joblog of the run that ended");
	if (line->profile && asks_for_pool(line))
		return px_fail(PX_EINVAL, "-p uses a pool that runs, and -n and other settings "
					  "start one: they exclude each other");
	for (char **argument = line->input.arguments; argument && *argument; argument++)
		if (!strncmp(*argument, ":::", 3))
			return px_fail(PX_EINVAL, "one ':::' is all that there can be");
	return 0;
}

/* What the options mean. */
static void settle(struct line *line)
{
	struct px_map_input *input = &line->input;

	input->format = line->json ? PX_MAP_JSON : line->csv ? PX_MAP_CSV : PX_MAP_LINES;
	input->separator = line->nul || line->csv || input->arguments ? '\0' : '\n';
	line->job.output = line->tsv ? "tsv" : line->json_out || line->json ? "json" : "lines";
}

/* --- the pool --- */

/* Sets what neither an option nor the profile says. */
static int prefer(struct px_settings *settings, const struct px_settings *profile,
		  enum px_setting_id id, const char *what, const char *text)
{
	if (settings->values[id].source != PX_FROM_DEFAULT ||
	    profile->values[id].source != PX_FROM_DEFAULT)
		return 0;
	return px_settings_set(settings, id, PX_FROM_OPTION, what, text);
}

/*
 * A private pool. It has engines in place of those that end, however they do, and does not wait for numpy,
 * which takes longer to import than many a map takes.
 */
static int start_pool(struct px_settings *settings, struct px_client **client)
{
	struct px_settings profile;
	int rc;

	px_settings_init(&profile);
	rc = px_profile_load("default", &profile);
	if (rc == 0)
		rc = prefer(settings, &profile, PX_SETTING_RESTART, "--restart", "always");
	if (rc == 0)
		rc = prefer(settings, &profile, PX_SETTING_PRELOAD, "--preload",
			    "pxrun.engine.records");
	px_settings_clear(&profile);
	return rc < 0 ? rc : px_own_pool_start(settings, client);
}

/* The pool that runs, if there is one and no other is asked for. */
static int find_pool(struct line *line, struct px_client **client)
{
	int rc = PX_ENOPOOL;

	if (!asks_for_pool(line))
		rc = px_client_attach(line->profile, 0, client);
	if (rc != PX_ENOPOOL || line->profile)
		return rc;
	rc = start_pool(&line->settings, client);
	line->owns = rc == 0;
	return rc;
}

static int map(struct line *line)
{
	struct px_map_output output = { .log_path = line->job.log,
					.log_stays = line->job.dry,
					.signals = &px_map_signals };
	struct px_map_run run = { .job = &line->job,
				  .input = &line->input,
				  .output = &output,
				  .chunk = line->chunk,
				  .progress = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO) };
	int rc, code;

	rc = px_map_output_open(&output, line->resume);
	if (line->job.dry)
		line->job.log = NULL;
	if (rc == 0)
		rc = find_pool(line, &run.client);
	if (rc == 0) {
		/* Not before: a start that hangs is ended by any signal, and the pool with it. */
		px_map_catch_signals();
		px_map_input_open(&line->input);
		code = px_map_run(&run);
	} else {
		code = px_command_fail(rc);
	}
	px_map_input_close(&line->input);
	px_map_output_close(&output);
	if (line->owns)
		px_own_pool_end(run.client);
	else
		px_client_detach(run.client);
	return code;
}

/* --- the verb --- */

/* Whether there is something to be done; else *code is the exit code. */
static bool read_line(struct line *line, int argc, char **argv, int *code)
{
	const struct px_own_options own = { .letters = "c:0ukC:j:P:p:",
					    .list = options,
					    .count = sizeof(options) / sizeof(options[0]),
					    .take = take_option,
					    .ctx = line };
	int rc;

	argc = take_arguments(line, argc, argv);
	rc = px_pool_options_read(&px_verb_map, argc, argv, &own, &line->settings);
	if (rc == 0)
		rc = check(line);
	if (rc)
		*code = px_pool_options_end(&px_verb_map, rc);
	else if (!line->job.code && optind == argc)
		*code = px_command_misuse(&px_verb_map,
					  "no function: give code such as 'line.upper()', "
					  "module:function, or -c 'command {}'");
	else if (optind + !line->job.code < argc)
		*code = px_command_misuse(&px_verb_map,
					  "unexpected argument '%s': records come from standard "
					  "input, or stand behind ':::'",
					  argv[optind + !line->job.code]);
	else if (!line->job.folder)
		*code = px_command_fail(px_fail_errno("the working folder"));
	else
		return true;
	return false;
}

static int run(int argc, char **argv)
{
	struct line line = { .job = { .init = "", .colsep = "" } };
	int code;

	px_settings_init(&line.settings);
	snprintf(line.job.id, sizeof(line.job.id), "%d.%llu", (int)getpid(),
		 (unsigned long long)px_wall_ns());
	line.job.folder = realpath(".", NULL);
	if (read_line(&line, argc, argv, &code)) {
		if (!line.job.code)
			line.job.code = argv[optind];
		settle(&line);
		code = map(&line);
	}
	free(line.job.folder);
	px_settings_clear(&line.settings);
	return code;
}

const struct px_verb px_verb_map = {
	.name = "map",
	.summary = "a function or shell command for each line of input",
	.run = run,
	.help = "usage: pxrun map [OPTION...] FUNCTION [::: ARGUMENT...]\n"
		"       pxrun map [OPTION...] -c COMMAND [::: ARGUMENT...]\n"
		"Calls a function for each line of standard input, or each argument, on the engines\n"
		"of a pool, and prints the results in order. FUNCTION is code, such as\n"
		"'line.upper()', or module:function; COMMAND is a shell's, with {} for the line.\n"
		"\n"
		"  -c, --command COMMAND  runs this; its results are what it prints\n"
		"  -0, --null             records end with NUL, not with a newline\n"
		"      --json             each line is JSON, x in code, and so are the results\n"
		"      --csv              the first line has names: row['name'] in code, {name} or {1}\n"
		"                         in a command\n"
		"  -C, --colsep REGEX     what is between the columns of lines, {1} and so on in a command\n"
		"      --json-out         results as JSON\n"
		"      --tsv              results as fields with tabs between them\n"
		"  -u, --unordered        results as they come\n"
		"  -k, --keep-going       also behind a record that fails\n"
		"      --retries N        so many more tries of one that fails (default: 0)\n"
		"      --timeout SECONDS  a record that takes longer fails\n"
		"      --init CODE        runs once in each engine, before the first record\n"
		"      --chunk N          records of a task (default: auto, by how long they take)\n"
		"      --joblog FILE      a line for each record that is done, as GNU parallel's\n"
		"      --resume           leaves out what that FILE has as done\n"
		"      --dry-run          prints what would run\n"
		"  -p, --profile NAME     which pool (default: that which runs, or else a new one)\n\n"
		"Any of these starts a pool for this command, -j and -P as -n:\n",
	.settings = PX_OF_RUN,
	.help_end =
		"\nExit code: 0, 1 if a record failed, 2 if the options are wrong, 3 if no pool runs.\n",
};
