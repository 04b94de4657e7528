/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * template.h - the template as the supervisor sees it: the process that engines are forked from.
 *
 * Who:     the supervisor starts it, asks it for engines, and starts another if it dies.
 * Where:   descriptors 3 (control) and 5 (log) of the program
 *          `[PYTHON] pxrun-engine --template --control 3 …`.
 * Blocks:  never, except until its program has been executed.
 * Death:   of the template: engines that it has forked live on. If it dies before it has read the
 *          request for an engine, that engine's socket hangs up, which counts as a failed start.
 */
#ifndef PX_TEMPLATE_PROCESS_H
#define PX_TEMPLATE_PROCESS_H

#include "pool/control.h"
#include "shm/member.h"
#include "supervisor/event_loop.h"
#include "supervisor/last_words.h"
#include "supervisor/process.h"

struct px_supervisor;

/*
 *   ABSENT   -> STARTING             it is wanted
 *   STARTING -> READY | BACKOFF      it said so | it died, or said that it cannot
 *   STARTING -> GIVEN_UP             … for the third time, or before the pool was ready
 *   READY    -> BACKOFF              it died, or was killed as it answered no order
 *   BACKOFF  -> ABSENT               the delay is over, and it is wanted
 *   GIVEN_UP -> ABSENT               engines that wait have been told
 */
enum px_template_state {
	PX_TEMPLATE_ABSENT,
	PX_TEMPLATE_STARTING,
	PX_TEMPLATE_READY,
	PX_TEMPLATE_BACKOFF,
	PX_TEMPLATE_GIVEN_UP
};

struct px_template {
	enum px_template_state state;
	struct px_process process;
	int socket, output; /* our ends; -1 */
	struct px_watch socket_watch, output_watch, death_watch;
	struct px_timer timer; /* time to be ready, to answer an order, or back-off */
	uint32_t orders;       /* that it has not answered yet */
	bool wanted;           /* to be started if it is absent */
	bool ended;            /* its process has ended: to be reaped */
	uint32_t failures;     /* deaths in a row, each soon after its start */
	uint32_t starts_failed;
	uint64_t started_ns;
	char module[64];       /* that it imports, "" if none */
	uint64_t module_ns;    /* when that began */
	uint32_t python;       /* PY_VERSION_HEX; 0: not known */
	char executable[1024]; /* the path of its interpreter; "": not known */
	bool by_exec;  /* it cannot fork: engines are started one by one, and there is no process */
	char why[256]; /* … because */
	char failure[1400]; /* why it was given up */
	struct px_last_words words;
	struct px_log_lines lines;
};

/* An engine that is to be forked. */
struct px_template_order {
	uint32_t id, generation;
	struct px_member_id member;
	int fds[PX_CONTROL_FORK_FDS];
};

/* Marks that it is wanted: if it is absent, it will be started. */
void px_template_want(struct px_supervisor *s);
/* Starts it if it is wanted and absent. A failure is handled inside. */
void px_template_start(struct px_supervisor *s);
bool px_template_ready(const struct px_supervisor *s);
/*
 * Whether it was given up, and why. True only once: the caller tells the engines that wait; for
 * later ones it is tried again. Lends *why.
 */
bool px_template_given_up(struct px_supervisor *s, const char **why);
/*
 * Asks for an engine. PX_EAGAIN: try later; PX_EPOOL: the template is dead. If it cannot fork,
 * the engine is started by exec here, and its process is in *process.
 */
int px_template_fork(struct px_supervisor *s, const struct px_template_order *order,
		     struct px_process *process);
/* An engine that was asked for has begun, or will not. */
void px_template_answered(struct px_supervisor *s);
/*
 * Takes a packet on the interpreter, or for the starter of the pool; false: it is another. Where there is no
 * template, an engine says it.
 */
bool px_template_told(struct px_supervisor *s, const struct px_control *head);
/* Marks that its process has ended. */
void px_template_ended(struct px_supervisor *s);
/* The phase of the turn: handles its end. */
void px_template_reap(struct px_supervisor *s);
/* Ends it for good. */
void px_template_end(struct px_supervisor *s);

#endif
