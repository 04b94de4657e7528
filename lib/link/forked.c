/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forked.c - counts forks in the child.
 */
#include "link/forked.h"

#include <pthread.h>
#include <stdatomic.h>

static _Atomic uint32_t generation;
static pthread_once_t registered = PTHREAD_ONCE_INIT;

static void in_child(void)
{
	atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

static void watch(void)
{
	pthread_atfork(NULL, NULL, in_child);
}

uint32_t px_forked_generation(void)
{
	pthread_once(&registered, watch);
	return atomic_load_explicit(&generation, memory_order_relaxed);
}
