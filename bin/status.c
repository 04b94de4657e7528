/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * status.c - `pxrun status`: what a pool and its engines are doing.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bin/amount.h"
#include "bin/command.h"
#include "client/pxrun.h"
#include "pool/json.h"
#include "shm/error.h"

/* --- numbers as people read them --- */

struct text {
	char at[32];
};

static struct px_amount bytes_text(const char *value)
{
	return px_amount_bytes(px_json_number(value, 0));
}

/* The memory that a member uses for arrays and messages. */
static struct px_amount arrays_text(const char *member)
{
	return bytes_text(px_json_member(member, "in_use"));
}

/* The memory that a member has and does not use at the moment. */
static struct px_amount warm_text(const char *member)
{
	double warm = px_json_number(px_json_member(member, "arena"), 0) -
		      px_json_number(px_json_member(member, "in_use"), 0);

	return px_amount_bytes(warm > 0 ? warm : 0);
}

/* A string member of a JSON object. */
static struct text word(const char *object, const char *key)
{
	struct text text;

	if (!px_json_string(px_json_member(object, key), text.at, sizeof(text.at)))
		snprintf(text.at, sizeof(text.at), "?");
	return text;
}

static double number(const char *object, const char *key)
{
	return px_json_number(px_json_member(object, key), 0);
}

/* "-": it has no process. */
static struct text pid_text(const char *object)
{
	double pid = number(object, "pid");
	struct text text = { "-" };

	if (pid > 0)
		snprintf(text.at, sizeof(text.at), "%.0f", pid);
	return text;
}

/* --- the table --- */

/* Of the clients, this command is none that anybody asks for. */
static bool is_other(const char *client)
{
	return number(client, "pid") != getpid();
}

static unsigned count_others(const char *clients)
{
	unsigned count = 0;

	for (const char *c = px_json_first(clients); c; c = px_json_next(c))
		count += is_other(c);
	return count;
}

/* Some of the sentences begin with whom they are about. */
static void print_why(const char *who, const char *object)
{
	size_t length = strlen(who);
	char why[1024];

	if (!px_json_string(px_json_member(object, "why"), why, sizeof(why)) || !why[0])
		return;
	if (strncmp(why, who, length) == 0 && why[length] == ' ')
		printf("%s\n", why);
	else
		printf("%s: %s\n", who, why);
}

static const char *place(const char *segment)
{
	if (strcmp(word(segment, "huge_pages").at, "?"))
		return "huge pages";
	return strcmp(word(segment, "kind").at, "shm") ? "a memfd: /dev/shm is too small" :
							 "/dev/shm";
}

static void print_pool(const char *pool)
{
	const char *arena = px_json_member(pool, "arena");
	const char *segment = px_json_member(pool, "segment");
	const char *python = px_json_first(px_json_member(pool, "python"));
	char executable[1024];
	unsigned clients = count_others(px_json_member(pool, "clients"));

	printf("pool '%s': %s for %s, process %.0f\n", word(pool, "profile").at,
	       word(pool, "state").at, px_amount_seconds(number(pool, "uptime")).at,
	       number(pool, "pid"));
	if (python &&
	    px_json_string(px_json_member(pool, "executable"), executable, sizeof(executable)))
		printf("python %.0f.%.0f, %s\n", px_json_number(python, 0),
		       px_json_number(px_json_next(python), 0), executable);
	if (px_json_true(px_json_member(pool, "native")))
		printf("native: engines without an interpreter\n");
	if (px_json_number(px_json_member(pool, "mpiexec"), 0) > 0)
		printf("engines are the ranks of an MPI world, of mpiexec, process %.0f\n",
		       number(pool, "mpiexec"));
	printf("event loop %s, restart %s, %u client%s\n", word(pool, "event_loop").at,
	       word(pool, "restart").at, clients, clients == 1 ? "" : "s");
	printf("arrays: %s used, %s free, in %s\n", bytes_text(px_json_member(arena, "used")).at,
	       bytes_text(px_json_member(arena, "budget")).at, place(segment));
	print_why("engines are started one by one", px_json_member(pool, "template"));
}

static void print_engines(const char *engines)
{
	printf("\n%6s %8s  %-9s %8s %10s %12s %9s %9s\n", "ENGINE", "PID", "STATE", "RESTARTS",
	       "BUSY", "DONE", "ARRAYS", "WARM");
	for (const char *e = px_json_first(engines); e; e = px_json_next(e))
		printf("%6.0f %8s  %-9s %8.0f %10s %12.0f %9s %9s\n", number(e, "id"),
		       pid_text(e).at, word(e, "state").at, number(e, "restarts"),
		       px_amount_seconds(px_json_number(px_json_member(e, "busy"), -1)).at,
		       number(e, "done"), arrays_text(e).at, warm_text(e).at);
	for (const char *e = px_json_first(engines); e; e = px_json_next(e)) {
		char who[32];

		snprintf(who, sizeof(who), "engine %.0f", number(e, "id"));
		print_why(who, e);
	}
}

static void print_clients(const char *clients)
{
	if (!count_others(clients))
		return;
	printf("\n%6s %8s  %41s %9s %9s\n", "CLIENT", "PID", "", "ARRAYS", "WARM");
	for (const char *c = px_json_first(clients); c; c = px_json_next(c))
		if (is_other(c))
			printf("%6.0f %8.0f  %41s %9s %9s\n", number(c, "slot"), number(c, "pid"), "",
			       arrays_text(c).at, warm_text(c).at);
}

static int print_table(const char *json)
{
	const char *pool = px_json_parse(json);

	if (!pool)
		return px_command_fail(px_fail(PX_ECORRUPT, "the supervisor's answer is not JSON"));
	print_pool(pool);
	print_engines(px_json_member(pool, "engines"));
	print_clients(px_json_member(pool, "clients"));
	if (px_json_true(px_json_member(pool, "truncated")))
		puts("(there are more: the list was cut off)");
	return PX_EXIT_OK;
}

/* --- the command line --- */

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "profile", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *profile = NULL;
	struct px_client *client = NULL;
	char *status = NULL;
	bool json = false;
	int option, rc, exit_code;

	while ((option = getopt_long(argc, argv, "p:h", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			json = true;
			break;
		case 'p':
			profile = optarg;
			break;
		case 'h':
			return px_command_help(&px_verb_status);
		default:
			px_command_suggest(argv[optind - 1], options);
			return px_command_bad_option(&px_verb_status);
		}
	}
	if (optind < argc)
		return px_command_misuse(&px_verb_status, "unexpected argument '%s'", argv[optind]);
	rc = px_client_attach(profile, 0, &client);
	if (rc == 0)
		rc = px_client_status_json(client, &status);
	if (rc < 0)
		exit_code = px_command_fail(rc);
	else
		exit_code = json ? (puts(status), PX_EXIT_OK) : print_table(status);
	free(status);
	px_client_detach(client);
	return exit_code;
}

const struct px_verb px_verb_status = {
	.name = "status",
	.summary = "show what a pool and its engines are doing",
	.run = run,
	.help = "usage: pxrun status [OPTION...]\n"
		"Shows what a pool and its engines are doing.\n\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n"
		"      --json             everything that is known, as a JSON object\n",
};
