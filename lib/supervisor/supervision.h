/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * supervision.h - everything that the supervisor knows, for its own files.
 */
#ifndef PX_SUPERVISION_H
#define PX_SUPERVISION_H

#include "machine/oom.h"
#include "pool/control.h"
#include "shm/segment.h"
#include "supervisor/connections.h"
#include "supervisor/engine.h"
#include "supervisor/event_loop.h"
#include "supervisor/extents.h"
#include "supervisor/log.h"
#include "supervisor/pending.h"
#include "supervisor/supervisor.h"
#include "supervisor/sweep.h"
#include "supervisor/template.h"

#define PX_STOP_GRACE_NS UINT64_C(2000000000)
#define PX_STARTS_MAX 3 /* in a row without success */

struct px_supervisor {
	const struct px_supervisor_options *options;
	enum px_restart restart;
	uint64_t start_limit_ns, began_ns;
	char **environment;
	struct px_log log;
	struct px_loop *loop;
	struct px_segment *segment;
	struct px_extents extents;
	struct px_oom oom;
	struct px_template template;
	struct px_engine *engines[PX_ENGINES_MAX];
	uint32_t engines_count;
	bool pump, pumping; /* engines that wait are to be started; are being */
	struct px_connections connections;
	struct px_pending *pending;
	struct px_sweep sweep;
	struct px_watch signals_watch, owner_watch;
	int signals, ready_fd;
	bool ready;   /* all engines that the pool began with have served */
	bool reap;    /* a child has ended */
	bool closing; /* told to stop */
	bool done;    /* no engine is left */
	int failure;  /* why the pool could not start: the code; the words are in failure_words */
	char failure_words[1024];
	struct px_packet packet; /* the one that was received last */
};

/* Stops the pool; a second call kills. why, for the log. */
void px_supervisor_stop(struct px_supervisor *s, const char *why);
/* The pool cannot start, for this reason. */
void px_supervisor_fail(struct px_supervisor *s, int code, const char *why);
/* An engine came up or is gone. */
void px_supervisor_settled(struct px_supervisor *s, const struct px_engine *engine);
/*
 * How long to wait before the next start of what died: at once the first time, then
 * 50 ms doubling to 5 s for as long as each dies within 10 s of its start.
 */
uint64_t px_supervisor_backoff_ns(uint32_t *failures, uint64_t started_ns);

#endif
