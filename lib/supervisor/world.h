/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * world.h - a pool whose engines are the ranks of one MPI world: mpiexec starts them, and they join.
 *
 * Who:     the supervisor, which runs `MPIEXEC [ARGS] -n N pxrun engine --profile NAME --world NUMBER`.
 * Where:   private memory.
 * Blocks:  never, except until mpiexec has been executed.
 * Death:   of a rank, or of mpiexec: MPI ends the whole world, so all its engines are ended at once, and
 *          name that one as the cause; by the pool's policy another world is then started under the same
 *          ids. Of the supervisor: mpiexec dies with it, and each rank (PX_CONTROL_JOIN).
 */
#ifndef PX_WORLD_H
#define PX_WORLD_H

#include "pool/log_line.h"
#include "shm/member.h"
#include "supervisor/event_loop.h"
#include "supervisor/last_words.h"
#include "supervisor/process.h"

struct px_engine;
struct px_supervisor;

/*
 *   ABSENT  -> RUNNING     all engines wait
 *   RUNNING -> ABSENT      mpiexec has ended
 *   RUNNING -> BACKOFF     … soon after its start, once more
 *   BACKOFF -> ABSENT      the delay is over, or somebody asks for a restart
 */
enum px_world_state { PX_WORLD_ABSENT, PX_WORLD_RUNNING, PX_WORLD_BACKOFF };

struct px_world {
	bool on; /* engines are ranks */
	enum px_world_state state;
	uint64_t number;           /* of this world; earlier ones had lower numbers */
	struct px_process process; /* mpiexec */
	int output;                /* our end of a pipe to it; -1 */
	struct px_watch output_watch, death_watch;
	struct px_timer timer;   /* for mpiexec to end, or back-off */
	bool ended;              /* mpiexec has: to be reaped */
	bool falls;              /* a member of it has ended, and all are being ended */
	bool follows;            /* … and another world is to be started */
	bool served;             /* all its engines were up once */
	struct px_engine *first; /* that was seen to end; NULL */
	struct px_cause cause;   /* of the fall */
	char why[1024];          /* the same in words */
	char refused[256];       /* why a rank of it could not join; "" */
	uint64_t started_ns, delay_ns;
	uint32_t failures;      /* falls in a row, each soon after its start */
	uint32_t starts_failed; /* in a row */
	char begun
		[2048]; /* the beginning of its output, where mpiexec says what it does not like */
	size_t begun_bytes;
	struct px_last_words words;
	struct px_log_lines lines;
};

/* Before any engine is made. PX_EINVAL: no such pool can have native engines, or ones that are renewed. */
int px_world_begin(struct px_supervisor *s);
/* The phase of the turn: starts a world if all its engines wait. A failure is handled inside. */
void px_world_start(struct px_supervisor *s);
/* Somebody has asked for engines: a delay before the next world is over. */
void px_world_hurry(struct px_supervisor *s);
/* The phase of the turn: handles the end of mpiexec. */
void px_world_reap(struct px_supervisor *s);
/* Marks that mpiexec has ended. */
void px_world_process_ended(struct px_supervisor *s);
/* An engine of it has ended, before anything is decided about it: unless all are told to, the world falls. */
void px_world_falls(struct px_supervisor *s, const struct px_engine *e, pid_t pid,
		    const struct px_process_exit *how);
/* Whose end has taken this engine along; none, if it has ended by itself. */
struct px_cause px_world_cause(const struct px_supervisor *s, const struct px_engine *e);
/* Why such an engine has ended, in e->why; else keeps the reason that is there for the others. */
void px_world_explain(struct px_supervisor *s, struct px_engine *e);
/* A rank of it could not join (px_last_error()), so that it will not be whole. */
void px_world_refuses(struct px_supervisor *s);
/* The pool stops, and its engines are about to be told. */
void px_world_stop(struct px_supervisor *s);
/* Whether mpiexec is gone; if not, it has only moments left. */
bool px_world_ended(struct px_supervisor *s);
/* Ends it for good. */
void px_world_end(struct px_supervisor *s);

#endif
