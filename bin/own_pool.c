/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * own_pool.c - starts a private pool, and leaves no zombie of its supervisor.
 */
#include "bin/own_pool.h"

#include <limits.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "bin/command.h"
#include "client/start.h"

/* How long a supervisor whose pool has ended is waited for. */
#define REAP_TRIES 1000
#define REAP_NAP_NS 1000000

int px_own_pool_start(struct px_settings *settings, struct px_client **out)
{
	char self[PATH_MAX], warnings[PX_WARNINGS_BYTES] = "";
	int rc;

	/* The supervisor would be left to process 1, which in many containers reaps nobody. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	rc = px_pool_start_by(settings, "", px_command_self(self), 0, warnings, out);
	if (rc == 0)
		px_command_warn(warnings);
	return rc;
}

void px_own_pool_end(struct px_client *client)
{
	const struct timespec nap = { .tv_nsec = REAP_NAP_NS };
	pid_t supervisor = client->endpoint->segment->header->supervisor_pid;

	px_client_detach(client);
	/* Of other orphans none is waited for: they may go on. */
	for (int i = 0; i < REAP_TRIES && waitpid(supervisor, NULL, WNOHANG) == 0; i++)
		nanosleep(&nap, NULL);
}
