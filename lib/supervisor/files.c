/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * files.c - sees that the pool's files are deleted, and puts them back.
 */
#include "supervisor/files.h"

#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/killpoint.h"
#include "supervisor/connections.h"
#include "supervisor/status.h"
#include "supervisor/supervision.h"
#include "supervisor/supervisor.h"

/* After the first sign: who deletes a whole folder is to come to its end first, or fails. */
#define SETTLE_NS UINT64_C(50000000)
/* Without inotify, and where files cannot be made. */
#define AGAIN_NS UINT64_C(2000000000)
/*
 * A private pool's, which are no temptation to another start, are watched from then on: most of such pools have
 * ended before, and to end a watch takes the kernel up to 15 ms, as much as all else of a pool's end.
 */
#define PRIVATE_NS UINT64_C(1000000000)
/* Another start that has the lock for a moment finds us, and lets go: no more than this many are in a row. */
#define REFUSED_MAX 40

#define FOLDER_EVENTS                                                                              \
	(IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define PARENT_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

static void look(void *ctx)
{
	struct px_supervisor *s = ctx;

	s->turn.files = true;
}

static void look_in(struct px_supervisor *s, uint64_t delay_ns)
{
	if (!s->files.timer.deadline_ns)
		px_loop_timer_set(s->loop, &s->files.timer, delay_ns, look, s);
}

/* What has happened does not matter: the look finds it. */
static void changed(void *ctx)
{
	struct px_supervisor *s = ctx;
	char events[4096];

	while (read(s->files.inotify, events, sizeof(events)) > 0)
		;
	px_loop_timer_stop(s->loop, &s->files.timer);
	look_in(s, SETTLE_NS);
}

static void unwatch(struct px_supervisor *s)
{
	if (s->files.inotify < 0)
		return;
	px_loop_unwatch(s->loop, &s->files.watch);
	close(s->files.inotify);
	s->files.inotify = -1;
}

/* The folder, and those that it is in: where one of these is moved, nothing in the folder tells. */
static bool watch_folders(int inotify, const char *folder)
{
	char path[128];
	bool all;
	char *slash;

	snprintf(path, sizeof(path), "%s", folder);
	all = inotify_add_watch(inotify, path, FOLDER_EVENTS) >= 0;
	while (all && (slash = strrchr(path, '/')) && slash != path) {
		*slash = '\0';
		all = inotify_add_watch(inotify, path, PARENT_EVENTS) >= 0;
	}
	return all;
}

static void watch(struct px_supervisor *s)
{
	struct px_files *files = &s->files;

	unwatch(s);
	files->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (files->inotify >= 0 &&
	    (!watch_folders(files->inotify, s->options->runtime.folder) ||
	     px_loop_watch(s->loop, &files->watch, files->inotify, changed, s) < 0)) {
		close(files->inotify);
		files->inotify = -1;
	}
	if (files->inotify < 0)
		look_in(s, AGAIN_NS);
}

void px_files_begin(struct px_supervisor *s)
{
	if (s->options->lock_fd < 0)
		return;
	if (px_runtime_is_private(&s->options->runtime))
		look_in(s, PRIVATE_NS);
	else
		watch(s);
}

static bool connection_there(const struct px_supervisor *s)
{
	char path[128];

	px_runtime_path(&s->options->runtime, "connection.json", path, sizeof(path));
	return !s->ready || access(path, F_OK) == 0;
}

static bool all_there(const struct px_supervisor *s)
{
	return px_runtime_holds(&s->options->runtime, s->options->lock_fd) &&
	       px_connections_reachable(s) && connection_there(s);
}

/* The lock first: only who holds it may touch the other files. */
static int put_back(struct px_supervisor *s)
{
	const struct px_runtime *runtime = &s->options->runtime;
	int rc = 0;

	if (!px_runtime_holds(runtime, s->options->lock_fd))
		rc = px_runtime_relock(runtime, s->options->lock_fd);
	PX_KILLPOINT("supervisor.files.locked"); /* dead here: the next start removes the files */
	if (rc == 0 && !px_connections_reachable(s))
		rc = px_connections_listen(s);
	PX_KILLPOINT("supervisor.files.bound"); /* dead here: the next start removes the files */
	if (rc == 0 && !connection_there(s))
		rc = px_status_publish(s);
	return rc;
}

static void cannot(struct px_supervisor *s, int rc)
{
	struct px_files *files = &s->files;

	files->refused = rc == PX_EEXIST ? files->refused + 1 : 0;
	if (files->refused > REFUSED_MAX) {
		px_log(&s->log, "the pool's files were deleted, and then: %s", px_last_error());
		px_turn_stop(&s->turn, "its files were deleted, and its profile is another pool's");
		return;
	}
	if (rc != PX_EEXIST && !files->told)
		px_log(&s->log,
		       "the pool's files were deleted, and cannot be put back yet: %s; `pxrun list` and "
		       "`pxrun stop` still find the pool",
		       px_last_error());
	files->told |= rc != PX_EEXIST;
	look_in(s, rc == PX_EEXIST ? SETTLE_NS : AGAIN_NS);
}

void px_files_restore(struct px_supervisor *s)
{
	bool gone = !all_there(s);
	int rc;

	if (s->closing || (!gone && s->files.inotify >= 0))
		return;
	rc = gone ? put_back(s) : 0;
	if (rc < 0) {
		cannot(s, rc);
		return;
	}
	s->files.refused = 0;
	s->files.told = false;
	watch(s);
	/* What was deleted since it was looked for, and before it was watched. */
	s->turn.files = !all_there(s);
	if (gone)
		px_log(&s->log, "files of the pool were deleted from %s, and are put back",
		       s->options->runtime.folder);
}

bool px_files_ours(const struct px_supervisor *s)
{
	const struct px_supervisor_options *options = s->options;

	return options->lock_fd < 0 || px_runtime_holds(&options->runtime, options->lock_fd) ||
	       px_runtime_relock(&options->runtime, options->lock_fd) == 0;
}

void px_files_close(struct px_supervisor *s)
{
	px_loop_timer_stop(s->loop, &s->files.timer);
	unwatch(s);
}
