/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * status.c - numbers of a pool, an engine and this client's memory, as shared memory has them.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/internal.h"
#include "machine/wall_clock.h"
#include "pool/sized.h"
#include "shm/error.h"

#define NS UINT64_C(1000000000)

/* --- what the segment says --- */

/* Bytes of the arena by who has them: [slot + 1], and [0] of nobody. */
static void count_units(const struct px_segment *segment, uint64_t *bytes)
{
	uint64_t units = segment->arena_bytes / PX_UNIT_BYTES;

	memset(bytes, 0, (PX_MEMBERS_MAX + 1) * sizeof(*bytes));
	for (uint64_t i = 0; i < units; i++) {
		uint32_t owner = atomic_load_explicit(&segment->units[i], memory_order_relaxed);

		if (owner <= PX_MEMBERS_MAX)
			bytes[owner] += PX_UNIT_BYTES;
	}
}

static uint32_t count_clients(const struct px_segment *segment)
{
	struct px_member member;
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		count += px_member_read(segment, slot, &member) == 0 &&
			 member.state == PX_SLOT_LIVE && member.kind == PX_MEMBER_CLIENT;
	return count;
}

/* Since the supervisor's process began. */
static uint64_t uptime_ns(const struct px_segment *segment)
{
	uint64_t ticks = segment->header->supervisor_start_time;
	uint64_t began = ticks * (NS / (uint64_t)sysconf(_SC_CLK_TCK)), now;
	struct timespec boot;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	now = (uint64_t)boot.tv_sec * NS + (uint64_t)boot.tv_nsec;
	return now > began ? now - began : 0;
}

static void count_engines(const struct px_client *client, struct px_status *out)
{
	/* SYNC engines.count: acquire; partner: px_engine_new(). */
	uint32_t given = atomic_load_explicit(&client->endpoint->segment->header->engines_count,
					      memory_order_acquire);

	for (uint32_t id = 0; id < given && id < PX_ENGINES_MAX; id++) {
		uint32_t state = px_client_engine_state(client, id);

		out->engines_up += state == PX_ENGINE_UP;
		out->engines_starting += state == PX_ENGINE_STARTING;
		out->engines_gone += state == PX_ENGINE_GONE;
	}
}

int px_client_status(struct px_client *client, struct px_status *status)
{
	struct px_status now = { 0 };
	uint64_t bytes[PX_MEMBERS_MAX + 1];
	const struct px_segment *segment;
	int rc = px_need(status, "status");

	if (rc == 0)
		rc = px_sized_check(status, "px_status");
	if (rc == 0)
		rc = px_client_begin(client);
	if (rc < 0)
		return rc;
	segment = client->endpoint->segment;
	count_units(segment, bytes);
	count_engines(client, &now);
	now.supervisor_pid = client->supervisor_pid;
	now.clients = count_clients(segment);
	now.arena_bytes = segment->arena_bytes;
	now.free_bytes = bytes[0];
	now.uptime_ns = uptime_ns(segment);
	px_client_leave(client);
	px_sized_write(status, &now, sizeof(now));
	return 0;
}

/* --- an engine --- */

static uint64_t resident_bytes(int pid)
{
	unsigned long long pages = 0;
	char path[40];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What its process says of itself. */
static void read_process(const struct px_segment *segment, uint32_t slot,
			 struct px_engine_status *out)
{
	const struct px_activity_shm *activity = &px_segment_block(segment, slot)->activity;
	uint64_t started = atomic_load_explicit(&activity->started_ns, memory_order_relaxed);
	uint64_t bytes[PX_MEMBERS_MAX + 1], now = px_wall_ns();

	count_units(segment, bytes);
	out->arena_bytes = bytes[slot + 1];
	out->done = atomic_load_explicit(&activity->requests_done, memory_order_relaxed);
	out->busy = atomic_load_explicit(&activity->client_epoch, memory_order_relaxed) != 0;
	if (out->busy && now > started)
		out->busy_ns = now - started;
}

static void read_engine(const struct px_segment *segment, uint32_t engine,
			struct px_engine_status *out)
{
	const struct px_engine_shm *shown = &segment->engines[engine];
	uint32_t slot = atomic_load_explicit(&shown->slot, memory_order_relaxed);
	uint32_t epoch = atomic_load_explicit(&shown->epoch, memory_order_relaxed);
	struct px_member member;

	out->restarts = atomic_load_explicit(&shown->generation, memory_order_relaxed);
	if (px_member_read(segment, slot, &member) < 0 || member.id.epoch != epoch ||
	    member.state != PX_SLOT_LIVE)
		return;
	out->pid = member.pid;
	read_process(segment, slot, out);
}

static uint64_t count_queued(struct px_client *client, uint32_t engine)
{
	uint64_t count = 0;

	pthread_mutex_lock(&client->lock);
	for (const struct px_queue *queue = client->active; queue; queue = queue->next)
		if (queue->engine == engine)
			count += queue->waiting;
	pthread_mutex_unlock(&client->lock);
	return count;
}

int px_client_engine_status(struct px_client *client, uint32_t engine,
			    struct px_engine_status *status)
{
	struct px_engine_status now = { 0 };
	int rc = px_need(status, "status");

	if (rc == 0)
		rc = px_sized_check(status, "px_engine_status");
	if (rc == 0)
		rc = px_client_begin(client);
	if (rc < 0)
		return rc;
	now.state = (int)(engine < PX_ENGINES_MAX ? px_client_engine_state(client, engine) :
						    PX_ENGINE_NONE);
	if (now.state != PX_ENGINE_NONE) {
		read_engine(client->endpoint->segment, engine, &now);
		now.queued = count_queued(client, engine);
	}
	px_client_leave(client);
	if (now.state == PX_ENGINE_NONE)
		return px_fail(PX_EENGINE, "there is no engine %u", engine);
	if (now.pid)
		now.rss_bytes = resident_bytes(now.pid);
	px_sized_write(status, &now, sizeof(now));
	return 0;
}

/* --- memory --- */

int px_client_memory(struct px_client *client, struct px_memory *memory)
{
	struct px_memory now = { 0 };
	uint64_t bytes[PX_MEMBERS_MAX + 1];
	struct px_arena_usage usage;
	int rc = px_need(memory, "memory");

	if (rc == 0)
		rc = px_sized_check(memory, "px_memory");
	if (rc == 0)
		rc = px_client_begin(client);
	if (rc < 0)
		return rc;
	px_endpoint_collect_all(client->endpoint);
	px_arena_usage(client->endpoint->arena, &usage);
	count_units(client->endpoint->segment, bytes);
	rc = px_endpoint_lent(client->endpoint, &now.lent_bytes);
	now.arena_bytes = client->endpoint->segment->arena_bytes;
	now.free_bytes = bytes[0];
	px_client_leave(client);
	now.mine_bytes = usage.extent_bytes;
	now.warm_bytes =
		usage.extent_bytes > usage.used_bytes ? usage.extent_bytes - usage.used_bytes : 0;
	if (rc == 0)
		px_sized_write(memory, &now, sizeof(now));
	return rc;
}
