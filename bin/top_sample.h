/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * top_sample.h - what `pxrun top` shows: a pool's numbers at one moment, of shared memory and /proc.
 *
 * The supervisor is not asked, so that one that hangs is seen as well, and one that works is not disturbed.
 */
#ifndef PX_TOP_SAMPLE_H
#define PX_TOP_SAMPLE_H

#include "bin/engine_call.h"
#include "bin/process_name.h"

struct px_top_engine {
	uint32_t id, restarts;
	const char *state; /* "idle", "busy", "stopped" by a signal, "starting", "gone" */
	struct px_engine_work work;
	uint64_t done, memory_bytes, arrays_bytes;
	double cpu; /* in percent of one processor */
};

struct px_top_client {
	int pid;
	char name[PX_PROCESS_NAME_BYTES];
	uint64_t arrays_bytes;
};

/* A process's time on processors when it was last looked at, for the next look. */
struct px_top_cpu {
	int pid;
	uint64_t used_ns, at_ns;
	double percent;
};

struct px_top_sample {
	struct px_status pool;
	const char *profile;
	bool supervisor_stopped; /* by a signal: it answers nobody */
	uint32_t engines_count, clients_count, busy;
	struct px_top_engine engines[PX_ENGINES_MAX]; /* by id */
	struct px_top_client clients[PX_MEMBERS_MAX]; /* but for this one */
	struct px_top_cpu cpu[PX_ENGINES_MAX];
};

/* Reads all anew; zeros come before the first. PX_EPOOL, PX_ECLOSED. */
int px_top_sample_read(struct px_client *client, struct px_top_sample *sample);

#endif
