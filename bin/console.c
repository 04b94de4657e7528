/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console.c - `pxrun console`: a prompt on an engine.
 *
 * It is a program of Python's (lib/python/pxrun/console.py), which the interpreter of the pool's engines
 * runs in place of this one.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bin/command.h"
#include "bin/interpreter.h"
#include "client/client.h"
#include "shm/error.h"

/* Returns only if it cannot be started. */
static int become_console(const char *python, const char *connection, const char *engine)
{
	/* -P: a file of the working folder is not to be taken for a module of Python's. */
	char *arguments[] = { (char *)(uintptr_t)python, (char[]){ "-P" },
			      (char[]){ "-m" },          (char[]){ "pxrun.console" },
			      (char *)(uintptr_t)engine, NULL };

	setenv("PXRUN_CONNECTION", connection, 1);
	px_interpreter_offer_package();
	execvp(python, arguments);
	return px_fail_errno("starting %s", python);
}

static int open_console(const char *profile, const char *engine)
{
	char connection[128], python[PATH_MAX];
	struct px_client *client = NULL;
	int rc = px_client_attach(profile, 0, &client);

	if (rc < 0)
		return px_command_fail(rc);
	px_runtime_path(&client->runtime, "connection.json", connection, sizeof(connection));
	rc = px_interpreter_of(client, python, sizeof(python));
	px_client_detach(client);
	if (rc == 0)
		rc = become_console(python, connection, engine);
	return px_command_fail(rc);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "profile", required_argument, NULL, 'p' },
		{ "target", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *profile = NULL, *engine = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "p:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			profile = optarg;
			break;
		case 't':
			engine = optarg;
			if (!*engine || engine[strspn(engine, "0123456789")])
				return px_command_misuse(
					&px_verb_console,
					"-t must be the id of one engine, not '%.80s'", engine);
			break;
		case 'h':
			return px_command_help(&px_verb_console);
		default:
			px_command_suggest(argv[optind - 1], options);
			return px_command_bad_option(&px_verb_console);
		}
	}
	if (optind < argc)
		return px_command_misuse(&px_verb_console,
					 "a console takes no argument: `pxrun exec` runs code");
	if (!isatty(STDIN_FILENO))
		return px_command_misuse(
			&px_verb_console,
			"a console needs a terminal: `pxrun exec -` runs code from standard input");
	return open_console(profile, engine);
}

const struct px_verb px_verb_console = {
	.name = "console",
	.summary = "a prompt on an engine of a pool",
	.run = run,
	.help = "usage: pxrun console [OPTION...]\n"
		"Binds a kernel on an engine, as bind_kernel() does, and opens Jupyter's console on it.\n"
		"The pool keeps serving the engine; input and requests take turns.\n\n"
		"  -t, --target ID        which engine (default: the first)\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n\n"
		"Ctrl-C interrupts what was typed here, and nothing else; Ctrl-D leaves, and the engine\n"
		"goes on. Exit code: 0, 1 if the engine ended, 3 if no pool runs, 4 if there is no such\n"
		"engine.\n",
};
