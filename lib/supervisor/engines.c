/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engines.c - what concerns all ids at once.
 */
#include "supervisor/supervision.h"

/* More requests would only wait in the template's socket, five descriptors each. */
#define STARTING_MAX 64

static void pump_once(struct px_supervisor *s)
{
	uint32_t starting = 0, wait = 0;

	for (uint32_t i = 0; i < s->engines_count; i++) {
		starting += s->engines[i]->life == PX_LIFE_STARTING;
		wait += s->engines[i]->life == PX_LIFE_WAITING;
	}
	if (wait && !px_template_ready(s))
		px_template_want(s);
	for (uint32_t i = 0; i < s->engines_count && starting < STARTING_MAX; i++) {
		if (!px_template_ready(s) || s->closing)
			return;
		if (s->engines[i]->life != PX_LIFE_WAITING)
			continue;
		if (px_engine_start(s->engines[i]) < 0)
			return;
		starting++;
	}
}

/* A start that fails pumps again, and 512 of them are too many for the stack. */
void px_engines_pump(struct px_supervisor *s)
{
	s->pump = true;
	if (s->pumping)
		return;
	s->pumping = true;
	while (s->pump) {
		s->pump = false;
		pump_once(s);
	}
	s->pumping = false;
}

void px_engines_give_up(struct px_supervisor *s, const char *why)
{
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (s->engines[i]->life == PX_LIFE_WAITING)
			px_engine_give_up(s->engines[i], why);
}

bool px_engines_died(struct px_supervisor *s, pid_t pid)
{
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (s->engines[i]->process.pid == pid) {
			px_engine_died(s->engines[i]);
			return true;
		}
	return false;
}

bool px_engines_unknown(const struct px_supervisor *s)
{
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (s->engines[i]->ours.control >= 0 && !s->engines[i]->process.pid)
			return true;
	return false;
}
