/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * start.c - finds pools, and starts them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/client.h"
#include "client/command_path.h"
#include "client/start.h"
#include "pool/control.h"
#include "shm/error.h"
#include "shm/os.h"

extern char **environ;

/* --- attaching --- */

#define LOST_LOOK_MS 10

int px_pool_none(const struct px_runtime *runtime)
{
	return px_fail(PX_ENOPOOL,
		       "no pool runs under the profile '%s'; start one with: pxrun start%s%s",
		       runtime->profile, strcmp(runtime->profile, "default") ? " --profile " : "",
		       strcmp(runtime->profile, "default") ? runtime->profile : "");
}

/* Why connect(2) has failed. */
static int refused(const struct px_runtime *runtime, const char *path, uint64_t silence_ns)
{
	struct px_runtime_facts facts;

	switch (errno) {
	case ENOENT:
	case ECONNREFUSED:
	case ENOTDIR:
		return px_pool_none(runtime);
	case EAGAIN:
		px_runtime_facts(runtime, &facts);
		return px_control_silent(facts.pid, silence_ns);
	default:
		return px_fail_errno("connecting to %s", path);
	}
}

/* A connection, made within this time: a supervisor that is stopped may have no room for more. */
static int dial(const struct px_runtime *runtime, uint64_t silence_ns, int *out)
{
	struct timeval limit = { .tv_sec = (time_t)(silence_ns / 1000000000),
				 .tv_usec = (suseconds_t)(silence_ns % 1000000000 / 1000) };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t length = sizeof(peer);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return px_fail_errno("making a socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	px_runtime_path(runtime, "control", address.sun_path, sizeof(address.sun_path));
	do
		rc = connect(fd, (struct sockaddr *)&address, sizeof(address));
	while (rc < 0 && errno == EINTR);
	if (rc < 0) {
		rc = refused(runtime, address.sun_path, silence_ns);
		goto fail;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.uid != getuid()) {
		rc = px_fail(PX_EPERM, "the pool at %s belongs to another user", address.sun_path);
		goto fail;
	}
	*out = fd;
	return 0;

fail:
	close(fd);
	return rc;
}

int px_pool_find(const char *profile, struct px_runtime *out)
{
	return profile && strchr(profile, '/') ? px_runtime_from_file(profile, out) :
						 px_runtime_find(profile, false, out);
}

int px_pool_dial(const struct px_runtime *runtime, uint64_t silence_ns, int *control, bool *lost)
{
	int rc = dial(runtime, silence_ns, control);

	*lost = rc == PX_ENOPOOL && px_runtime_lost(runtime);
	/* The socket may have come back before that look. */
	return rc == PX_ENOPOOL && !*lost ? dial(runtime, silence_ns, control) : rc;
}

static int still_lost(const struct px_runtime *runtime, uint64_t silence_ns)
{
	struct px_runtime_facts facts;

	px_runtime_facts(runtime, &facts);
	return px_fail(
		PX_ETIMEDOUT,
		"the socket %s/control of the pool '%s' was deleted, and the pool's supervisor "
		"(process %d) has not put it back for %.3g s; it may be stopped: `kill -CONT %d` "
		"has it go on, `pxrun stop --force --profile %s` ends the pool",
		runtime->folder, runtime->profile, facts.pid, (double)silence_ns / 1e9, facts.pid,
		runtime->profile);
}

/* A supervisor whose files were deleted puts them back in a moment. */
static int dial_patiently(const char *profile, uint64_t silence_ns, struct px_runtime *runtime,
			  int *control)
{
	uint64_t began = px_os.now_ns();
	int rc = px_pool_find(profile, runtime);
	bool lost = true;

	while (rc == 0) {
		rc = px_pool_dial(runtime, silence_ns, control, &lost);
		if (!lost)
			return rc;
		if (px_os.now_ns() - began > silence_ns)
			return still_lost(runtime, silence_ns);
		(void)poll(NULL, 0, LOST_LOOK_MS);
		rc = 0;
	}
	return rc;
}

static int attach(const char *profile, uint64_t silence_ns, struct px_client **out)
{
	struct px_runtime runtime;
	int control = -1;
	int rc = dial_patiently(profile, silence_ns, &runtime, &control);

	if (rc < 0)
		return rc;
	rc = px_client_open(&runtime, control, silence_ns, out);
	if (rc < 0)
		close(control);
	/* The socket of a supervisor that was just killed still takes connections for a moment. */
	return rc == PX_EPOOL ? px_pool_none(&runtime) : rc;
}

int px_client_attach_within(const char *profile, uint64_t silence_ns, struct px_client **out)
{
	const char *connection = profile ? NULL : getenv("PXRUN_CONNECTION");
	int rc = px_need(out, "client");

	if (rc < 0)
		return rc;
	return attach(connection && connection[0] ? connection : profile,
		      silence_ns ? silence_ns : PX_CONTROL_SILENCE_NS, out);
}

int px_client_attach(const char *profile, uint64_t timeout_ns, struct px_client **out)
{
	return px_client_attach_within(profile, timeout_ns == PX_FOREVER ? 0 : timeout_ns, out);
}

/* --- starting --- */

/* A pool that is not ready in time is gone so much later at the latest. */
#define END_NS UINT64_C(10000000000)
#define LOOK_MS 100
#define PIPE_MAX (1 << 20) /* what the kernel allows to everybody */
#define ARGUMENTS_MAX (2 * PX_SETTINGS + 17)

/* The arguments of `pxrun start`; they point into this and into the settings. */
struct command_line {
	const char *argv[ARGUMENTS_MAX];
	char options[PX_SETTINGS][PX_SETTING_NAME_BYTES];
	char numbers[4][24];
	uint32_t count;
};

static void add(struct command_line *line, const char *option, const char *value)
{
	if (!value)
		return;
	line->argv[line->count++] = option;
	line->argv[line->count++] = value;
}

static void add_fd(struct command_line *line, const char *option, int fd, char *text)
{
	if (fd < 0)
		return;
	sprintf(text, "%d", fd);
	add(line, option, text);
}

/* The value of a flag is written behind a '='. */
static void add_setting(struct command_line *line, unsigned id, const char *text)
{
	const struct px_setting *row = &px_settings_table[id];
	char *option = line->options[id];
	size_t length;

	px_setting_option(row, option);
	if (row->type != PX_TYPE_FLAG) {
		add(line, option, text);
		return;
	}
	length = strlen(option);
	snprintf(option + length, PX_SETTING_NAME_BYTES - length, "=%s", text);
	line->argv[line->count++] = option;
}

/* Our ends of what the command inherits; -1: it does not. */
struct inherited {
	int ready, owner, variables;
};

static void build(struct command_line *line, const struct px_settings *settings,
		  const struct px_launch *launch, const struct inherited *fds)
{
	line->argv[line->count++] = "pxrun";
	line->argv[line->count++] = "start";
	line->argv[line->count++] = "--daemonize";
	if (launch->empty)
		line->argv[line->count++] = "--empty";
	add(line, "--profile", launch->profile);
	add(line, "--client-python", launch->python);
	add_fd(line, "--ready-fd", fds->ready, line->numbers[0]);
	add_fd(line, "--owner-fd", fds->owner, line->numbers[1]);
	add_fd(line, "--env-fd", fds->variables, line->numbers[2]);
	if (launch->limit_ns) {
		sprintf(line->numbers[3], "%" PRIu64, launch->limit_ns);
		add(line, "--start-limit", line->numbers[3]);
	}
	for (unsigned id = 0; id < PX_SETTINGS; id++)
		if (px_settings_table[id].who & PX_OF_START &&
		    settings->values[id].source != PX_FROM_DEFAULT)
			add_setting(line, id, settings->values[id].text);
	line->argv[line->count] = NULL;
}

/*
 * What an application does to itself is not done to the pool: it may block or ignore signals. That it
 * ignores SIGHUP is the wish of nohup(1).
 */
static void reset_signals(posix_spawnattr_t *attributes)
{
	sigset_t all, none;

	sigfillset(&all);
	sigdelset(&all, SIGHUP);
	sigemptyset(&none);
	posix_spawnattr_setsigdefault(attributes, &all);
	posix_spawnattr_setsigmask(attributes, &none);
	posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

/* Runs the command, which starts the supervisor in the background and exits. */
static int spawn(const char *path, struct command_line *line, const struct inherited *fds,
		 pid_t *pid)
{
	const int all[] = { fds->ready, fds->owner, fds->variables };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int rc;

	if (posix_spawn_file_actions_init(&actions))
		return px_fail(PX_ENOMEM, "no private memory to start %s", path);
	(void)posix_spawnattr_init(&attributes);
	reset_signals(&attributes);
	/* dup2 to itself clears close-on-exec in the child alone. */
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i] >= 0)
			posix_spawn_file_actions_adddup2(&actions, all[i], all[i]);
	rc = posix_spawnp(pid, path, &actions, &attributes, (char *const *)(uintptr_t)line->argv,
			  environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (rc) {
		errno = rc;
		return px_fail_errno("starting '%s' (is pxrun installed and on PATH?)", path);
	}
	return 0;
}

/*
 * Waits until there is something to read. The supervisor ends a pool that is not ready by its limit, and
 * says so; PX_ETIMEDOUT: it has not even done that.
 */
static int await_news(const struct px_launch *launch)
{
	struct pollfd news = { .fd = launch->ready, .events = POLLIN };
	uint64_t gone, most = launch->limit_ns + END_NS;
	int rc;

	if (!launch->limit_ns || most < END_NS)
		most = UINT64_MAX;
	do {
		rc = launch->give_up ? launch->give_up() : 0;
		if (rc < 0)
			return rc;
		gone = px_os.now_ns() - launch->began_ns;
		if (poll(&news, 1, LOOK_MS) > 0)
			return 0;
	} while (gone < most);
	return px_fail(PX_ETIMEDOUT, "the pool was not ready within %.3g s",
		       (double)launch->limit_ns / 1e9);
}

static int ended_early(const char *profile)
{
	struct px_runtime runtime;
	char log[128];

	if (px_runtime_find(profile, false, &runtime) < 0)
		return px_fail(PX_EPOOL, "the supervisor ended before its engines were ready");
	return px_fail(PX_EPOOL,
		       "the supervisor ended before its engines were ready (the pool's log: %s)",
		       px_runtime_path(&runtime, "log", log, sizeof(log)));
}

/*
 * Reads what the supervisor writes once: an empty string and warnings when all engines serve, else
 * "CODE words". End of file without either means that it died.
 */
static int read_ready(const struct px_launch *launch, char *warnings)
{
	char text[4096];
	int fd = launch->ready;
	size_t used = 0;
	char *words;
	long code;
	int rc;

	for (;;) {
		ssize_t got;

		rc = await_news(launch);
		if (rc < 0)
			return rc;
		got = read(fd, text + used, sizeof(text) - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	text[used] = '\0';
	if (used > 0 && text[0] == '\0') {
		snprintf(warnings, PX_WARNINGS_BYTES, "%.*s", PX_WARNINGS_BYTES - 1, text + 1);
		return 0;
	}
	if (used == 0)
		return ended_early(launch->profile);
	code = strtol(text, &words, 10);
	if (words == text || code >= 0 || code < PX_EPERM)
		return px_fail(PX_EPOOL, "%s", text);
	return px_fail((int)code, "%s", words + strspn(words, " "));
}

/* A name that no other private pool has. */
static void private_name(char *out, size_t bytes)
{
	static _Atomic uint32_t count;

	snprintf(out, bytes, "private-%d-%u", (int)getpid(),
		 atomic_fetch_add_explicit(&count, 1, memory_order_relaxed) + 1);
}

/*
 * The same descriptor under another number, if it has that of a standard stream which the application
 * has closed: the child would take an inherited descriptor there for that stream. -1: none is left.
 */
static int raise_end(int fd)
{
	int raised;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	raised = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close(fd);
	return raised;
}

/* Of a pipe, or a pair of sockets, if it was made. */
static int raise_ends(int made, int ends[2])
{
	if (made < 0)
		return px_fail_errno("making a pipe");
	ends[0] = raise_end(ends[0]);
	ends[1] = raise_end(ends[1]);
	return ends[0] < 0 || ends[1] < 0 ? px_fail_errno("making a pipe") : 0;
}

static void close_end(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Writes all of it, each with its NUL, to a pipe that nobody reads yet. */
static int fill(int fd, char *const *variables)
{
	for (; *variables; variables++) {
		ssize_t bytes = (ssize_t)strlen(*variables) + 1;

		if (write(fd, *variables, (size_t)bytes) != bytes)
			return px_fail(PX_EINVAL,
				       "environment: more than can be handed over; at '%.80s'",
				       *variables);
	}
	return 0;
}

/*
 * The end of a pipe in which the engines' variables are, for the command's arguments are there for all
 * to see. -1: there are none.
 */
static int write_variables(const struct px_settings *settings, int *out)
{
	char *const *list = settings->values[PX_SETTING_ENV].list;
	int ends[2] = { -1, -1 }, rc;
	size_t bytes = 0;

	*out = -1;
	if (!list)
		return 0;
	rc = raise_ends(pipe2(ends, O_CLOEXEC | O_NONBLOCK), ends);
	for (size_t i = 0; list[i]; i++)
		bytes += strlen(list[i]) + 1;
	if (rc == 0) {
		/* Where it may not be so large, fill() says so. Small writes may leave pages half full. */
		(void)fcntl(ends[1], F_SETPIPE_SZ,
			    (int)(bytes < PIPE_MAX / 2 ? 2 * bytes : PIPE_MAX));
		rc = fill(ends[1], list);
	}
	close_end(ends[1]);
	if (rc == 0)
		*out = ends[0];
	else
		close_end(ends[0]);
	return rc;
}

/*
 * Starts the supervisor. It inherits the write end of ready[], and of a private pool one end of
 * hang[]: sockets, by which it knows the process that made them.
 */
static int launch(const struct px_settings *settings, const char *command, struct px_launch *launch)
{
	struct command_line line = { 0 };
	int ready[2] = { -1, -1 }, hang[2] = { -1, -1 }, variables = -1;
	struct inherited fds;
	char path[PATH_MAX];
	int rc = raise_ends(pipe2(ready, O_CLOEXEC), ready);

	if (rc == 0 && launch->private)
		rc = raise_ends(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, hang), hang);
	if (rc == 0)
		rc = write_variables(settings, &variables);
	fds = (struct inherited){ ready[1], hang[0], variables };
	if (rc == 0) {
		build(&line, settings, launch, &fds);
		rc = spawn(px_command_path(command, path), &line, &fds, &launch->pid);
	}
	close_end(fds.ready);
	close_end(fds.owner);
	close_end(fds.variables);
	if (rc == 0) {
		launch->ready = ready[0];
		launch->owner = hang[1];
	} else {
		close_end(ready[0]);
		close_end(hang[1]);
	}
	return rc;
}

int px_pool_launch(const struct px_settings *settings, const char *profile, const char *command,
		   const char *python, bool empty, uint64_t limit_ns, struct px_launch *out)
{
	*out = (struct px_launch){ .ready = -1,
				   .owner = -1,
				   .profile = profile,
				   .python = python,
				   .empty = empty,
				   .limit_ns = limit_ns,
				   .began_ns = px_os.now_ns() };
	out->private = profile && !profile[0];
	if (out->private) {
		private_name(out->name, sizeof(out->name));
		out->profile = out->name;
	}
	return launch(settings, command, out);
}

int px_pool_launched(struct px_launch *l, struct px_client **out)
{
	int status, rc;

	while (waitpid(l->pid, &status, 0) < 0 && errno == EINTR)
		;
	rc = read_ready(l, l->warnings);
	close(l->ready);
	if (rc == 0)
		rc = attach(l->profile, PX_CONTROL_SILENCE_NS, out);
	if (rc < 0) {
		/* A private pool that did start ends by this. */
		if (l->owner >= 0)
			close(l->owner);
		return rc;
	}
	(*out)->owner_fd = px_descriptor_raise(l->owner);
	(*out)->owner_id = px_descriptor_identify((*out)->owner_fd);
	(*out)->owns_pool = l->private;
	return 0;
}

int px_client_give_pool(struct px_client *client)
{
	int owner = client->owner_fd;

	client->owner_fd = -1;
	client->owns_pool = false;
	return owner;
}

int px_pool_start_by(const struct px_settings *settings, const char *profile, const char *command,
		     uint64_t limit_ns, char *warnings, struct px_client **out)
{
	struct px_launch l;
	int rc = px_need(out, "client");

	if (rc == 0)
		rc = px_pool_launch(settings, profile, command, NULL, false, limit_ns, &l);
	if (rc == 0)
		rc = px_pool_launched(&l, out);
	if (rc == 0 && warnings)
		memcpy(warnings, l.warnings, sizeof(l.warnings));
	return rc;
}

/* A line for each of the lines. */
static void log_warnings(int fd, const char *lines)
{
	while (fd > 0 && *lines) {
		int length = (int)strcspn(lines, "\n");

		dprintf(fd, "pxrun: warning: %.*s\n", length, lines);
		lines += length + (lines[length] == '\n');
	}
}

int px_pool_start(const struct px_pool_options *options, struct px_client **out)
{
	char warnings[PX_WARNINGS_BYTES] = "";
	struct px_pool_options known;
	struct px_settings settings;
	int rc = px_need(options, "options");

	if (rc < 0)
		return rc;
	px_settings_init(&settings);
	rc = px_settings_set_options(&settings, options, &known);
	if (rc == 0)
		rc = px_pool_start_by(&settings, known.profile, known.command,
				      known.start_timeout_ns, warnings, out);
	if (rc == 0)
		log_warnings(known.log_fd, warnings);
	px_settings_clear(&settings);
	return rc;
}
