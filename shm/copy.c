/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * copy.c - the faster of two ways to copy, by one thread or several.
 */
#include "shm/copy.h"

#include <stdint.h>
#include <string.h>

#include "shm/crew.h"
#include "shm/sizes.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <stdatomic.h>
#include <stdbool.h>

/* "Enhanced REP MOVSB/STOSB": leaf 7, EBX. */
#define ERMS (1u << 9)

static bool moves_well(void)
{
	static _Atomic int known; /* 0: not asked yet, 1: no, 2: yes */
	unsigned a = 0, b = 0, c = 0, d = 0;

	/* Every thread finds the same value: relaxed. */
	if (!atomic_load_explicit(&known, memory_order_relaxed)) {
		bool erms = __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & ERMS;

		atomic_store_explicit(&known, erms ? 2 : 1, memory_order_relaxed);
	}
	return atomic_load_explicit(&known, memory_order_relaxed) == 2;
}

/* A part of a copy of at least PX_MOVED_BYTES. */
static void move(void *to, const void *from, size_t bytes)
{
	if (!moves_well()) {
		memcpy(to, from, bytes);
		return;
	}
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

#else

static void move(void *to, const void *from, size_t bytes)
{
	memcpy(to, from, bytes);
}

#endif

struct copy {
	uint8_t *to;
	const uint8_t *from;
	uint64_t bytes;
};

static int copy_part(void *ctx, uint64_t from, uint64_t bytes)
{
	const struct copy *copy = ctx;

	if (copy->bytes < PX_MOVED_BYTES)
		memcpy(copy->to + from, copy->from + from, bytes);
	else
		move(copy->to + from, copy->from + from, bytes);
	return 0;
}

void px_copy(void *to, const void *from, size_t bytes)
{
	struct copy copy = { .to = to, .from = from, .bytes = bytes };

	if (bytes < PX_CREW_BYTES)
		memcpy(to, from, bytes);
	else
		(void)px_crew_run(copy_part, &copy, bytes);
}
