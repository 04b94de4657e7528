/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * supervision.h - the supervisor's state, for the files of this folder.
 *
 * Files call downwards only, in this order: supervisor; files; connections; client_requests; join, pending,
 * status, orphans; engines; engine_end; world; engine; template, connection; memory_requests; ahead, sweep, signals,
 * owner; and
 * below them those that do not use this struct. What a file further up is to do is marked in the
 * turn.
 */
#ifndef PX_SUPERVISION_H
#define PX_SUPERVISION_H

#include <time.h>

#include "machine/oom.h"
#include "pool/control.h"
#include "supervisor/ahead.h"
#include "supervisor/connections.h"
#include "supervisor/extents.h"
#include "supervisor/files.h"
#include "supervisor/log.h"
#include "supervisor/orphans.h"
#include "supervisor/owner.h"
#include "supervisor/signals.h"
#include "supervisor/sweep.h"
#include "supervisor/template.h"
#include "supervisor/turn.h"
#include "supervisor/world.h"

struct px_engine;
struct px_pending;
struct px_supervisor_options;

/* Engines end within two seconds of SIGTERM, if they can (python/ext/interrupt.c). */
#define PX_STOP_GRACE_NS UINT64_C(3000000000)
#define PX_STARTS_MAX 3 /* in a row without success */

struct px_supervisor {
	const struct px_supervisor_options *options;
	enum px_restart restart;
	uint64_t start_limit_ns, began_ns;
	struct px_timer limit; /* until the pool is ready */
	char **environment;
	struct px_log log;
	struct px_loop *loop;
	struct px_turn turn;
	struct px_segment *segment;
	struct px_extents extents;
	struct px_oom oom;
	struct px_template template;
	struct px_world world;
	struct px_engine *engines[PX_ENGINES_MAX];
	uint32_t engines_count;
	uint32_t engines_asked; /* as many as the settings say */
	struct px_connections connections;
	struct px_pending *pending;
	struct px_sweep sweep;
	struct px_ahead ahead;
	struct px_orphans orphans;
	struct px_signals signals;
	struct px_owner owner;
	struct px_files files;
	int lifeline;     /* the end of a pipe; who has joined dies when it closes (join.c). -1: none yet */
	time_t published; /* when all engines first served */
	int ready_fd;
	struct px_watch ready_watch; /* who reads there has gone */
	bool ready;                  /* all engines that the pool began with have served */
	bool closing;                /* told to stop */
	bool done;                   /* no engine is left */
	int failure; /* the code of why the pool could not start; the words are in failure_words */
	char failure_words[1024];
	char warnings[PX_WARNINGS_BYTES]; /* lines for the starter of the pool */
	struct px_packet packet;          /* the last one received */
};

#endif
