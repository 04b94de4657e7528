/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doctor.c - `pxrun doctor`: what this machine gives pools, and what is to be mended.
 */
#include "bin/doctor.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/command.h"
#include "bin/pool_option.h"
#include "pool/json_text.h"
#include "shm/error.h"

#define COLUMN 24

/* In this order: later ones use what earlier ones have found. */
static const struct {
	const char *name;
	px_doctor_check *run;
} checks[] = {
	{ "profile", px_doctor_settings },
	{ "runtime folder", px_doctor_folder },
	{ "kernel", px_doctor_kernel },
	{ "futex", px_doctor_futex },
	{ "event loop", px_doctor_event_loop },
	{ "shared memory", px_doctor_shm },
	{ "huge pages", px_doctor_huge_pages },
	{ "processors", px_doctor_processors },
	{ "memory", px_doctor_memory },
	{ "processes", px_doctor_processes },
	{ "descriptors", px_doctor_descriptors },
	{ "address space", px_doctor_address_space },
	{ "file size", px_doctor_file_size },
	{ "python", px_doctor_python },
	{ "numpy", px_doctor_numpy },
	{ "modules", px_doctor_modules },
	{ "mpi", px_doctor_mpi },
	{ "pools", px_doctor_pools },
	{ "a pool", px_doctor_trial },
};
#define CHECKS (sizeof(checks) / sizeof(checks[0]))

static const char *const state_words[] = { "ok", "note", "problem" };

/* --- findings --- */

/* In one line, whatever others have written into it. */
static void flatten(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = ' ';
}

void px_doctor_found(struct px_finding *finding, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(finding->found, sizeof(finding->found), format, ap);
	va_end(ap);
	flatten(finding->found);
}

void px_doctor_advise(struct px_finding *finding, enum px_doctor_state state, const char *format,
		      ...)
{
	va_list ap;

	finding->state = state;
	va_start(ap, format);
	vsnprintf(finding->advice, sizeof(finding->advice), format, ap);
	va_end(ap);
	flatten(finding->advice);
}

/* --- printing --- */

static void print_lines(const char *name, const struct px_finding *finding)
{
	printf("%-8s%-16s", state_words[finding->state], name);
	px_command_write_wrapped(finding->found, COLUMN, stdout);
	if (finding->advice[0]) {
		printf("%*s", COLUMN, "");
		px_command_write_wrapped(finding->advice, COLUMN, stdout);
	}
	/* The next one may take a while. */
	px_command_written(fflush(stdout) == 0);
}

static void print_json(const char *name, const struct px_finding *finding, bool first)
{
	char text[6 * sizeof(struct px_finding)];
	struct px_json_text json = { text, sizeof(text), 0, false };

	px_json_put(&json, "%s{\"name\": ", first ? "[" : ",\n ");
	px_json_put_string(&json, name);
	px_json_put(&json, ", \"state\": \"%s\", \"found\": ", state_words[finding->state]);
	px_json_put_string(&json, finding->found);
	px_json_put(&json, ", \"advice\": ");
	px_json_put_string(&json, finding->advice[0] ? finding->advice : NULL);
	px_json_put(&json, "}");
	fputs(text, stdout);
}

static void print_sum(const unsigned *counts)
{
	unsigned problems = counts[PX_DOCTOR_PROBLEM], notes = counts[PX_DOCTOR_NOTE];

	printf("\n%u problem%s, %u note%s\n", problems, problems == 1 ? "" : "s", notes,
	       notes == 1 ? "" : "s");
}

/* --- the command line --- */

static int examine(const char *profile, bool json)
{
	struct px_doctor doctor = { .profile = profile };
	unsigned counts[3] = { 0 };

	px_settings_init(&doctor.settings);
	for (size_t i = 0; i < CHECKS; i++) {
		struct px_finding finding = { .state = PX_DOCTOR_OK };

		checks[i].run(&doctor, &finding);
		counts[finding.state]++;
		if (json)
			print_json(checks[i].name, &finding, i == 0);
		else
			print_lines(checks[i].name, &finding);
	}
	px_settings_clear(&doctor.settings);
	if (json)
		puts("]");
	else
		print_sum(counts);
	return counts[PX_DOCTOR_PROBLEM] ? PX_EXIT_FAILED : PX_EXIT_OK;
}

struct request {
	const char *profile;
	bool json;
};

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
	static const struct option list[] = {
		{ "json", no_argument, NULL, PX_OPTION_OWN },
		{ "profile", required_argument, NULL, 'p' },
	};
	struct request request = { .profile = getenv("PXRUN_PROFILE") };
	const struct px_own_options own = {
		.letters = "p:", .list = list, .count = 2, .take = take_own, .ctx = &request
	};
	int rc = px_pool_options_read(&px_verb_doctor, argc, argv, &own, NULL);

	if (rc)
		return px_pool_options_end(&px_verb_doctor, rc);
	if (optind < argc)
		return px_command_misuse(&px_verb_doctor, "unexpected argument '%s'", argv[optind]);
	if (!request.profile || !request.profile[0])
		request.profile = "default";
	if (px_runtime_check_name(request.profile) < 0)
		return px_command_misuse(&px_verb_doctor, "%s", px_last_error());
	return examine(request.profile, request.json);
}

const struct px_verb px_verb_doctor = {
	.name = "doctor",
	.summary = "say what this machine gives pools, and what is to be mended",
	.run = run,
	.help = "usage: pxrun doctor [OPTION...]\n"
		"Looks at all that a pool needs, starts a small one of its own, and says what it has\n"
		"found: 'ok'; 'note', where something is slower or missing; or 'problem'. What is not\n"
		"ok has a line on what to do.\n\n"
		"  -p, --profile NAME     with the settings of this profile (default: $PXRUN_PROFILE,\n"
		"                         else 'default')\n"
		"      --json             as a JSON array of objects\n\n"
		"Exit code: 0, 1 if there is a problem.\n",
};
