/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kill.c - `pxrun kill`: sends engines' processes a signal.
 */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/engine_call.h"
#include "shm/error.h"
#include "shm/os.h"

/* An engine that is told to end does so within 2 s. */
#define END_NS UINT64_C(10000000000)

struct killing {
	int signal;
};

/* As kill(1): a number, or a name with or without SIG. */
static int parse_signal(const char *word, int *out)
{
	const char *name = strncasecmp(word, "SIG", 3) ? word : word + 3;
	char *end;
	long number = strtol(word, &end, 10);

	if (isdigit((unsigned char)*word) && !*end && number > 0 && number <= SIGRTMAX) {
		*out = (int)number;
		return 0;
	}
	for (int i = 1; i < SIGRTMIN; i++) {
		const char *known = sigabbrev_np(i);

		if (known && !strcasecmp(known, name)) {
			*out = i;
			return 0;
		}
	}
	return px_fail(PX_EINVAL,
		       "there is no signal '%.80s': it is a name such as KILL, or a number", word);
}

static int take(void *ctx, int option, const char *value)
{
	struct killing *killing = ctx;

	(void)option;
	return parse_signal(value, &killing->signal);
}

/* `-9` and `-KILL`, as for kill(1), are `-s9` and `-sKILL` here. */
static void read_short_signals(int argc, char **argv, char (*room)[16])
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		size_t length = strspn(argv[i] + (*argv[i] != '\0'),
				       "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");

		if (*argv[i] != '-' || !length || argv[i][1 + length] || length > 10)
			continue;
		snprintf(*room, sizeof(*room), "-s%s", argv[i] + 1);
		argv[i] = *room;
		return;
	}
}

static bool ends(int signal)
{
	return signal == SIGKILL || signal == SIGTERM;
}

/* Waits until the pool has noticed that the process is gone. */
static int await(struct px_client *client, uint32_t engine, int pid, uint64_t until_ns,
		 struct px_engine_status *now)
{
	int rc;

	for (;;) {
		rc = px_client_poll(client);
		if (rc == 0)
			rc = px_client_engine_status(client, engine, now);
		if (rc < 0 || now->pid != pid)
			return rc;
		if (px_os.now_ns() >= until_ns)
			return px_fail(PX_ETIMEDOUT,
				       "engine %u: process %d has not ended after %d s", engine,
				       pid, (int)(END_NS / 1000000000));
		px_engine_call_nap();
	}
}

static int look(struct px_client *client, uint32_t engine, int *pid)
{
	struct px_engine_status status = { .size = sizeof(status) };
	int rc = px_client_engine_status(client, engine, &status);

	*pid = rc == 0 ? status.pid : 0;
	if (rc == 0 && !*pid)
		rc = px_fail(PX_EENGINE, "engine %u has no process at the moment", engine);
	return rc;
}

/* Nothing, if it has ended with its world since it was looked at, and another may have its place. */
static int send_to(struct px_client *client, uint32_t engine, int pid, int signal)
{
	int now, rc = look(client, engine, &now);

	if (rc == 0 && now == pid)
		rc = px_client_signal(client, engine, signal, 0);
	else if (rc == 0)
		rc = px_fail(PX_EENGINE, "engine %u: process %d has ended", engine, pid);
	return rc == PX_EENGINE && ends(signal) ? 0 : rc;
}

static int say(struct px_client *client, uint32_t engine, int pid, int signal, uint64_t until_ns)
{
	struct px_engine_status status = { .size = sizeof(status) };
	int rc = ends(signal) ? await(client, engine, pid, until_ns, &status) : 0;

	if (rc < 0)
		return rc;
	if (!ends(signal))
		printf("engine %u: process %d was sent signal %d\n", engine, pid, signal);
	else if (status.state == PX_ENGINE_IS_GONE)
		printf("engine %u: process %d has ended, and is not started again\n", engine, pid);
	else
		printf("engine %u: process %d has ended, and another one is started\n", engine,
		       pid);
	return 0;
}

/* Sends the first `named` their signals; pid 0: there is nothing to wait for. An exit code. */
static int send_all(struct px_engine_call *call, size_t named, int signal, int *pids)
{
	int code = PX_EXIT_OK;

	/* All are looked at before any ends: it may take others along. */
	for (size_t i = 0; i < call->targets.count; i++) {
		int rc = look(call->client, call->targets.ids[i], &pids[i]);

		if (rc < 0 && i < named)
			code = px_command_fail(rc);
	}
	for (size_t i = 0; i < named; i++) {
		int rc = pids[i] ? send_to(call->client, call->targets.ids[i], pids[i], signal) : 0;

		if (rc < 0) {
			code = px_command_fail(rc);
			pids[i] = 0;
		}
	}
	return code;
}

static int kill_all(struct px_engine_call *call, int signal)
{
	int pids[PX_ENGINES_MAX];
	size_t named = call->targets.count;
	int rc = ends(signal) ? px_engine_call_add_world(call) : 0, code;
	uint64_t until_ns;

	if (rc < 0)
		return px_command_fail(rc);
	code = send_all(call, named, signal, pids);
	until_ns = px_os.now_ns() + END_NS;
	for (size_t i = 0; i < call->targets.count; i++) {
		rc = pids[i] ? say(call->client, call->targets.ids[i], pids[i], signal, until_ns) :
			       0;
		if (rc < 0)
			code = px_command_fail(rc);
	}
	return code;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = { { "signal", required_argument, NULL, 's' } };
	struct killing killing = { SIGKILL };
	const struct px_own_options own = { "s:", options, 1, take, &killing };
	struct px_engine_call call;
	char room[16];
	int code;

	read_short_signals(argc, argv, &room);
	code = px_engine_call_begin(&px_verb_kill, argc, argv, &own, &call);
	if (code < 0)
		code = kill_all(&call, killing.signal);
	px_engine_call_end(&call);
	return code;
}

const struct px_verb px_verb_kill = {
	.name = "kill",
	.summary = "send engines' processes a signal",
	.run = run,
	.help = "usage: pxrun kill [OPTION...] [ID...]\n"
		"Kills the engines' processes, and waits until the pool has noticed. Its restart policy\n"
		"says whether others are started. Ranks of MPI take their whole world along.\n\n"
		"  -s, --signal SIGNAL    a name or number, instead of KILL; also as -9 or -INT\n"
		"  -t, --targets IDS      'all' (default) or ids of engines, such as 0,2\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n",
};
