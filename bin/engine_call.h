/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine_call.h - what verbs about engines have in common: their command line, and what an engine does.
 */
#ifndef PX_ENGINE_CALL_H
#define PX_ENGINE_CALL_H

#include <stdbool.h>

#include "bin/command.h"
#include "bin/pool_option.h"
#include "bin/targets.h"

struct px_engine_call {
	struct px_client *client; /* NULL: it is not attached */
	struct px_targets targets;
	const char *profile; /* as it was given; NULL: it was not */
};

/*
 * Reads -p, -t, ids as arguments, and the verb's own options; attaches, and finds the engines, all of which
 * exist. -1: the verb can go on. Else an exit code. own: NULL if there are none. In each case the caller
 * ends it.
 */
int px_engine_call_begin(const struct px_verb *verb, int argc, char **argv,
			 const struct px_own_options *own, struct px_engine_call *out);
void px_engine_call_end(struct px_engine_call *call);
/*
 * Adds to those that are named, behind them, what ends and begins with them: if engines are the ranks of an MPI
 * world, all others. An error of px_client_status_json().
 */
int px_engine_call_add_world(struct px_engine_call *call);
/* Between two looks at what changes. */
void px_engine_call_nap(void);

/* What an engine does, as its block says: the words need not be of the same moment. */
struct px_engine_work {
	int pid; /* 0: it has no process at the moment */
	bool busy;
	double seconds; /* that it has been for */
	/* Of the request: that of another moment differs in one of them. The last one alone names it on its engine. */
	uint32_t client_slot, client_epoch;
	uint64_t request_id, started_ns;
	char asked_by[64];  /* "process 4711 (python3)" */
	char function[500]; /* the native function that runs; "": none does */
};

/* PX_EENGINE, PX_ECLOSED. */
int px_engine_work_read(struct px_client *client, uint32_t engine, struct px_engine_work *out);
/* Whether an engine still works on the same. */
bool px_engine_work_same(const struct px_engine_work *a, const struct px_engine_work *b);
/* "3.2 s"; returns out. */
const char *px_engine_work_time(const struct px_engine_work *work, char out[32]);

#endif
