/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map_progress.c - a bar on a terminal's standard error.
 */
#include <stdio.h>
#include <string.h>

#include "bin/map_run.h"
#include "shm/os.h"

#define EVERY_NS UINT64_C(200000000)
/* What is over so soon has none. */
#define FIRST_NS UINT64_C(1000000000)
#define WIDTH 30

/* How much of the input a chunk has, as taken_bytes counts it. */
static uint64_t amount(const struct px_map_run *run, const struct px_map_chunk *chunk)
{
	return run->input->arguments ? chunk->count : chunk->bytes;
}

/* Of the input, what is done: several chunks an engine are taken that still wait or run. */
static double part_done(const struct px_map_run *run)
{
	uint64_t taken = run->input->taken_bytes;
	uint64_t pending = run->building ? amount(run, run->building) : 0;

	for (const struct px_map_chunk *chunk = run->first; chunk; chunk = chunk->next)
		if (chunk->state != PX_MAP_DONE)
			pending += amount(run, chunk);
	return pending < taken ? (double)(taken - pending) / (double)run->input->total : 0;
}

static void print_bar(const struct px_map_run *run)
{
	char bar[WIDTH + 1];
	double part = part_done(run);
	size_t full = (size_t)(part < 1 ? part * WIDTH : WIDTH);

	memset(bar, '-', WIDTH);
	memset(bar, '#', full);
	bar[WIDTH] = '\0';
	fprintf(stderr, "[%s] %3.0f%%  ", bar, 100 * (part < 1 ? part : 1));
}

void px_map_progress_show(struct px_map_run *run)
{
	uint64_t now = px_os.now_ns();
	double seconds = (double)(now - run->began_ns) / 1e9;

	if (!run->progress || now - run->began_ns < FIRST_NS || now - run->shown_ns < EVERY_NS)
		return;
	run->shown_ns = now;
	fputs("\r\033[K", stderr);
	if (run->input->total)
		print_bar(run);
	fprintf(stderr, "%llu done, %.0f/s", (unsigned long long)run->done,
		(double)run->done / seconds);
	if (run->failed)
		fprintf(stderr, ", %llu failed", (unsigned long long)run->failed);
	fflush(stderr);
}

void px_map_progress_wipe(struct px_map_run *run)
{
	if (run->shown_ns)
		fputs("\r\033[K", stderr);
	run->shown_ns = 0;
}
