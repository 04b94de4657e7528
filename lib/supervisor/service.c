/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service.c - sd_notify(3) of libsystemd.
 *
 * It is loaded where there is a manager to be told. Linked, it and what it needs would double the time
 * that each `pxrun` takes, 0.7 ms.
 */
#include "supervisor/service.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void notify(const char *words)
{
	int (*sd_notify)(int unset_environment, const char *state);
	void *library;

	if (!getenv("NOTIFY_SOCKET"))
		return;
	library = dlopen("libsystemd.so.0", RTLD_NOW);
	if (!library)
		return;
	*(void **)&sd_notify = dlsym(library, "sd_notify");
	if (sd_notify)
		(void)sd_notify(0, words);
	dlclose(library);
}

void px_service_ready(uint32_t engines)
{
	char words[64];

	snprintf(words, sizeof(words), "READY=1\nSTATUS=%" PRIu32 " engine%s", engines,
		 engines == 1 ? "" : "s");
	notify(words);
}

void px_service_stopping(const char *why)
{
	char words[2048];

	snprintf(words, sizeof(words), "STOPPING=1\nSTATUS=%s", why);
	notify(words);
}
