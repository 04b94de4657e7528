/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * renewal.c - looks at what an engine has done and takes, and agrees with the supervisor on its end.
 */
#include "engine/renewal.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "pool/control.h"
#include "shm/os.h"

/* What it has for itself: the pages of the arena are the pool's. */
static uint64_t own_bytes(void)
{
	uint64_t resident = 0, shared = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%*s %" SCNu64 " %" SCNu64, &resident, &shared) != 2)
		resident = shared = 0;
	(void)fclose(file);
	return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

bool px_renewal_due(const struct px_renewal *renewal, const struct px_endpoint *endpoint)
{
	uint64_t done;

	/* There is no way back: nobody sends requests to it any more, also if it has become smaller since. */
	if (renewal->told_ns)
		return true;
	/* Relaxed: our own word. */
	done = atomic_load_explicit(&endpoint->block->activity.requests_done, memory_order_relaxed);

	/* One that is too large from its start on still runs a request. */
	if (!done)
		return false;
	return (renewal->max_requests && done >= renewal->max_requests) ||
	       (renewal->max_bytes && own_bytes() > renewal->max_bytes);
}

static void tell(const struct px_endpoint *endpoint, uint64_t ends)
{
	struct px_control renew = { .type = PX_CONTROL_RENEW, .a = ends };

	(void)px_control_send(endpoint->control, &renew, NULL, NULL, 0);
}

bool px_renewal_proceed(struct px_renewal *renewal, const struct px_endpoint *endpoint,
			uint32_t engine)
{
	const struct px_engine_shm *shown = &endpoint->segment->engines[engine];
	uint64_t now = px_os.now_ns();

	if (!renewal->told_ns) {
		tell(endpoint, 0);
		renewal->told_ns = now;
	}
	/* Relaxed: only the time from here on matters. */
	if (atomic_load_explicit(&shown->state, memory_order_relaxed) == PX_ENGINE_UP)
		return false;
	if (!renewal->quiet_ns)
		renewal->quiet_ns = now;
	if (now - renewal->quiet_ns < PX_RENEWAL_QUIET_NS)
		return false;
	tell(endpoint, 1);
	return true;
}
