/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * restart.c - `pxrun restart`: gives engines a new process with an empty namespace.
 */
#include <stdio.h>

#include "bin/engine_call.h"
#include "shm/error.h"
#include "shm/os.h"

/*
 * All engines are asked for at once, so that those that are slow to end do not add up: nobody waits for the
 * answer, and shared memory tells what becomes of them.
 */
#define ASK_NS UINT64_C(1000000)
/* The supervisor gives up an engine that does not serve after 120 s. */
#define SERVE_NS UINT64_C(150000000000)

static int ask(struct px_client *client, uint32_t engine, struct px_engine_status *before)
{
	int rc;

	before->size = sizeof(*before);
	rc = px_client_engine_status(client, engine, before);
	if (rc == 0)
		rc = px_client_restart_engine(client, engine, ASK_NS);
	return rc == PX_ETIMEDOUT ? 0 : rc;
}

/* Waits until another process serves, and says so. */
static int await(struct px_client *client, uint32_t engine, const struct px_engine_status *before)
{
	uint64_t until_ns = px_os.now_ns() + SERVE_NS;
	struct px_engine_status now = { .size = sizeof(now) };
	int rc = 0;

	while (rc == 0 && px_os.now_ns() < until_ns) {
		rc = px_client_poll(client);
		if (rc == 0)
			rc = px_client_check_engine(client, engine);
		if (rc == 0)
			rc = px_client_engine_status(client, engine, &now);
		if (rc == 0 && now.state == PX_ENGINE_IS_UP && now.restarts != before->restarts) {
			printf("engine %u: process %d serves", engine, now.pid);
			/* There is none of one that was just being started. */
			if (before->pid)
				printf(" in place of %d", before->pid);
			putchar('\n');
			return 0;
		}
		if (rc == 0)
			px_engine_call_nap();
	}
	return rc < 0 ?
		       rc :
		       px_fail(PX_ETIMEDOUT,
			       "engine %u does not serve after %d s: 'pxrun status' shows its state",
			       engine, (int)(SERVE_NS / 1000000000));
}

static int run(int argc, char **argv)
{
	struct px_engine_status before[PX_ENGINES_MAX];
	struct px_engine_call call;
	int code = px_engine_call_begin(&px_verb_restart, argc, argv, NULL, &call), rc = 0;
	size_t asked = 0;

	if (code < 0)
		rc = px_engine_call_add_world(&call);
	while (code < 0 && rc == 0 && asked < call.targets.count) {
		rc = ask(call.client, call.targets.ids[asked], &before[asked]);
		asked += rc == 0;
	}
	if (rc < 0)
		code = px_command_fail(rc);
	for (size_t i = 0; i < asked; i++) {
		rc = await(call.client, call.targets.ids[i], &before[i]);
		if (rc < 0)
			code = px_command_fail(rc);
	}
	px_engine_call_end(&call);
	return code < 0 ? PX_EXIT_OK : code;
}

const struct px_verb px_verb_restart = {
	.name = "restart",
	.summary = "give engines a new process and an empty namespace",
	.run = run,
	.help = "usage: pxrun restart [OPTION...] [ID...]\n"
		"Ends the engines' processes, starts others under the same ids, with empty namespaces,\n"
		"and waits until they serve. Those that are ranks of MPI are restarted together.\n\n"
		"  -t, --targets IDS      'all' (default) or ids of engines, such as 0,2\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n",
};
