/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * killpoint.c - kills the process where a test asks for it.
 */
#include "shm/killpoint.h"

#ifdef PX_KILLPOINTS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	char role[16], label[64], once[256];
	long hit;
} target;
static const char *own_role = "";
static _Atomic long passages;
static pthread_once_t parsed = PTHREAD_ONCE_INIT;

static void parse(void)
{
	const char *text = getenv("PXRUN_KILLPOINT");

	if (text && sscanf(text, "%15[^:]:%63[^:]:%ld:%255s", target.role, target.label,
			   &target.hit, target.once) < 3)
		target.hit = 0;
}

void px_killpoint_role(const char *role)
{
	own_role = role;
	atomic_store_explicit(&passages, 0, memory_order_relaxed);
}

void px_killpoint_pass(const char *label)
{
	pthread_once(&parsed, parse);
	if (!target.hit || strcmp(label, target.label) || strcmp(own_role, target.role))
		return;
	if (atomic_fetch_add_explicit(&passages, 1, memory_order_relaxed) + 1 != target.hit)
		return;
	/* If a file is named, only the process that removes it is killed. */
	if (target.once[0] && unlink(target.once) < 0)
		return;
	raise(SIGKILL);
}

#else
typedef int px_no_killpoints; /* a file may not be empty */
#endif
