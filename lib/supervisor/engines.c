/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engines.c - the phases of a turn that go through all engines.
 */
#include "supervisor/engines.h"

#include "supervisor/engine.h"
#include "supervisor/engine_end.h"
#include "supervisor/supervision.h"

/* More requests would only wait in the template's socket, with five descriptors each. */
#define STARTING_MAX 64

void px_engines_reap(struct px_supervisor *s)
{
	/* What it has done to the others is not to be taken for theirs. */
	if (s->world.first)
		px_engine_reap(s->world.first);
	for (uint32_t i = 0; i < s->engines_count; i++)
		px_engine_reap(s->engines[i]);
}

/* Of those that we start. */
static uint32_t count(const struct px_supervisor *s, enum px_life life)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < s->engines_count; i++)
		found += s->engines[i]->origin == PX_ENGINE_OURS && s->engines[i]->life == life;
	return found;
}

static void give_up(struct px_supervisor *s, const char *why)
{
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (s->engines[i]->origin == PX_ENGINE_OURS &&
		    s->engines[i]->life == PX_LIFE_WAITING)
			px_engine_give_up(s->engines[i], why);
}

void px_engines_start(struct px_supervisor *s)
{
	uint32_t starting = count(s, PX_LIFE_STARTING);
	const char *why;

	if (s->closing)
		return;
	px_world_start(s);
	if (px_template_given_up(s, &why))
		give_up(s, why);
	if (count(s, PX_LIFE_WAITING))
		px_template_want(s);
	px_template_start(s);
	for (uint32_t i = 0; i < s->engines_count && starting < STARTING_MAX; i++) {
		if (!px_template_ready(s))
			return;
		if (s->engines[i]->origin != PX_ENGINE_OURS ||
		    s->engines[i]->life != PX_LIFE_WAITING)
			continue;
		if (px_engine_start(s->engines[i]) < 0)
			return;
		starting++;
	}
}

static struct px_engine *find(const struct px_supervisor *s, pid_t pid)
{
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (s->engines[i]->process.pid == pid)
			return s->engines[i];
	return NULL;
}

bool px_engines_have(const struct px_supervisor *s, pid_t pid)
{
	return find(s, pid) != NULL;
}

bool px_engines_ended(struct px_supervisor *s, pid_t pid)
{
	struct px_engine *e = find(s, pid);

	/* Ranks are left to their pidfds, whose order tells which was the first; that of children does not. */
	if (e && e->origin != PX_ENGINE_RANK)
		px_engine_ended(e);
	return e != NULL;
}

bool px_engines_unknown(const struct px_supervisor *s)
{
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (s->engines[i]->ours.control >= 0 && !s->engines[i]->process.pid)
			return true;
	return false;
}
