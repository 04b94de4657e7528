/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * top_table.c - makes lines of a pool's numbers.
 */
#include "bin/top_table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/amount.h"

#define BAR 30

static struct px_top_line __attribute__((format(printf, 1, 2))) line(const char *format, ...)
{
	struct px_top_line line;
	va_list args;

	va_start(args, format);
	vsnprintf(line.at, sizeof(line.at), format, args);
	va_end(args);
	for (char *at = line.at; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
	/* Last columns are empty now and then. */
	for (size_t end = strlen(line.at); end > 0 && line.at[end - 1] == ' '; end--)
		line.at[end - 1] = '\0';
	return line;
}

/* --- the pool --- */

struct px_top_line px_top_pool_line(const struct px_top_sample *sample)
{
	const struct px_status *pool = &sample->pool;
	struct px_amount up = px_amount_seconds((double)pool->uptime_ns / 1e9);

	if (sample->supervisor_stopped)
		return line(
			"pool '%s': its supervisor, process %d, is stopped by a signal: 'kill -CONT "
			"%d' has it go on",
			sample->profile, pool->supervisor_pid, pool->supervisor_pid);
	return line(
		"pool '%s': up for %s, process %d; engines: %u up, %u busy, %u starting, %u gone; "
		"%u client%s",
		sample->profile, up.at, pool->supervisor_pid, pool->engines_up, sample->busy,
		pool->engines_starting, pool->engines_gone, sample->clients_count,
		sample->clients_count == 1 ? "" : "s");
}

struct px_top_line px_top_arena_line(const struct px_top_sample *sample)
{
	double all = (double)sample->pool.arena_bytes;
	double used = all - (double)sample->pool.free_bytes;
	int full = all > 0 ? (int)(used / all * BAR + 0.5) : 0;
	char bar[BAR + 1];

	memset(bar, '|', BAR);
	memset(bar + full, ' ', (size_t)(BAR - full));
	bar[BAR] = '\0';
	return line("arena [%s] %s of %s", bar, px_amount_bytes(used).at, px_amount_bytes(all).at);
}

/* --- engines --- */

struct px_top_line px_top_engine_title(void)
{
	return line("%6s %8s %-8s %6s %9s %9s %10s %8s %8s  %s", "ENGINE", "PID", "STATE", "CPU%",
		    "MEMORY", "ARRAYS", "DONE", "RESTARTS", "TIME", "WORKS FOR");
}

struct px_top_line px_top_engine_line(const struct px_top_engine *engine)
{
	const struct px_engine_work *work = &engine->work;
	struct px_amount seconds = px_amount_seconds(work->busy ? work->seconds : -1);
	char pid[16] = "-";

	if (work->pid)
		snprintf(pid, sizeof(pid), "%d", work->pid);
	return line("%6u %8s %-8s %6.1f %9s %9s %10" PRIu64 " %8u %8s  %s%s%.80s", engine->id, pid,
		    engine->state, engine->cpu, px_amount_bytes((double)engine->memory_bytes).at,
		    px_amount_bytes((double)engine->arrays_bytes).at, engine->done,
		    engine->restarts, seconds.at, work->busy ? work->asked_by : "",
		    *work->function ? ": " : "", work->function);
}

static int compare(double a, double b, uint32_t a_id, uint32_t b_id)
{
	if (a != b)
		return a < b ? 1 : -1;
	return a_id < b_id ? -1 : a_id > b_id;
}

static double sorted_by(const struct px_top_engine *engine, enum px_top_sort by)
{
	switch (by) {
	case PX_TOP_BY_CPU:
		return engine->cpu;
	case PX_TOP_BY_MEMORY:
		return (double)engine->memory_bytes;
	case PX_TOP_BY_TIME:
		return engine->work.busy ? engine->work.seconds : -1;
	case PX_TOP_BY_ARRAYS:
		return (double)engine->arrays_bytes;
	case PX_TOP_BY_ID:
		break;
	}
	return 0;
}

static int compare_engines(const void *one, const void *two, void *ctx)
{
	const struct px_top_engine *a = one, *b = two;
	enum px_top_sort by = *(const enum px_top_sort *)ctx;

	return compare(sorted_by(a, by), sorted_by(b, by), a->id, b->id);
}

void px_top_sort_engines(struct px_top_sample *sample, enum px_top_sort by)
{
	qsort_r(sample->engines, sample->engines_count, sizeof(sample->engines[0]), compare_engines,
		&by);
}

/* --- clients --- */

struct px_top_line px_top_client_title(void)
{
	return line("%6s %8s %-15s %9s %9s", "CLIENT", "PID", "", "", "ARRAYS");
}

struct px_top_line px_top_client_line(const struct px_top_client *client)
{
	return line("%6s %8d %-15s %9s %9s", "", client->pid, client->name, "",
		    px_amount_bytes((double)client->arrays_bytes).at);
}
