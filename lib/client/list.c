/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * list.c - the pools of this user.
 */
#include "client/handle.h"
#include "client/pxrun.h"
#include "pool/runtime.h"

struct listing {
	px_pool_each *each;
	void *ctx;
	int count;
};

static int tell(void *ctx, const struct px_runtime *runtime)
{
	struct px_pool_info info = { .size = sizeof(info), .profile = runtime->profile };
	struct listing *listing = ctx;
	struct px_runtime_facts facts;
	char path[128];

	if (!px_runtime_alive(runtime))
		return 0;
	px_runtime_facts(runtime, &facts);
	info.supervisor_pid = facts.pid;
	info.engines = facts.engines;
	info.started = facts.started;
	info.connection_file = px_runtime_path(runtime, "connection.json", path, sizeof(path));
	listing->each(listing->ctx, &info);
	listing->count++;
	return 0;
}

int px_pool_list(px_pool_each *each, void *ctx)
{
	struct listing listing = { each, ctx, 0 };
	int rc = each ? 0 : px_need(NULL, "each");

	if (rc == 0)
		rc = px_runtime_list(tell, &listing);
	return rc < 0 ? rc : listing.count;
}
