/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * top_sample.c - reads a pool's numbers from shared memory and /proc.
 */
#include "bin/top_sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shm/error.h"

#define NS UINT64_C(1000000000)
/* A shorter time between two looks is some ticks of the clock, and no measure. */
#define SHORT_NS UINT64_C(50000000)

/* --- a process --- */

/* /proc/PID/FILE; false: there is no such process. */
static bool read_file(int pid, const char *name, char *out, size_t out_bytes)
{
	char path[48];
	size_t length;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	length = fread(out, 1, out_bytes - 1, file);
	fclose(file);
	out[length] = '\0';
	return length > 0;
}

struct process {
	char state;
	uint64_t used_ns, began_ns; /* CPU; after boot */
};

static bool read_process(int pid, struct process *out)
{
	uint64_t user, system, began, tick_ns = NS / (uint64_t)sysconf(_SC_CLK_TCK);
	char text[1024];
	const char *at;

	if (!read_file(pid, "stat", text, sizeof(text)))
		return false;
	at = strrchr(text, ')'); /* a name may have any characters */
	if (!at || sscanf(at,
			  ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64 " %" SCNu64
			  " %*s %*s %*s %*s %*s %*s %" SCNu64,
			  &out->state, &user, &system, &began) != 4)
		return false;
	out->used_ns = (user + system) * tick_ns;
	out->began_ns = began * tick_ns;
	return true;
}

static bool is_stopped(int pid)
{
	struct process process;

	return read_process(pid, &process) && (process.state == 'T' || process.state == 't');
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* Since the last look; at the first one of a process, since it began. */
static double measure_cpu(struct px_top_cpu *last, int pid, const struct process *process)
{
	struct timespec boot;
	uint64_t now;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	now = (uint64_t)boot.tv_sec * NS + (uint64_t)boot.tv_nsec;
	if (last->pid != pid)
		*last = (struct px_top_cpu){ .pid = pid, .at_ns = process->began_ns };
	if (now < last->at_ns + SHORT_NS)
		return last->percent;
	last->percent = percent(process->used_ns - last->used_ns, now - last->at_ns);
	last->used_ns = process->used_ns;
	last->at_ns = now;
	return last->percent;
}

/* --- the pool --- */

static uint64_t arrays_of(const struct px_segment *segment, uint32_t slot)
{
	/* Relaxed: it is for display. */
	return atomic_load_explicit(&px_segment_block(segment, slot)->usage.used,
				    memory_order_relaxed);
}

static const char *state_word(const struct px_engine_status *status, const struct process *process)
{
	if (status->state == PX_ENGINE_IS_GONE)
		return "gone";
	if (status->state != PX_ENGINE_IS_UP)
		return "starting";
	if (process->state == 'T' || process->state == 't')
		return "stopped";
	return status->busy ? "busy" : "idle";
}

static int read_engine(struct px_client *client, const struct px_segment *segment, uint32_t id,
		       struct px_top_sample *sample)
{
	struct px_top_engine *engine = &sample->engines[sample->engines_count];
	struct px_engine_status status = { .size = sizeof(status) };
	struct process process = { 0 };
	uint32_t slot;
	int rc = px_client_engine_status(client, id, &status);

	if (rc == 0)
		rc = px_engine_work_read(client, id, &engine->work);
	if (rc < 0)
		return rc;
	engine->id = id;
	engine->restarts = status.restarts;
	engine->done = status.done;
	engine->memory_bytes = status.rss_bytes;
	engine->cpu = 0;
	engine->arrays_bytes = 0;
	if (status.pid && read_process(status.pid, &process))
		engine->cpu = measure_cpu(&sample->cpu[id], status.pid, &process);
	/* Relaxed: as above. */
	slot = atomic_load_explicit(&segment->engines[id].slot, memory_order_relaxed);
	if (status.pid && slot < PX_MEMBERS_MAX)
		engine->arrays_bytes = arrays_of(segment, slot);
	engine->state = state_word(&status, &process);
	sample->busy += status.busy != 0;
	sample->engines_count++;
	return 0;
}

static int read_engines(struct px_client *client, const struct px_segment *segment,
			struct px_top_sample *sample)
{
	/* SYNC engines.count: acquire; partner: px_engine_new(). */
	uint32_t given =
		atomic_load_explicit(&segment->header->engines_count, memory_order_acquire);
	int rc = 0;

	for (uint32_t id = 0; rc == 0 && id < given && id < PX_ENGINES_MAX; id++) {
		rc = read_engine(client, segment, id, sample);
		if (rc == PX_EENGINE)
			rc = 0; /* an id that nothing came of */
	}
	return rc;
}

static void read_clients(const struct px_endpoint *endpoint, struct px_top_sample *sample)
{
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++) {
		struct px_top_client *client = &sample->clients[sample->clients_count];
		struct px_member member;

		if (px_member_read(endpoint->segment, slot, &member) < 0 ||
		    member.state != PX_SLOT_LIVE || member.kind != PX_MEMBER_CLIENT ||
		    slot == endpoint->self.slot)
			continue;
		client->pid = member.pid;
		px_process_name(member.pid, client->name);
		client->arrays_bytes = arrays_of(endpoint->segment, slot);
		sample->clients_count++;
	}
}

int px_top_sample_read(struct px_client *client, struct px_top_sample *sample)
{
	struct px_endpoint *endpoint;
	int rc = px_client_poll(client);

	sample->pool.size = sizeof(sample->pool);
	if (rc == 0)
		rc = px_client_status(client, &sample->pool);
	if (rc == 0)
		rc = px_client_endpoint(client, &endpoint);
	if (rc < 0)
		return rc;
	sample->profile = client->runtime.profile;
	sample->supervisor_stopped = is_stopped(sample->pool.supervisor_pid);
	sample->engines_count = sample->clients_count = sample->busy = 0;
	rc = read_engines(client, endpoint->segment, sample);
	read_clients(endpoint, sample);
	px_endpoint_release(endpoint);
	return rc;
}
