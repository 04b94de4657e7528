/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * renewal.h - when an engine has run so much, or grown so large, that another process is to take its place.
 *
 * Who:     the engine's loop (loop.c), between requests.
 * Where:   private memory; the limits are the pool's settings max_tasks and max_memory.
 * Blocks:  never.
 * Death:   as of any engine.
 *
 * An engine that is due tells the supervisor when few requests wait for it, or none. The supervisor shows it as
 * starting, so that later requests wait for the next process; the engine serves what was sent before
 * somebody could see that, and ends when there has been nothing for PX_RENEWAL_QUIET_NS. A long queue is worked
 * off first, for meanwhile others have their turns.
 */
#ifndef PX_RENEWAL_H
#define PX_RENEWAL_H

#include <stdbool.h>
#include <stdint.h>

#include "link/endpoint.h"

/* From a client's look at an engine's state to the frame in its ring: microseconds, if it is not preempted. */
#define PX_RENEWAL_QUIET_NS UINT64_C(50000000)

/* So many requests may wait when the supervisor is told: those of clients that call and call. */
#define PX_RENEWAL_QUEUE 64

/* While requests wait, the limits are looked at so often: what the kernel says of memory takes long. */
#define PX_RENEWAL_LOOK_NS UINT64_C(20000000)

struct px_renewal {
	uint64_t max_requests, max_bytes; /* 0: no limit */
	uint64_t looked_ns;               /* when it was busy, and the limits were looked at */
	uint64_t told_ns;                 /* when the supervisor was told; 0: not yet */
	uint64_t quiet_ns; /* since when there is nothing to do, and nothing can come; 0 */
};

/* Whether the engine has reached a limit, now or when it told the supervisor so. */
bool px_renewal_due(const struct px_renewal *renewal, const struct px_endpoint *endpoint);
/* There is nothing to do, and it is due. Whether it ends now. */
bool px_renewal_proceed(struct px_renewal *renewal, const struct px_endpoint *endpoint,
			uint32_t engine);

#endif
