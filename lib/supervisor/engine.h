/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine.h - an engine id, and the processes that have it one after another.
 *
 * Who:     the supervisor.
 * Where:   private memory; what others must know is published in the segment's engine table.
 * Blocks:  never.
 * Death:   of its process: seen by the pidfd, handled in the reap phase (engine_end.h).
 */
#ifndef PX_ENGINE_H
#define PX_ENGINE_H

#include "shm/member.h"
#include "supervisor/channels.h"
#include "supervisor/event_loop.h"
#include "supervisor/process.h"

struct px_supervisor;

/*
 *   WAITING  -> STARTING                    the template takes the request, or a process joins
 *   STARTING -> UP                          it says that it serves
 *   STARTING -> WAITING | BACKOFF | GONE    it died, or took too long: again, at most 3 times
 *   UP       -> WAITING | BACKOFF | GONE    it died: by policy
 *   STARTING, UP -> DYING                   told to stop, to be renewed, or it closed its socket
 *   DYING    -> WAITING | BACKOFF | GONE    it died
 *   WAITING, BACKOFF -> GONE                told to stop
 *   BACKOFF  -> WAITING                     the delay is over, or told to restart
 */
enum px_life {
	PX_LIFE_WAITING,
	PX_LIFE_STARTING,
	PX_LIFE_UP,
	PX_LIFE_DYING,
	PX_LIFE_BACKOFF,
	PX_LIFE_GONE
};

/* Who starts the processes of an id. */
enum px_engine_origin {
	PX_ENGINE_OURS,  /* the template, or we ourselves */
	PX_ENGINE_RANK,  /* mpiexec, which we start (world.h) */
	PX_ENGINE_JOINED /* somebody else, once */
};

struct px_engine {
	struct px_supervisor *supervisor;
	uint32_t id;
	enum px_engine_origin origin;
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
	bool served;    /* the present process was up */
	bool told;      /* … was told to stop */
	bool keep;      /* … and another is to replace it */
	bool ended;     /* … has ended, or never appeared: to be reaped */
	bool was_up;    /* some process of this id was up */
	bool postponed; /* could not be started just now; it is tried again and again */
	bool settled;   /* it came up or is gone; who waits for that is yet to be answered */
	char why[1024]; /* the last failure */
};

/* A new id, which waits. PX_EINVAL: no id is left, PX_ENOMEM. */
int px_engine_new(struct px_supervisor *s, enum px_engine_origin origin, struct px_engine **out);
/* Frees an engine; its process, if any, is killed. */
void px_engine_free(struct px_engine *engine);
/*
 * Asks for a process; only for one that waits. PX_EAGAIN: the template takes no more now.
 * All other failures are the engine's: 0.
 */
int px_engine_start(struct px_engine *engine);
/* A process that others start is expected, within the time that engines have to serve. */
void px_engine_expect(struct px_engine *engine);
/*
 * It has come; only for one that is expected. pid 0: it will say itself which process it is. theirs is what it gets, as px_channels_open() has it; the caller
 * closes it by px_channels_close_theirs(). On failure the engine is ended: PX_ENOMEM, PX_EINVAL, PX_ESYSTEM.
 */
int px_engine_join(struct px_engine *engine, pid_t pid, int theirs[6]);
/* Marks that its process has ended, or that it has none that we could wait for. */
void px_engine_ended(struct px_engine *engine);
/* Stops the process: SIGTERM, after 2 s SIGKILL; with keep another one replaces it. */
void px_engine_stop(struct px_engine *engine, bool keep);
/* Kills the process and its group. */
void px_engine_kill(struct px_engine *engine);

/* --- for engine_end.c and engines.c --- */

/* It has no process, and waits for one. */
void px_engine_wait(struct px_engine *engine);
/* … after this time. */
void px_engine_back_off(struct px_engine *engine, uint64_t delay_ns);
/* … and will have none any more. */
void px_engine_give_up(struct px_engine *engine, const char *why);
/* Writes the engine table; px_member_announce() then makes everyone look. */
void px_engine_publish(struct px_engine *engine, enum px_engine_state state);
/* Its pidfd is watched. PX_ENOMEM, PX_ESYSTEM. */
int px_engine_watch_death(struct px_engine *engine);
/* Our ends of its channels. */
void px_engine_close(struct px_engine *engine);

#endif
