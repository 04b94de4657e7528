/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine_call.c - reads which engines a verb is about, and what they do.
 */
#include "bin/engine_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bin/process_name.h"
#include "machine/wall_clock.h"
#include "pool/json.h"
#include "shm/error.h"

/* --- the command line --- */

#define OWN_MAX 4

struct reading {
	const struct px_own_options *own; /* of the verb; NULL */
	const char *targets;              /* NULL: not given */
	struct px_engine_call *call;
};

static int take(void *ctx, int option, const char *value)
{
	struct reading *reading = ctx;

	if (option == 'p')
		reading->call->profile = value;
	else if (option == 't')
		reading->targets = value;
	else
		return reading->own->take(reading->own->ctx, option, value);
	return option == 't' ? px_targets_parse(value, &reading->call->targets) : 0;
}

static int read_options(const struct px_verb *verb, int argc, char **argv, struct reading *reading)
{
	struct option list[2 + OWN_MAX] = { { "profile", required_argument, NULL, 'p' },
					    { "targets", required_argument, NULL, 't' } };
	char letters[32];
	const struct px_own_options *own = reading->own;
	struct px_own_options all = { letters, list, 2, take, reading };

	snprintf(letters, sizeof(letters), "p:t:%s", own ? own->letters : "");
	for (uint32_t i = 0; own && i < own->count; i++)
		list[all.count++] = own->list[i];
	return px_pool_options_read(verb, argc, argv, &all, NULL);
}

/* Ids as arguments of their own, which people write for other commands of this kind. */
static int read_ids(int argc, char **argv, struct px_targets *targets)
{
	struct px_targets more;
	char text[4096] = "";
	size_t used = 0;

	for (int i = optind; i < argc && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? "," : "",
					 argv[i]);
	if (used >= sizeof(text) || px_targets_parse(text, &more) < 0)
		return px_fail(PX_EINVAL,
			       "ids of engines are numbers, each once, such as 0 2, not '%.80s'",
			       text);
	*targets = more;
	return 0;
}

int px_engine_call_begin(const struct px_verb *verb, int argc, char **argv,
			 const struct px_own_options *own, struct px_engine_call *out)
{
	struct reading reading = { .own = own, .call = out };
	int rc;

	memset(out, 0, sizeof(*out));
	rc = read_options(verb, argc, argv, &reading);
	if (rc != 0)
		return px_pool_options_end(verb, rc);
	if (optind < argc && reading.targets)
		return px_command_misuse(verb,
					 "engines are named by -t and by arguments: one is enough");
	if (optind < argc && read_ids(argc, argv, &out->targets) < 0)
		return px_command_misuse(verb, "%s", px_last_error());
	rc = px_client_attach(out->profile, 0, &out->client);
	if (rc == 0)
		rc = px_targets_find(out->client, &out->targets);
	return rc < 0 ? px_command_fail(rc) : -1;
}

/* 1: the engines are the ranks of one MPI world. */
static int is_world(struct px_client *client)
{
	char *status = NULL;
	int rc = px_client_status_json(client, &status);
	const char *pool = rc < 0 ? NULL : px_json_parse(status);

	if (pool)
		rc = px_json_number(px_json_member(pool, "mpiexec"), 0) > 0;
	free(status);
	return rc;
}

static bool is_named(const struct px_targets *targets, uint32_t engine)
{
	for (size_t i = 0; i < targets->count; i++)
		if (targets->ids[i] == engine)
			return true;
	return false;
}

int px_engine_call_add_world(struct px_engine_call *call)
{
	struct px_targets all = { .count = 0 };
	int rc = is_world(call->client);

	if (rc == 1)
		rc = px_targets_find(call->client, &all);
	for (size_t i = 0; rc == 0 && i < all.count; i++)
		if (!is_named(&call->targets, all.ids[i]))
			call->targets.ids[call->targets.count++] = all.ids[i];
	return rc;
}

void px_engine_call_end(struct px_engine_call *call)
{
	px_client_detach(call->client);
}

void px_engine_call_nap(void)
{
	static const struct timespec some = { .tv_nsec = 2000000 };

	(void)nanosleep(&some, NULL);
}

/* --- what an engine does --- */

/* Who asked: a process that may be gone by now. */
static void name_client(const struct px_segment *segment, struct px_engine_work *work)
{
	struct px_member member;
	char name[PX_PROCESS_NAME_BYTES];

	if (px_member_read(segment, work->client_slot, &member) < 0 ||
	    member.id.epoch != work->client_epoch) {
		snprintf(work->asked_by, sizeof(work->asked_by), "a process that is gone");
		return;
	}
	px_process_name((int)member.pid, name);
	snprintf(work->asked_by, sizeof(work->asked_by), "process %d%s%s%s", (int)member.pid,
		 *name ? " (" : "", name, *name ? ")" : "");
}

static void read_function(const struct px_function_shm *function, struct px_engine_work *work)
{
	/* Relaxed: it is for display. */
	if (!atomic_load_explicit(&function->runs, memory_order_relaxed))
		return;
	memcpy(work->function, function->words, sizeof(work->function));
	work->function[sizeof(work->function) - 1] = '\0';
}

static void read_block(const struct px_segment *segment, uint32_t slot, struct px_engine_work *work)
{
	const struct px_block_shm *block = px_segment_block(segment, slot);
	const struct px_activity_shm *activity = &block->activity;
	uint64_t now = px_wall_ns();

	/* Relaxed: as for the displays of lib/client/status.c. */
	work->client_epoch = atomic_load_explicit(&activity->client_epoch, memory_order_relaxed);
	work->client_slot = atomic_load_explicit(&activity->client_slot, memory_order_relaxed);
	work->request_id = atomic_load_explicit(&activity->request_id, memory_order_relaxed);
	work->started_ns = atomic_load_explicit(&activity->started_ns, memory_order_relaxed);
	work->busy = work->client_epoch != 0;
	if (!work->busy)
		return;
	if (now > work->started_ns)
		work->seconds = (double)(now - work->started_ns) / 1e9;
	name_client(segment, work);
	read_function(&block->function, work);
}

int px_engine_work_read(struct px_client *client, uint32_t engine, struct px_engine_work *out)
{
	struct px_engine_status status = { .size = sizeof(status) };
	struct px_endpoint *endpoint;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = px_client_engine_status(client, engine, &status);
	if (rc == 0)
		rc = px_client_endpoint(client, &endpoint);
	if (rc < 0)
		return rc;
	out->pid = status.pid;
	if (out->pid) {
		const struct px_engine_shm *shown = &endpoint->segment->engines[engine];
		uint32_t slot = atomic_load_explicit(&shown->slot, memory_order_relaxed);

		if (slot < PX_MEMBERS_MAX)
			read_block(endpoint->segment, slot, out);
	}
	px_endpoint_release(endpoint);
	return 0;
}

bool px_engine_work_same(const struct px_engine_work *a, const struct px_engine_work *b)
{
	return a->pid == b->pid && a->busy == b->busy && a->client_slot == b->client_slot &&
	       a->client_epoch == b->client_epoch && a->request_id == b->request_id &&
	       a->started_ns == b->started_ns;
}

const char *px_engine_work_time(const struct px_engine_work *work, char out[32])
{
	snprintf(out, 32, work->seconds < 100 ? "%.1f s" : "%.0f s", work->seconds);
	return out;
}
