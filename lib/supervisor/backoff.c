/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backoff.c - delays that double.
 */
#include "supervisor/backoff.h"

#include "shm/os.h"

#define BACKOFF_MIN_NS UINT64_C(50000000)
#define BACKOFF_MAX_NS UINT64_C(5000000000)
#define SOON_NS UINT64_C(10000000000)

uint64_t px_backoff_ns(uint32_t *failures, uint64_t started_ns)
{
	uint64_t delay = BACKOFF_MIN_NS;

	if (px_os.now_ns() - started_ns >= SOON_NS)
		*failures = 0;
	if (++*failures == 1)
		return 0;
	for (uint32_t i = 2; i < *failures && delay < BACKOFF_MAX_NS; i++)
		delay *= 2;
	return delay < BACKOFF_MAX_NS ? delay : BACKOFF_MAX_NS;
}
