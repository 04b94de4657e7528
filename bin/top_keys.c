/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * top_keys.c - selects, sorts, and does something to the selected engine.
 */
#include "bin/top_keys.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "shm/error.h"

/* A supervisor answers at once, or hangs. */
#define ANSWER_NS UINT64_C(2000000000)
/* A restart is answered when it is done: the screen shows what becomes of it. */
#define ASK_NS UINT64_C(1000000)

/* How long a question is shown until it counts as denied. */
#define CONFIRM_NS UINT64_C(60000000000)

/* --- what is done to an engine --- */

static const struct action {
	int key;
	const char *does, *done;
} actions[] = {
	{ 'i', "interrupt", "was interrupted" },
	{ 'r', "restart", "is being restarted" },
	{ 'k', "kill", "was killed" },
};

static const struct action *find_action(int key)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (actions[i].key == key)
			return &actions[i];
	return NULL;
}

/* Whether it is still the process of the question and, for an interrupt, what that runs: others are not meant. */
static int check_process(struct px_client *client, const struct px_top_engine *engine,
			 bool interrupt)
{
	struct px_engine_work now;
	int rc = px_engine_work_read(client, engine->id, &now);

	if (rc == 0 && now.pid != engine->work.pid)
		return px_fail(PX_EENGINE, "engine %u has another process by now", engine->id);
	if (rc == 0 && interrupt && !px_engine_work_same(&now, &engine->work))
		return px_fail(PX_EENGINE, "engine %u runs something else by now", engine->id);
	return rc;
}

static int act(struct px_client *client, const struct px_top_engine *engine, int key)
{
	int rc;

	if (key == 'r') {
		rc = px_client_restart_engine(client, engine->id, ASK_NS);
		return rc == PX_ETIMEDOUT ? 0 : rc;
	}
	rc = check_process(client, engine, key == 'i');
	if (rc == 0 && key == 'i')
		rc = px_client_interrupt(client, engine->id, engine->work.started_ns, ANSWER_NS);
	else if (rc == 0)
		rc = px_client_signal(client, engine->id, SIGKILL, ANSWER_NS);
	return rc;
}

/* Why there is nothing to be asked; "": there is. */
static void refuse(const struct px_top_sample *sample, const struct px_top_engine *engine, int key,
		   char *out, size_t out_bytes)
{
	out[0] = '\0';
	if (sample->supervisor_stopped)
		snprintf(out, out_bytes, "the supervisor, process %d, is stopped and does nothing",
			 sample->pool.supervisor_pid);
	else if (key != 'r' && !engine->work.pid)
		snprintf(out, out_bytes, "engine %u has no process at the moment", engine->id);
	else if (key == 'i' && !engine->work.busy)
		snprintf(out, out_bytes, "nothing runs on engine %u", engine->id);
}

static void ask_and_act(struct px_client *client, const struct px_top_sample *sample,
			const struct px_top_engine *engine, const struct action *action,
			struct px_top_view *view)
{
	char works[96] = "";
	int key;

	refuse(sample, engine, action->key, view->words, sizeof(view->words));
	if (*view->words)
		return;
	if (engine->work.busy)
		snprintf(works, sizeof(works), ", which works for %s", engine->work.asked_by);
	snprintf(view->words, sizeof(view->words), "%s engine %u (process %d)%s? y/n", action->does,
		 engine->id, engine->work.pid, works);
	/* Only the words are new: what they speak of stays on the screen. */
	px_top_screen_draw(sample, view);
	while ((key = px_top_screen_key(CONFIRM_NS)) == PX_TOP_NONE)
		px_top_screen_draw(sample, view);
	if (key != 'y' && key != 'Y')
		view->words[0] = '\0';
	else if (act(client, engine, action->key) < 0)
		snprintf(view->words, sizeof(view->words), "%s", px_last_error());
	else
		snprintf(view->words, sizeof(view->words), "engine %u %s", engine->id,
			 action->done);
}

/* --- selecting --- */

/* Its row; the first one if the engine that was selected is gone. */
static uint32_t find_selected(const struct px_top_sample *sample, const struct px_top_view *view)
{
	for (uint32_t i = 0; i < sample->engines_count; i++)
		if (sample->engines[i].id == view->selected)
			return i;
	return 0;
}

static void select_row(const struct px_top_sample *sample, struct px_top_view *view, int64_t row)
{
	int64_t last = (int64_t)sample->engines_count - 1;

	row = row < last ? row : last;
	row = row > 0 ? row : 0;
	if (sample->engines_count)
		view->selected = sample->engines[row].id;
}

bool px_top_key_press(struct px_client *client, struct px_top_sample *sample,
		      struct px_top_view *view, int key)
{
	uint32_t at = find_selected(sample, view);
	const struct action *action = find_action(key);

	if (key != PX_TOP_NONE)
		view->words[0] = '\0';
	switch (key) {
	case PX_TOP_QUIT:
	case 'q':
		return false;
	case 'h':
	case '?':
		view->help = !view->help;
		break;
	case PX_TOP_BY_ID:
	case PX_TOP_BY_CPU:
	case PX_TOP_BY_MEMORY:
	case PX_TOP_BY_TIME:
	case PX_TOP_BY_ARRAYS:
		view->sort = (enum px_top_sort)key;
		px_top_sort_engines(sample, view->sort);
		break;
	case PX_TOP_UP:
		select_row(sample, view, (int64_t)at - 1);
		break;
	case PX_TOP_DOWN:
		select_row(sample, view, (int64_t)at + 1);
		break;
	case PX_TOP_PAGE_UP:
		select_row(sample, view, (int64_t)at - px_top_screen_page());
		break;
	case PX_TOP_PAGE_DOWN:
		select_row(sample, view, (int64_t)at + px_top_screen_page());
		break;
	case PX_TOP_HOME:
		select_row(sample, view, 0);
		break;
	case PX_TOP_END:
		select_row(sample, view, sample->engines_count);
		break;
	default:
		if (!action || !sample->engines_count || view->help)
			break;
		if (sample->engines[at].id == view->selected)
			ask_and_act(client, sample, &sample->engines[at], action, view);
		else
			snprintf(view->words, sizeof(view->words),
				 "engine %u is not there any more", view->selected);
	}
	return true;
}
