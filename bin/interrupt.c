/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interrupt.c - `pxrun interrupt`: raises KeyboardInterrupt in what engines run, whoever asked for it.
 */
#include <stdio.h>

#include "bin/engine_call.h"
#include "shm/os.h"

/* How long what was interrupted may take to end until it is said not to heed. */
#define HEED_NS UINT64_C(1000000000)

/* Interrupts what an engine runs, and nothing that it has begun meanwhile; *work is without a process or a request if it runs nothing. */
static int interrupt(struct px_client *client, uint32_t engine, struct px_engine_work *work)
{
	int rc = px_engine_work_read(client, engine, work);

	if (rc == 0 && work->pid && work->busy)
		rc = px_client_interrupt(client, engine, work->started_ns, 0);
	return rc;
}

/* Waits until it has ended. */
static bool heeds(struct px_client *client, uint32_t engine, const struct px_engine_work *work,
		  uint64_t until_ns)
{
	struct px_engine_work now;

	while (px_engine_work_read(client, engine, &now) == 0 && px_engine_work_same(work, &now)) {
		if (px_os.now_ns() >= until_ns)
			return false;
		px_engine_call_nap();
	}
	return true;
}

/* Says what became of it. Returns an exit code. */
static int say(const struct px_engine_call *call, uint32_t engine,
	       const struct px_engine_work *work, uint64_t until_ns)
{
	const char *option = call->profile ? " -p " : "";
	const char *profile = call->profile ? call->profile : "";
	char time[32];

	if (!work->pid) {
		printf("engine %u: it has no process at the moment\n", engine);
	} else if (!work->busy) {
		printf("engine %u: nothing runs there\n", engine);
	} else if (heeds(call->client, engine, work, until_ns)) {
		printf("engine %u: interrupted what %s had asked, after %s\n", engine,
		       work->asked_by, px_engine_work_time(work, time));
	} else {
		printf("engine %u: what %s had asked goes on: it does not heed interrupts. 'pxrun "
		       "stack%s%s %u' shows where it is, 'pxrun restart%s%s %u' ends it\n",
		       engine, work->asked_by, option, profile, engine, option, profile, engine);
		return PX_EXIT_FAILED;
	}
	return PX_EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct px_engine_work work[PX_ENGINES_MAX];
	struct px_engine_call call;
	int code = px_engine_call_begin(&px_verb_interrupt, argc, argv, NULL, &call), rc = 0;
	uint64_t until_ns;
	size_t told = 0;

	while (code < 0 && rc == 0 && told < call.targets.count) {
		rc = interrupt(call.client, call.targets.ids[told], &work[told]);
		told += rc == 0;
	}
	until_ns = px_os.now_ns() + HEED_NS;
	for (size_t i = 0; i < told; i++)
		if (say(&call, call.targets.ids[i], &work[i], until_ns) != PX_EXIT_OK)
			code = PX_EXIT_FAILED;
	if (rc < 0)
		code = px_command_fail(rc);
	px_engine_call_end(&call);
	return code < 0 ? PX_EXIT_OK : code;
}

const struct px_verb px_verb_interrupt = {
	.name = "interrupt",
	.summary = "raise KeyboardInterrupt in what engines run",
	.run = run,
	.help = "usage: pxrun interrupt [OPTION...] [ID...]\n"
		"Raises KeyboardInterrupt in what the engines run at the moment, whoever asked for it.\n"
		"Requests that wait are left alone.\n\n"
		"  -t, --targets IDS      'all' (default) or ids of engines, such as 0,2\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n",
};
