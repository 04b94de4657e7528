/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native_program.c - template and engines without an interpreter.
 */
#include "engine/native_program.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/heap.h"
#include "engine/loop.h"
#include "engine/native_signals.h"
#include "engine/template.h"
#include "pool/control.h"
#include "pool/title.h"
#include "shm/descriptor.h"
#include "shm/error.h"
#include "shm/killpoint.h"

#define CONTROL_FD 3
#define LOG_FD 5

/* --- the end of an engine --- */

static pid_t ends_by_signal; /* the pid of the process that is to end so; 0: none */

/* Registered first, so that it comes after what libraries have registered. */
static void end_by_signal(void)
{
	if (ends_by_signal != getpid())
		return;
	(void)fflush(NULL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)kill(getpid(), SIGTERM);
}

static _Noreturn void end(const struct px_engine_process *engine, int rc)
{
	if (rc == PX_ECLOSED) {
		fprintf(stderr, "pxrun: engine %u: %s\n", engine->id, px_last_error());
		px_endpoint_last_words(engine->endpoint, px_last_error());
	}
	/* The supervisor is gone. */
	if (rc == PX_EPOOL)
		_exit(EXIT_FAILURE);
	if (rc == 0)
		ends_by_signal = getpid();
	exit(EXIT_FAILURE);
}

/* --- engines --- */

/* All that needs an interpreter. */
static void refuse(void *ctx, struct px_incoming *in, struct px_reply *reply)
{
	(void)ctx, (void)in;
	reply->code = PX_EINVAL;
	reply->body =
		"this pool is native: its engines have no interpreter, and call native functions alone "
		"(px_view_call_native()); start it without `native` for Python";
	reply->body_bytes = strlen(reply->body);
}

static int serve(struct px_engine_process *engine, const struct px_birth *birth, int log)
{
	struct px_control ready = { .type = PX_CONTROL_READY, .a = (uint64_t)getpid() };
	struct px_member_id self = { birth->slot, birth->epoch };
	int rc = px_endpoint_open(birth->segment, self, birth->control, &engine->endpoint);

	if (rc == 0)
		rc = px_native_signals_watch(engine, birth->crash);
	/* The last step that may fail: from now on the supervisor no longer logs what it prints. */
	if (rc == 0)
		rc = px_streams_new(engine->id, birth->out_read, birth->err_read, log,
				    &engine->streams);
	if (rc == 0)
		rc = px_control_send(engine->endpoint->control, &ready, NULL, NULL, 0);
	return rc < 0 ? rc : px_engine_serve(engine);
}

static _Noreturn void be_engine(const struct px_birth *birth, int log, const char *pool,
				const struct px_renewal *renewal)
{
	static struct px_engine_process engine = { .run = refuse, .stop = &px_native_stop };
	char id[16];
	int rc;

	snprintf(id, sizeof(id), "%u", birth->id);
	px_title_set(pool, id);
	px_killpoint_role("engine");
	px_heap_keep_warm();
	engine.id = birth->id;
	engine.renewal = *renewal;
	rc = serve(&engine, birth, log);
	if (rc < 0 && !engine.streams)
		fprintf(stderr, "pxrun: engine %u: %s\n", birth->id, px_last_error());
	end(&engine, rc);
}

/* --- the program --- */

/* The value of an option; "" if it is not given. */
static const char *option(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], name))
			return argv[i + 1];
	return "";
}

static bool is_template(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--template"))
			return true;
	return false;
}

static int run(const char *pool, const struct px_renewal *renewal)
{
	static const struct px_forking forking = { .python = 0 };
	int control = px_descriptor_raise(CONTROL_FD), log = px_descriptor_raise(LOG_FD);
	struct px_birth birth = { 0 };
	int rc;

	px_title_set(pool, "template");
	px_killpoint_role("template");
	px_native_signals_prepare();
	rc = px_template_run(control, NULL, &forking, &birth);
	if (rc == 1)
		be_engine(&birth, log, pool, renewal);
	if (rc < 0)
		fprintf(stderr, "pxrun-native: %s\n", px_last_error());
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int px_native_program(int argc, char **argv)
{
	const char *version = option(argc, argv, "--version");
	const struct px_renewal renewal = {
		.max_requests = strtoull(option(argc, argv, "--max-tasks"), NULL, 10),
		.max_bytes = strtoull(option(argc, argv, "--max-memory"), NULL, 10),
	};
	char pool[100];

	if (!is_template(argc, argv)) {
		fprintf(stderr,
			"pxrun-native is started by a pool's supervisor; to start a pool use "
			"pxrun(1): pxrun start --native\n");
		return EXIT_FAILURE;
	}
	if (strcmp(version, PX_VERSION)) {
		fprintf(stderr,
			"pxrun-native is of pxrun %s, and the pool of pxrun %s: install one of them anew\n",
			PX_VERSION, version);
		return EXIT_FAILURE;
	}
	if (atexit(end_by_signal))
		return EXIT_FAILURE;
	/* Of engines too, which are forked from it. */
	(void)!nice(atoi(option(argc, argv, "--niceness")));
	/* A copy: the title is written over the arguments. */
	snprintf(pool, sizeof(pool), "%s", option(argc, argv, "--pool"));
	return run(pool, &renewal);
}
