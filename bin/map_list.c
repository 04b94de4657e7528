/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map_list.c - the chunks that are not written yet, in the order of their records.
 */
#include "bin/map_run.h"
#include "shm/os.h"

/* How long engines may take to end what is interrupted. */
#define END_NS UINT64_C(1000000000)

static size_t weight(const struct px_map_chunk *chunk)
{
	return chunk->bytes + chunk->text_bytes + chunk->log_bytes;
}

void px_map_insert(struct px_map_run *run, struct px_map_chunk *chunk, struct px_map_chunk *before)
{
	struct px_map_chunk *last = before ? before : run->last;

	chunk->before = last;
	chunk->next = last ? last->next : NULL;
	*(last ? &last->next : &run->first) = chunk;
	*(chunk->next ? &chunk->next->before : &run->last) = chunk;
	run->held++;
	run->waiting++;
	run->held_bytes += weight(chunk);
}

void px_map_drop(struct px_map_run *run, struct px_map_chunk *chunk)
{
	*(chunk->before ? &chunk->before->next : &run->first) = chunk->next;
	*(chunk->next ? &chunk->next->before : &run->last) = chunk->before;
	run->held--;
	run->waiting -= chunk->state == PX_MAP_WAITS;
	run->held_bytes -= weight(chunk);
	px_map_chunk_free(chunk);
}

void px_map_stop(struct px_map_run *run, int code, uint64_t at)
{
	struct px_map_chunk *chunk, *next;

	if (run->stop && at >= run->stop_at)
		return;
	if (!run->stop)
		run->stop = code;
	run->stop_at = at;
	run->stop_by_ns = px_os.now_ns() + END_NS;
	for (chunk = run->first; chunk; chunk = next) {
		next = chunk->next;
		if (chunk->first <= at || chunk->cancelled)
			continue;
		chunk->cancelled = chunk->state == PX_MAP_OUT;
		if (chunk->state == PX_MAP_OUT)
			(void)px_result_cancel(chunk->result, PX_ALL_ENTRIES);
		else if (chunk->state == PX_MAP_WAITS)
			px_map_drop(run, chunk);
	}
}
