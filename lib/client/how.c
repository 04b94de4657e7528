/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * how.c - reads struct px_how.
 */
#include "client/how.h"

#include "client/client.h"
#include "pool/sized.h"
#include "shm/error.h"

#define KNOWN_FLAGS (PX_NOWAIT | PX_URGENT | PX_QUIET)

int px_how_read(const struct px_how *how, struct px_how *out)
{
	int rc;

	*out = (struct px_how)PX_HOW;
	if (!how)
		return 0;
	rc = px_sized_read(out, sizeof(*out), offsetof(struct px_how, user), how, "px_how",
			   "PX_HOW");
	if (rc == 0 && out->flags & ~KNOWN_FLAGS)
		rc = px_fail(PX_EINVAL, "flags 0x%x: this libpxrun does not know all of them",
			     out->flags);
	return rc;
}

static int check(const struct px_how *how, bool tasks)
{
	if (!tasks && how->retries)
		return px_fail(PX_EINVAL, "retries are for tasks: requests to px_view_any()");
	if (tasks && how->flags & PX_URGENT)
		return px_fail(PX_EINVAL,
			       "a task cannot be urgent: it begins when an engine is idle");
	return 0;
}

void px_how_mark(const struct px_how *how, struct px_outgoing *message)
{
	if (how->flags & PX_URGENT)
		message->flags |= PX_MESSAGE_URGENT;
	if (how->flags & PX_QUIET && message->kind == PX_REQUEST_EXECUTE)
		message->flags |= PX_EXECUTE_SILENT;
}

int px_how_apply(const struct px_how *how, bool tasks, struct px_result *result)
{
	int rc = check(how, tasks);

	if (rc < 0)
		return rc;
	result->quiet = how->flags & PX_QUIET;
	/* Another thread may take it before the call that makes it returns. */
	atomic_store_explicit(&result->user, how->user, memory_order_relaxed);
	return px_limits_add(result, how->timeout_ns);
}
