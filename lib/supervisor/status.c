/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * status.c - the pool's state, and the connection file.
 */
#include "supervisor/status.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "machine/budget.h"
#include "machine/wall_clock.h"
#include "pool/json_text.h"
#include "shm/error.h"
#include "shm/os.h"
#include "supervisor/connection.h"
#include "supervisor/engine.h"
#include "supervisor/supervision.h"
#include "supervisor/supervisor.h"

/* Room to close all brackets and to say that something is missing. */
#define END_BYTES 64

static const char *const template_words[] = { "absent", "starting", "ready", "backoff", "absent" };
static const char *const life_words[] = {
	"starting", "starting", "up", "dying", "backoff", "gone"
};
static const char *const huge_words[] = { NULL, "shmem", "mount" };
static const char *const limit_words[] = { "arena", "machine", "cgroup", "mount" };

static const char *pool_state(const struct px_supervisor *s)
{
	return s->closing ? "closing" : s->ready ? "up" : "starting";
}

static void put_python(struct px_json_text *json, const struct px_supervisor *s)
{
	uint32_t hex = s->template.python;

	if (hex)
		px_json_put(json, ",\"python\":[%u,%u]", hex >> 24, hex >> 16 & 0xff);
	else
		px_json_put(json, ",\"python\":null");
}

static void put_executable(struct px_json_text *json, const struct px_supervisor *s)
{
	const char *path = s->template.executable;

	px_json_put(json, ",\"executable\":");
	px_json_put_string(json, path[0] ? path : NULL);
}

static const char *kind_word(const struct px_segment *segment)
{
	if (segment->huge == PX_HUGE_MOUNT)
		return "mount";
	return segment->memfd ? "memfd" : "shm";
}

/* null where there is no process: 0 would be a group of processes to kill(2). */
static void put_pid(struct px_json_text *json, pid_t pid)
{
	if (pid)
		px_json_put(json, "%d", (int)pid);
	else
		px_json_put(json, "null");
}

static void put_pool(struct px_json_text *json, const struct px_supervisor *s)
{
	const struct px_template *t = &s->template;

	px_json_put(json, "{\"profile\":");
	px_json_put_string(json, s->options->runtime.profile);
	px_json_put(json, ",\"pid\":%d,\"version\":\"%s\"", (int)getpid(), PX_VERSION);
	put_python(json, s);
	put_executable(json, s);
	px_json_put(json, ",\"native\":%s",
		    px_settings_number(s->options->settings, PX_SETTING_NATIVE) ? "true" : "false");
	px_json_put(json, ",\"n\":%u", s->engines_asked);
	px_json_put(json, ",\"launcher\":\"%s\",\"mpiexec\":",
		    px_settings_text(s->options->settings, PX_SETTING_LAUNCHER));
	put_pid(json, s->world.process.pid);
	px_json_put(json,
		    ",\"event_loop\":\"%s\",\"restart\":\"%s\",\"uptime\":%.3f,\"state\":\"%s\"",
		    px_loop_name(s->loop),
		    px_settings_text(s->options->settings, PX_SETTING_RESTART),
		    (double)(px_os.now_ns() - s->began_ns) / 1e9, pool_state(s));
	px_json_put(json, ",\"template\":{\"pid\":");
	put_pid(json, t->process.pid);
	px_json_put(json, ",\"state\":\"%s\",\"forks\":%s,\"why\":", template_words[t->state],
		    t->by_exec ? "false" : "true");
	px_json_put_string(json, t->why[0] ? t->why : NULL);
	px_json_put(json, "},\"spin_ns\":%" PRIu64, s->segment->header->spin_ns);
	px_json_put(json, ",\"segment\":{\"kind\":\"%s\",\"bytes\":%" PRIu64 ",\"huge_pages\":",
		    kind_word(s->segment), s->segment->total_bytes);
	px_json_put_string(json, huge_words[s->segment->huge]);
	px_json_put(json, "}");
}

static void put_arena(struct px_json_text *json, const struct px_supervisor *s, uint64_t used)
{
	struct px_budget budget;

	px_extents_budget(&s->extents, &budget);
	px_json_put(json,
		    ",\"arena\":{\"total\":%" PRIu64 ",\"used\":%" PRIu64 ",\"budget\":%" PRIu64
		    ",\"limit\":\"%s\",\"lingering\":%u}",
		    s->segment->arena_bytes, used, budget.have, limit_words[budget.limit],
		    s->sweep.lingering);
}

/* What the engine is doing, read from its own block: only for display. */
static void put_activity(struct px_json_text *json, const struct px_supervisor *s,
			 const struct px_engine *e)
{
	const struct px_activity_shm *activity;
	uint64_t started, now = px_wall_ns();

	if (e->life != PX_LIFE_UP) {
		px_json_put(json, ",\"busy\":null,\"client\":null,\"done\":0");
		return;
	}
	activity = &px_segment_block(s->segment, e->member.slot)->activity;
	started = atomic_load_explicit(&activity->started_ns, memory_order_relaxed);
	if (atomic_load_explicit(&activity->client_epoch, memory_order_relaxed))
		px_json_put(json, ",\"busy\":%.6f,\"client\":%u",
			    now > started ? (double)(now - started) / 1e9 : 0,
			    atomic_load_explicit(&activity->client_slot, memory_order_relaxed));
	else
		px_json_put(json, ",\"busy\":null,\"client\":null");
	px_json_put(json, ",\"done\":%" PRIu64,
		    atomic_load_explicit(&activity->requests_done, memory_order_relaxed));
}

