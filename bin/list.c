/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * list.c - `pxrun list`: the pools of this user; removes files of dead ones.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "bin/command.h"
#include "bin/quoted.h"
#include "pool/runtime.h"

struct listing {
	bool json;
	unsigned count;
};

static void print_line(const struct listing *listing, const struct px_runtime *runtime,
		       const struct px_runtime_facts *facts, const char *state)
{
	if (listing->json) {
		fputs(listing->count ? ",\n " : "[", stdout);
		fputs("{\"profile\": ", stdout);
		px_quoted_print(runtime->profile);
		printf(", \"state\": \"%s\", \"pid\": %d, \"engines\": %u, \"started\": ", state,
		       facts->pid, facts->engines);
		px_quoted_print(facts->started);
		fputs(", \"folder\": ", stdout);
		px_quoted_print(runtime->folder);
		fputs("}", stdout);
		return;
	}
	if (!listing->count)
		printf("%-24s %-9s %8s %8s  %s\n", "PROFILE", "STATE", "PID", "ENGINES", "STARTED");
	printf("%-24s %-9s %8d %8u  %s\n", runtime->profile, state, facts->pid, facts->engines,
	       facts->started);
}

static int list_one(void *ctx, const struct px_runtime *runtime)
{
	struct listing *listing = ctx;
	struct px_runtime_facts facts;
	bool alive = px_runtime_alive(runtime);

	/* Where a pool has stopped, its log is left. */
	if (!alive && !px_runtime_has_pool(runtime))
		return 0;
	px_runtime_facts(runtime, &facts);
	print_line(listing, runtime, &facts,
		   !alive           ? "stale" :
		   facts.deleted    ? "no-files" :
		   facts.started[0] ? "running" :
				      "starting");
	listing->count++;
	if (!alive)
		px_runtime_clean_dead(runtime);
	return 0;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct listing listing = { .count = 0 };
	int option, rc;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			listing.json = true;
			break;
		case 'h':
			return px_command_help(&px_verb_list);
		default:
			px_command_suggest(argv[optind - 1], options);
			return px_command_bad_option(&px_verb_list);
		}
	}
	if (optind < argc)
		return px_command_misuse(&px_verb_list, "unexpected argument '%s'", argv[optind]);
	rc = px_runtime_list(list_one, &listing);
	if (rc < 0)
		return px_command_fail(rc);
	if (listing.json)
		puts(listing.count ? "]" : "[]");
	else if (!listing.count)
		fputs("no pool of yours runs; start one with: pxrun start\n", stderr);
	return PX_EXIT_OK;
}

const struct px_verb px_verb_list = {
	.name = "list",
	.summary = "list your pools",
	.run = run,
	.help = "usage: pxrun list [--json]\n"
		"Lists your pools. One whose supervisor was killed is shown as 'stale', once: what it\n"
		"left is removed. One whose files were deleted, and not put back yet, is 'no-files'.\n\n"
		"      --json             as a JSON array of objects\n",
};
