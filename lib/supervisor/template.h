/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * template.h - the warm process that engines are forked from.
 *
 * Who:     the supervisor starts it, asks it for engines, and starts another if it dies.
 * Where:   descriptors 3 (control), 4 (segment), 5 (log) of the program
 *          `pxrun-engine --template --control 3 …`.
 * Blocks:  never, but until the program is executed.
 * Death:   engines that are forked live on. The socket of one whose request it had
 *          not read hangs up with it: that counts as a failed start of the engine.
 */
#ifndef PX_TEMPLATE_PROCESS_H
#define PX_TEMPLATE_PROCESS_H

#include "supervisor/event_loop.h"
#include "supervisor/last_words.h"
#include "supervisor/process.h"

struct px_supervisor;
struct px_engine;

/*
 *   ABSENT   -> STARTING             an engine is wanted
 *   STARTING -> READY | BACKOFF      it said so | it died, or said that it cannot
 *   STARTING -> ABSENT               … for the third time: engines that wait are given up
 *   READY    -> STARTING | BACKOFF   it died
 *   BACKOFF  -> STARTING
 */
enum px_template_state {
	PX_TEMPLATE_ABSENT,
	PX_TEMPLATE_STARTING,
	PX_TEMPLATE_READY,
	PX_TEMPLATE_BACKOFF
};

struct px_template {
	enum px_template_state state;
	struct px_process process;
	int socket, output; /* our ends; -1 */
	struct px_watch socket_watch, output_watch, death_watch;
	struct px_timer timer; /* time to be ready, or back-off */
	uint32_t failures;     /* deaths in a row, each soon after its start */
	uint32_t starts_failed;
	uint64_t started_ns;
	uint32_t python; /* PY_VERSION_HEX; 0: not known */
	bool by_exec;  /* it cannot fork: engines are started one by one, and there is no process */
	char why[256]; /* … because */
	struct px_last_words words;
};

/* Starts it if it is absent; nothing else. Failures are dealt with inside. */
void px_template_want(struct px_supervisor *s);
bool px_template_ready(const struct px_supervisor *s);
/*
 * Asks for an engine; fds as for PX_CONTROL_FORK. PX_EAGAIN: later. Where it cannot fork:
 * the engine is started here, and its process is in *process.
 */
int px_template_fork(struct px_supervisor *s, const struct px_engine *engine, const int *fds,
		     struct px_process *process);
/* Ends it for good. */
void px_template_end(struct px_supervisor *s);

#endif