/* The bytes of a member's extents, how much of them it uses, and how much it has given back. */
static void put_holdings(struct px_json_text *json, const struct px_supervisor *s,
			 struct px_member_id member, const uint64_t *by_slot)
{
	const struct px_usage_shm *usage = &px_segment_block(s->segment, member.slot)->usage;

	if (!member.epoch) {
		px_json_put(json, ",\"arena\":0,\"in_use\":0,\"given_back\":0");
		return;
	}
	px_json_put(json, ",\"arena\":%" PRIu64 ",\"in_use\":%" PRIu64 ",\"given_back\":%" PRIu64,
		    by_slot[member.slot], atomic_load_explicit(&usage->used, memory_order_relaxed),
		    atomic_load_explicit(&usage->given_back, memory_order_relaxed));
}

static void put_engine(struct px_json_text *json, const struct px_supervisor *s,
		       const struct px_engine *e, const uint64_t *by_slot, const char *comma)
{
	px_json_put(json, "%s{\"id\":%u,\"pid\":", comma, e->id);
	put_pid(json, e->process.pid);
	px_json_put(json, ",\"state\":\"%s\",\"generation\":%u,\"restarts\":%u",
		    life_words[e->life], e->generation, e->restarts);
	put_activity(json, s, e);
	put_holdings(json, s, e->member, by_slot);
	if (e->why[0]) {
		px_json_put(json, ",\"why\":");
		px_json_put_string(json, e->why);
	}
	px_json_put(json, "}");
}

/* Takes an entry back if there was no room for it. Returns whether there was. */
static bool whole(struct px_json_text *json, size_t before)
{
	if (!json->full)
		return true;
	json->used = before;
	json->at[before] = '\0';
	json->full = false;
	return false;
}

static bool put_engines(struct px_json_text *json, const struct px_supervisor *s,
			const uint64_t *by_slot)
{
	bool complete = true;
	const char *comma = "";

	px_json_put(json, ",\"engines\":[");
	for (uint32_t i = 0; i < s->engines_count && complete; i++) {
		const struct px_engine *e = s->engines[i];
		size_t before = json->used;

		if (e->life == PX_LIFE_GONE && e->told && !e->keep)
			continue; /* it was removed: nobody misses it */
		put_engine(json, s, e, by_slot, comma);
		comma = ",";
		complete = whole(json, before);
	}
	return complete;
}

static bool put_clients(struct px_json_text *json, const struct px_supervisor *s,
			const uint64_t *by_slot)
{
	const char *comma = "";
	bool complete = true;

	for (const struct px_connection *c = s->connections.first; c && complete; c = c->next) {
		size_t before = json->used;

		if (!c->member.epoch)
			continue;
		px_json_put(json, "%s{\"slot\":%u,\"pid\":%d", comma, c->member.slot, (int)c->pid);
		put_holdings(json, s, c->member, by_slot);
		px_json_put(json, "}");
		complete = whole(json, before);
		comma = ",";
	}
	return complete;
}

static uint32_t count_connections(const struct px_supervisor *s)
{
	uint32_t count = 0;

	for (const struct px_connection *c = s->connections.first; c; c = c->next)
		count++;
	return count;
}

void px_status_write(const struct px_supervisor *s, char *out, size_t out_bytes)
{
	struct px_json_text json = { .at = out, .size = out_bytes - END_BYTES };
	uint64_t by_slot[PX_MEMBERS_MAX] = { 0 };
	uint64_t used = px_extents_used(&s->extents, by_slot);
	bool complete;

	put_pool(&json, s);
	put_arena(&json, s, used);
	px_json_put(&json, ",\"connections\":%u", count_connections(s));
	complete = put_engines(&json, s, by_slot);
	json.size += END_BYTES / 2;
	px_json_put(&json, "],\"clients\":[");
	json.size -= END_BYTES / 2;
	if (complete)
		complete = put_clients(&json, s, by_slot);
	json.size += END_BYTES;
	px_json_put(&json, "],\"truncated\":%s}", complete ? "false" : "true");
}

/* --- the connection file --- */

static size_t connection_text(const struct px_supervisor *s, char *out, size_t out_bytes)
{
	struct px_json_text json = { .at = out, .size = out_bytes };
	char path[128], date[32];
	struct tm parts;

	gmtime_r(&s->published, &parts);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &parts);
	px_json_put(&json, "{\"pxrun\":\"%s\",\"profile\":", PX_VERSION);
	px_json_put_string(&json, s->options->runtime.profile);
	px_json_put(&json, ",\"pid\":%d,\"socket\":", (int)getpid());
	px_json_put_string(&json,
			   px_runtime_path(&s->options->runtime, "control", path, sizeof(path)));
	px_json_put(&json, ",\"engines\":%u", s->engines_count);
	put_python(&json, s);
	px_json_put(&json, ",\"started\":\"%s\"}\n", date);
	return json.used;
}

int px_status_publish(const struct px_supervisor *s)
{
	char text[2048], path[128], draft[160];
	size_t length = connection_text(s, text, sizeof(text));
	int fd, rc = 0;

	px_runtime_path(&s->options->runtime, "connection.json", path, sizeof(path));
	snprintf(draft, sizeof(draft), "%s.new", path);
	fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return px_fail_errno("writing %s", draft);
	if (write(fd, text, length) != (ssize_t)length)
		rc = px_fail_errno("writing %s", draft);
	close(fd);
	if (rc == 0 && rename(draft, path) < 0)
		rc = px_fail_errno("renaming %s", draft);
	if (rc < 0)
		(void)unlink(draft);
	return rc;
}
