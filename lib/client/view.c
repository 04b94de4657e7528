/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * view.c - a handle on some engines, and what is sent to them.
 */
#include "client/view.h"

#include <stdlib.h>
#include <string.h>

#include "client/internal.h"
#include "shm/error.h"

struct px_view {
	struct px_handle handle;
	struct px_client *client;
	bool any;       /* one of them, whichever is idle */
	uint32_t count; /* 0: all that are up at each call */
	uint32_t ids[];
};

static int view_new(struct px_client *client, bool any, const uint32_t *ids, size_t count,
		    struct px_view **out)
{
	struct px_view *view = malloc(sizeof(*view) + count * sizeof(uint32_t));

	if (!view)
		return px_fail(PX_ENOMEM, "no private memory for a view");
	px_handle_init(&view->handle, PX_HANDLE_VIEW);
	view->client = client;
	view->any = any;
	view->count = (uint32_t)count;
	if (count)
		memcpy(view->ids, ids, count * sizeof(uint32_t));
	px_client_hold(client);
	*out = view;
	return 0;
}

static int view_of_all(struct px_client *client, bool any, struct px_view **out)
{
	int rc = px_client_begin(client);

	if (rc < 0)
		return rc;
	rc = px_need(out, "view");
	if (rc == 0)
		rc = view_new(client, any, NULL, 0, out);
	px_client_leave(client);
	return rc;
}

/* A program that has computed an empty list does not mean all engines. */
static int check_ids(const uint32_t *ids, size_t count)
{
	if (!count)
		return px_fail(PX_EINVAL, "a view of no engines: for all of them there are "
					  "px_view_all() and px_view_any()");
	if (count > PX_ENGINES_MAX)
		return px_fail(PX_EINVAL, "%zu targets: a pool has at most %d engines", count,
			       PX_ENGINES_MAX);
	return px_need(ids, "ids");
}

static int view_of_some(struct px_client *client, bool any, const uint32_t *ids, size_t count,
			struct px_view **out)
{
	int rc = px_client_begin(client);

	if (rc < 0)
		return rc;
	rc = px_need(out, "view");
	if (rc == 0)
		rc = check_ids(ids, count);
	if (rc == 0)
		rc = view_new(client, any, ids, count, out);
	px_client_leave(client);
	return rc;
}

int px_view_all(struct px_client *client, struct px_view **out)
{
	return view_of_all(client, false, out);
}

int px_view_of(struct px_client *client, const uint32_t *ids, size_t count, struct px_view **out)
{
	return view_of_some(client, false, ids, count, out);
}

int px_view_any(struct px_client *client, struct px_view **out)
{
	return view_of_all(client, true, out);
}

int px_view_any_of(struct px_client *client, const uint32_t *ids, size_t count,
		   struct px_view **out)
{
	return view_of_some(client, true, ids, count, out);
}

void px_view_free(struct px_view *view)
{
	if (!view || px_handle_check(view, PX_HANDLE_VIEW, "view") < 0)
		return;
	px_handle_end(&view->handle);
	px_client_release(view->client);
	px_handle_discard(&view->handle);
}

int px_view_begin(struct px_view *view)
{
	int rc = px_handle_check(view, PX_HANDLE_VIEW, "view");

	return rc < 0 ? rc : px_client_enter(view->client);
}

struct px_client *px_view_client(const struct px_view *view)
{
	return view->client;
}

bool px_view_is_any(const struct px_view *view)
{
	return view->any;
}

int px_view_targets(const struct px_view *view, uint32_t *ids)
{
	int count = (int)view->count;

	if (count) {
		memcpy(ids, view->ids, view->count * sizeof(uint32_t));
		return count;
	}
	count = px_client_live(view->client, ids, PX_ENGINES_MAX);
	return count ? count : px_client_no_engines(view->client);
}

int px_view_set(const struct px_view *view, struct px_engine_set *set)
{
	int rc = px_engine_set(view->ids, view->count, set);

	return rc < 0 ? rc : view->count > 0;
}

/* A task's only message. */
static int make_one(void *ctx, struct px_result *result, uint32_t index, struct px_outgoing *out)
{
	(void)result, (void)index;
	*out = *(const struct px_outgoing *)ctx;
	return 0;
}

int px_view_send(struct px_view *view, struct px_outgoing *message, const struct px_how *how,
		 struct px_result **out)
{
	uint32_t ids[PX_ENGINES_MAX];
	struct px_engine_set set;
	int rc;

	if (view->any) {
		rc = px_view_set(view, &set);
		return rc < 0 ? rc :
				px_client_post(view->client, rc ? &set : NULL, 1, make_one, message,
					       how, out);
	}
	rc = px_view_targets(view, ids);
	return rc < 0 ? rc : px_client_submit(view->client, ids, (uint32_t)rc, message, how, out);
}
