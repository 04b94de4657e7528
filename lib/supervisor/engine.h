/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine.h - an engine's number, and the processes that have it one after another.
 *
 * Who:     the supervisor.
 * Where:   private memory; what others must know is published in the segment's engine table.
 * Blocks:  never.
 * Death:   of an engine: its member is buried and announced first, everything else comes after.
 */
#ifndef PX_ENGINE_H
#define PX_ENGINE_H

#include "shm/member.h"
#include "supervisor/channels.h"
#include "supervisor/event_loop.h"
#include "supervisor/process.h"

struct px_supervisor;

/*
 *   WAITING  -> STARTING                    the template takes the request
 *   STARTING -> UP                          it says that it serves
 *   STARTING -> WAITING | BACKOFF | GONE    it died, or took too long: again, at most 3 times
 *   UP       -> WAITING | BACKOFF | GONE    it died: by policy
 *   STARTING, UP -> DYING                   told to go, or hung up
 *   DYING    -> WAITING | BACKOFF | GONE    it died
 *   WAITING, BACKOFF -> GONE                told to go
 *   BACKOFF  -> WAITING                     its time is over, or told to restart
 */
enum px_life {
	PX_LIFE_WAITING,
	PX_LIFE_STARTING,
	PX_LIFE_UP,
	PX_LIFE_DYING,
	PX_LIFE_BACKOFF,
	PX_LIFE_GONE
};

struct px_engine {
	struct px_supervisor *supervisor;
	uint32_t id;
	enum px_life life;
	struct px_member_id member; /* of the present process; epoch 0: none */
	struct px_process process;  /* pid 0: not known yet */
	struct px_channels ours;
	struct px_watch control_watch, death_watch;
	struct px_timer timer; /* time to be ready, to die, or back-off */
	uint32_t generation, restarts;
	uint32_t failures;      /* deaths in a row, each soon after its start */
	uint32_t starts_failed; /* in a row */
	uint64_t started_ns;
	bool served;   /* the present process was up */
	bool told;     /* … was told to go */
	bool keep;     /* … and another is to follow */
	char why[512]; /* the last failure */
};

/* A new id, which starts. PX_EINVAL: no id is left, PX_ENOMEM. */
int px_engine_new(struct px_supervisor *s, struct px_engine **out);
/* Frees what is left of an id that is gone, or of a pool that gives up. */
void px_engine_free(struct px_engine *engine);
/* Asks for a process; only for one that waits. PX_EAGAIN: the template takes no more now. */
int px_engine_start(struct px_engine *engine);
/* Its pidfd is readable, or its zombie was seen. */
void px_engine_died(struct px_engine *engine);
/* It has no process, and will have none any more. */
void px_engine_give_up(struct px_engine *engine, const char *why);
/* Ends the process, politely for 2 s; with keep another follows. Nothing if it is gone. */
void px_engine_stop(struct px_engine *engine, bool keep);
/* Kills the process and its group. */
void px_engine_kill(struct px_engine *engine);

/* --- all of them (engine_ids.c) --- */

/* Starts those that wait, as many as the template may have at once. */
void px_engines_pump(struct px_supervisor *s);
/* Every id that waits is given up, for this reason. */
void px_engines_give_up(struct px_supervisor *s, const char *why);
/* If the pid is that of an engine that has died, deals with it. */
bool px_engines_died(struct px_supervisor *s, pid_t pid);
/* Whether a process may exist whose pid is not known yet. */
bool px_engines_unknown(const struct px_supervisor *s);

#endif
