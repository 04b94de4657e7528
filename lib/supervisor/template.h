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

#include "shm/member.h"
#include "supervisor/event_loop.h"
#include "supervisor/last_words.h"
#include "supervisor/process.h"

struct px_supervisor;

/*
 *   ABSENT   -> STARTING             it is wanted
 *   STARTING -> READY | BACKOFF      it said so | it died, or said that it cannot
 *   STARTING -> GIVEN_UP             … for the third time, or before the pool was ready
 *   READY    -> BACKOFF              it died
 *   BACKOFF  -> ABSENT               its time is over, and it is wanted
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
	struct px_timer timer; /* time to be ready, or back-off */
	bool wanted;           /* to be started if it is absent */
	bool ended;            /* its process is gone: to be reaped */
	uint32_t failures;     /* deaths in a row, each soon after its start */
	uint32_t starts_failed;
	uint64_t started_ns;
	uint32_t python; /* PY_VERSION_HEX; 0: not known */
	bool by_exec;  /* it cannot fork: engines are started one by one, and there is no process */
	char why[256]; /* … because */
	char failure[1400]; /* why it was given up */
	struct px_last_words words;
};

/* An engine that is to be forked. */
struct px_template_order {
	uint32_t id, generation;
	struct px_member_id member;
	int fds[5]; /* as for PX_CONTROL_FORK */
};

/* If it is absent it is to be started. */
void px_template_want(struct px_supervisor *s);
/* Does that. A failure is dealt with inside. */
void px_template_start(struct px_supervisor *s);
bool px_template_ready(const struct px_supervisor *s);
/*
 * Whether there will be none for those who wait, and why. Once: who asks tells them, and for who
 * comes later it is tried again. Lends *why.
 */
bool px_template_given_up(struct px_supervisor *s, const char **why);
/*
 * Asks for an engine. PX_EAGAIN: later; PX_EPOOL: it is dead. Where it cannot fork: the engine is
 * started here, and its process is in *process.
 */
int px_template_fork(struct px_supervisor *s, const struct px_template_order *order,
		     struct px_process *process);
/* The end of its process was seen: it is to be reaped. */
void px_template_ended(struct px_supervisor *s);
/* Deals with that. */
void px_template_reap(struct px_supervisor *s);
/* Ends it for good. */
void px_template_end(struct px_supervisor *s);

#endif
