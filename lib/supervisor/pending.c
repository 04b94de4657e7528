/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pending.c - answers clients when the engines that they asked for are up or gone.
 */
#include "supervisor/pending.h"

#include <stdio.h>
#include <stdlib.h>

#include "shm/error.h"
#include "supervisor/connection.h"
#include "supervisor/engine.h"
#include "supervisor/supervision.h"

void px_pending_forget(struct px_supervisor *s, const struct px_connection *c)
{
	struct px_pending **where = &s->pending;

	while (*where) {
		struct px_pending *w = *where;

		if (w->connection != c) {
			where = &w->next;
			continue;
		}
		*where = w->next;
		free(w);
	}
}

static bool covers(const struct px_pending *w, uint32_t id)
{
	return id >= w->first && id - w->first < w->count;
}

/* It will not be up, as far as it can be known. */
static bool failed(const struct px_engine *e)
{
	return e->life == PX_LIFE_GONE || e->postponed;
}

static bool all_settled(const struct px_supervisor *s, const struct px_pending *w)
{
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (covers(w, i) && s->engines[i]->life != PX_LIFE_UP && !failed(s->engines[i]))
			return false;
	return true;
}

/* Why an engine is not up, unless its removal was asked for. */
static void note_failures(const struct px_supervisor *s, struct px_pending *w)
{
	for (uint32_t i = 0; i < s->engines_count && !w->failure[0]; i++)
		if (s->engines[i]->settled && failed(s->engines[i]) &&
		    w->type != PX_CONTROL_REMOVE && covers(w, i))
			snprintf(w->failure, sizeof(w->failure), "%s", s->engines[i]->why);
}

void px_pending_answer(struct px_supervisor *s)
{
	struct px_pending **where = &s->pending;

	while (*where) {
		struct px_pending *w = *where;
		struct px_control head = { .serial = w->serial };

		note_failures(s, w);
		if (!all_settled(s, w)) {
			where = &w->next;
			continue;
		}
		*where = w->next;
		px_connection_reply(w->connection, &head, w->failure[0] ? PX_EENGINE : 0,
				    w->failure[0] ? w->failure : NULL, w->first, w->count);
		free(w);
	}
}

bool px_pending_add(struct px_connection *c, const struct px_control *head, uint32_t first,
		    uint32_t count)
{
	struct px_pending *w = calloc(1, sizeof(*w));

	if (!w) {
		px_connection_reply(c, head, PX_ENOMEM,
				    "the supervisor has no memory left for this", 0, 0);
		return false;
	}
	*w = (struct px_pending){
		.next = c->supervisor->pending,
		.connection = c,
		.serial = head->serial,
		.type = head->type,
		.first = first,
		.count = count,
	};
	c->supervisor->pending = w;
	c->supervisor->turn.answer = true;
	return true;
}
