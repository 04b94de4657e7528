/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * view.h - views, for the files that make requests to them.
 *
 * Who:     any thread, several at once; a view does not change.
 * Where:   private memory.
 * Blocks:  px_view_send(), as px_client_submit().
 * Death:   of an engine: requests to it fail, or go to others (tasks).
 */
#ifndef PX_VIEW_H
#define PX_VIEW_H

#include "client/client.h"
#include "client/tasks.h"

/* Enters the view's client; px_client_leave(). PX_EINVAL, PX_ECLOSED. */
int px_view_begin(struct px_view *view);

/* --- from here on of a view whose client was entered --- */

struct px_client *px_view_client(const struct px_view *view);
/* Whether its requests are tasks. */
bool px_view_is_any(const struct px_view *view);
/* The ids of its engines, in room for PX_ENGINES_MAX, and their number; PX_EENGINE: there are none. */
int px_view_targets(const struct px_view *view, uint32_t *ids);
/* 1 and the set of those that may run its tasks; 0: any may. PX_EENGINE: one cannot be. */
int px_view_set(const struct px_view *view, struct px_engine_set *set);
/* Sends one message to all targets, or as a task. As px_client_submit(). */
int px_view_send(struct px_view *view, struct px_outgoing *message, const struct px_how *how,
		 struct px_result **result);

#endif
