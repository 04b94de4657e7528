/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crew.c - hands the pieces of a piece of work to the caller and its helpers.
 */
#include "shm/crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "shm/os.h"
#include "shm/sizes.h"

/* Few processors are enough for all the speed that memory has. Measured only with one helper. */
#define HELPERS_MAX 3
/* A helper calls memcpy(3) or madvise(2); the thread's own storage, of whatever libraries, lies there too. */
#define STACK_BYTES ((size_t)256 << 10)

struct crew {
	px_crew_work work;
	void *ctx;
	uint64_t bytes;
	_Atomic uint64_t next; /* the first byte that nobody has taken */
	_Atomic int failure;
};

/* Relaxed: the work's memory is the members' own, and pthread_join() orders all before the caller goes on. */
static bool take_piece(struct crew *crew)
{
	uint64_t from =
		atomic_fetch_add_explicit(&crew->next, PX_CREW_PIECE_BYTES, memory_order_relaxed);
	int rc = 0;

	if (from >= crew->bytes || atomic_load_explicit(&crew->failure, memory_order_relaxed) < 0)
		return false;
	if (crew->bytes - from < PX_CREW_PIECE_BYTES)
		rc = crew->work(crew->ctx, from, crew->bytes - from);
	else
		rc = crew->work(crew->ctx, from, PX_CREW_PIECE_BYTES);
	if (rc < 0)
		atomic_store_explicit(&crew->failure, rc, memory_order_relaxed);
	return rc == 0;
}

static void *help(void *crew)
{
	while (take_piece(crew))
		;
	return NULL;
}

/* Has one more help, or not, where a thread cannot be had. Its signals stay the caller's business. */
static bool hire(struct crew *crew, pthread_t *helper)
{
	pthread_attr_t attributes;
	sigset_t all, old;
	bool hired;

	if (pthread_attr_init(&attributes))
		return false;
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	hired = pthread_create(helper, &attributes, help, crew) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
	return hired;
}

int px_crew_run(px_crew_work work, void *ctx, uint64_t bytes)
{
	struct crew crew = { .work = work, .ctx = ctx, .bytes = bytes };
	pthread_t helpers[HELPERS_MAX];
	unsigned most = bytes < PX_CREW_BYTES ? 0 : HELPERS_MAX, hired = 0;

	/*
	 * Processors are looked for after the pieces 1, 2, 4, 8 and so on: whoever has just answered the caller
	 * still waits for its next word, awake, and a processor that seems to be taken is idle soon.
	 */
	for (uint64_t done = 1; take_piece(&crew); done++) {
		unsigned idle = hired < most && !(done & (done - 1)) ? px_os.processors_idle() : 0;

		while (idle-- > 0 && hired < most && hire(&crew, &helpers[hired]))
			hired++;
	}
	while (hired > 0)
		(void)pthread_join(helpers[--hired], NULL);
	return atomic_load_explicit(&crew.failure, memory_order_relaxed);
}
