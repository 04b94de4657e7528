/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * status.h - writes the state of the pool as JSON, and the connection file.
 *
 * Who:     the supervisor.
 * Blocks:  px_status_publish() while it writes a small file.
 */
#ifndef PX_STATUS_H
#define PX_STATUS_H

#include <stddef.h>

struct px_supervisor;

/*
 * Writes the pool's state as JSON; without enough room some is left out, and "truncated" says so.
 *
 *   profile, pid, version, python [major, minor] or null, executable (its path) or null, n,
 *   event_loop, restart, uptime (s), state, template {pid, state, forks, why}, spin_ns,
 *   segment {kind "shm", "memfd" or "mount", bytes, huge_pages null, "shmem" or "mount"},
 *   arena {total, used, budget, limit, lingering (dead members whose memory is still read)},
 *   engines [{id, pid, state, generation, restarts, busy (s, null if idle), client (the slot of whose
 *   request that is), done, arena, in_use, given_back, why}], clients [{slot, pid, arena, in_use,
 *   given_back}], connections, truncated
 */
void px_status_write(const struct px_supervisor *s, char *out, size_t out_bytes);
/* Writes connection.json into the runtime folder, completely or not at all. PX_ESYSTEM. */
int px_status_publish(const struct px_supervisor *s);

#endif
