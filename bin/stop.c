/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stop.c - `pxrun stop`: ends a pool, or all of them, and waits until they are gone.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "bin/command.h"
#include "bin/pool_option.h"
#include "client/pxrun.h"
#include "client/stop.h"
#include "pool/runtime.h"

#define TIMEOUT_NS UINT64_C(30000000000)

struct stopping {
	uint64_t timeout_ns;
	bool force;
	unsigned stopped;
	int failed; /* the last failure */
};

/* Stops a pool; says so if its supervisor had to be killed. */
static int end(const char *profile, bool force, uint64_t timeout_ns)
{
	pid_t killed = 0;
	int rc = force ? px_pool_force_end(profile, timeout_ns, &killed) :
			 px_pool_end(profile, timeout_ns, &killed);

	if (rc == 0 && killed && !force)
		fprintf(stderr,
			"pxrun: the pool's supervisor (process %d) did not answer, and was killed; its "
			"engines died with it\n",
			(int)killed);
	return rc;
}

static int stop_one(void *ctx, const struct px_runtime *runtime)
{
	struct stopping *stopping = ctx;
	int rc;

	if (!px_runtime_alive(runtime))
		return 0;
	rc = end(runtime->profile, stopping->force, stopping->timeout_ns);
	if (rc == 0) {
		stopping->stopped++;
	} else if (rc != PX_ENOPOOL) {
		/* Go on with the other pools. */
		px_command_fail(rc);
		stopping->failed = rc;
	}
	return 0;
}

static int stop_all(bool force, uint64_t timeout_ns)
{
	struct stopping stopping = { .timeout_ns = timeout_ns, .force = force };
	int rc = px_runtime_list(stop_one, &stopping);

	if (rc < 0)
		return px_command_fail(rc);
	if (stopping.failed < 0)
		return px_command_exit(stopping.failed);
	if (stopping.stopped)
		return PX_EXIT_OK;
	fputs("pxrun: no pool of yours runs\n", stderr);
	return PX_EXIT_NO_POOL;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "force", no_argument, NULL, 'f' },
		{ "profile", required_argument, NULL, 'p' },
		{ "timeout", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	uint64_t timeout_ns = TIMEOUT_NS;
	const char *profile = NULL;
	bool all = false, force = false;
	int option, rc;

	while ((option = getopt_long(argc, argv, "afp:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'a':
			all = true;
			break;
		case 'f':
			force = true;
			break;
		case 'p':
			profile = optarg;
			break;
		case 't':
			if (px_seconds_option("--timeout", optarg, &timeout_ns) < 0)
				return px_command_misuse(&px_verb_stop, "%s", px_last_error());
			break;
		case 'h':
			return px_command_help(&px_verb_stop);
		default:
			px_command_suggest(argv[optind - 1], options);
			return px_command_bad_option(&px_verb_stop);
		}
	}
	if (optind < argc)
		return px_command_misuse(&px_verb_stop, "unexpected argument '%s'", argv[optind]);
	if (all && profile)
		return px_command_misuse(&px_verb_stop, "--all and --profile exclude each other");
	if (all)
		return stop_all(force, timeout_ns);
	rc = end(profile, force, timeout_ns);
	return rc < 0 ? px_command_fail(rc) : PX_EXIT_OK;
}

const struct px_verb px_verb_stop = {
	.name = "stop",
	.summary = "stop a pool and wait until all its processes are gone",
	.run = run,
	.help = "usage: pxrun stop [OPTION...]\n"
		"Stops a pool and waits until all its processes are gone.\n\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n"
		"  -a, --all              every pool of yours\n"
		"  -f, --force            kill its supervisor at once, and with it its engines\n"
		"  -t, --timeout SECONDS  how long to wait (default: 30); a supervisor that does not even\n"
		"                         answer in that time is killed\n",
};
