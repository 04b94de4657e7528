/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * start.c - `pxrun start`: becomes a pool's supervisor, or puts one into the background.
 *
 * In the background it is px_pool_start() that does it, by running this verb again
 * with options that are not for users:
 *   --ready-fd N     where to report: one zero byte, and warnings, when all engines serve, or "CODE words"
 *   --owner-fd N     a socket; when its other end is closed, or who made it dies, the pool ends
 *   --env-fd N       a pipe with variables for the engines, each ending with NUL
 *   --start-limit NS when the pool has to be ready, or ends
 *   --sys-path A:B   folders put before the engines' sys.path
 *   --empty          start no engines; clients will ask for them
 *   --client-python PATH  the interpreter of the Python client that starts the pool
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bin/command.h"
#include "bin/pool_option.h"
#include "client/start.h"
#include "pool/log_file.h"
#include "pool/profile.h"
#include "pool/runtime.h"
#include "shm/error.h"
#include "shm/layout.h"
#include "supervisor/supervisor.h"

struct request {
	struct px_settings settings;
	const char *profile;
	char *client_python; /* a copy: of the arguments nothing is left, see pool/title.h */
	bool daemonize, empty;
	int ready_fd, owner_fd, env_fd; /* -1: not given */
	uint64_t limit_ns;              /* 0: none */
};

/* Reports why the pool cannot start to the process that waits for it. Returns an exit code. */
static int refuse(const struct request *request, int rc)
{
	if (request->ready_fd < 0)
		return px_command_fail(rc);
	dprintf(request->ready_fd, "%d %s", rc, px_last_error());
	return px_command_exit(rc);
}

/* --- settings: options before the environment before the profile --- */

/* All that is in the pipe, NUL-terminated; *bytes without that. NULL: no memory. */
static char *read_all(int fd, size_t *bytes)
{
	size_t room = 0;
	char *text = NULL;
	ssize_t got;

	*bytes = 0;
	do {
		char *grown = realloc(text, room += 65536);

		if (!grown) {
			free(text);
			return NULL;
		}
		text = grown;
		got = read(fd, text + *bytes, room - *bytes - 1);
		*bytes += got > 0 ? (size_t)got : 0;
	} while (got > 0 || (got < 0 && errno == EINTR));
	text[*bytes] = '\0';
	return text;
}

/* What px_pool_start() was given: after the profile's, so that these count. */
static int read_variables(struct request *request)
{
	size_t bytes, used = 0;
	char *text = read_all(request->env_fd, &bytes);
	const char **list = calloc(bytes + 1, sizeof(*list));
	int rc;

	close(request->env_fd);
	if (text && list)
		for (size_t at = 0; at < bytes; at += strlen(text + at) + 1)
			list[used++] = text + at;
	rc = text && list ? px_settings_add_variables(&request->settings, list) :
			    px_fail(PX_ENOMEM, "no private memory for the engines' environment");
	free(list);
	free(text);
	return rc;
}

static int decide_settings(struct request *request, struct px_supervisor_options *out)
{
	int rc = px_runtime_find(request->profile, false, &out->runtime);

	if (rc == 0)
		rc = px_profile_load(px_runtime_is_private(&out->runtime) ? "default" :
									    out->runtime.profile,
				     &request->settings);
	if (rc == 0)
		rc = px_settings_set_environment(&request->settings);
	if (rc == 0 && request->env_fd >= 0)
		rc = read_variables(request);
	if (rc < 0)
		return rc;
	out->settings = &request->settings;
	out->owner_fd = request->owner_fd;
	out->empty = request->empty;
	out->client_python = request->client_python;
	out->limit_ns = request->limit_ns;
	/* Last, so that the folder is made only if all settings are right. */
	return px_runtime_find(request->profile, true, &out->runtime);
}

/* --- the supervisor's process --- */

/* The pool may outlive the process that starts it, so it must not keep that one's files open. */
static void close_inherited(const struct request *request)
{
	bool swapped = request->ready_fd > request->owner_fd;
	int kept[2] = { swapped ? request->owner_fd : request->ready_fd,
			swapped ? request->ready_fd : request->owner_fd };
	unsigned from = 3;

	for (int i = 0; i < 2; i++) {
		if (kept[i] < 3)
			continue;
		if ((unsigned)kept[i] > from)
			close_range(from, (unsigned)kept[i] - 1, 0);
		from = (unsigned)kept[i] + 1;
	}
	close_range(from, UINT_MAX, 0);
}

/* Detaches the standard streams; output and error go to the log, for what libraries print. */
static void leave_terminal(int log_fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0)
		dup2(null, 0);
	dup2(log_fd >= 0 ? log_fd : null, 1);
	dup2(log_fd >= 0 ? log_fd : null, 2);
	if (null > 2)
		close(null);
}

/* Takes the pool's folder, and begins its log. */
static int move_in(struct px_supervisor_options *options)
{
	const struct px_runtime *runtime = &options->runtime;
	int rc = px_runtime_lock(runtime, &options->lock_fd);

	if (rc < 0)
		return rc;
	px_runtime_clean_private();
	rc = px_log_file_begin(runtime, px_settings_text(options->settings, PX_SETTING_LOG),
			       &options->log_fd);
	if (rc < 0) {
		px_runtime_clean(runtime, true);
		close(options->lock_fd);
	}
	return rc;
}

/* Returns an exit code. */
static int supervise(const struct request *request, struct px_supervisor_options *options)
{
	int code, rc;

	rc = move_in(options);
	if (rc < 0)
		return refuse(request, rc);
	if (request->daemonize)
		leave_terminal(options->log_fd);
	code = px_supervisor_run(options);
	close(options->log_fd);
	close(options->lock_fd);
	return code;
}

static int supervise_in_background(const struct request *request,
				   struct px_supervisor_options *options)
{
	pid_t pid = fork();

	if (pid < 0)
		return refuse(request, px_fail_errno("starting a process for the supervisor"));
	if (pid > 0)
		return PX_EXIT_OK;
	setsid();
	close_inherited(request);
	options->ready_fd = request->ready_fd;
	return supervise(request, options);
}

/* --- the foreground --- */

static void announce(const struct px_runtime *runtime, const char *how)
{
	struct px_runtime_facts facts;

	px_runtime_facts(runtime, &facts);
	/* The pool was stopped before it was ready: there is nothing to announce. */
	if (!facts.started[0])
		return;
	/* For people. A pool is none the worse if there is nowhere to say it, as where services are started. */
	if ((fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return;
	printf("pool '%s': %u engine%s, pid %d; stop it with %s`pxrun stop%s%s`\n",
	       runtime->profile, facts.engines, facts.engines == 1 ? "" : "s", facts.pid, how,
	       strcmp(runtime->profile, "default") ? " --profile " : "",
	       strcmp(runtime->profile, "default") ? runtime->profile : "");
	px_command_written(fflush(stdout) == 0);
}

/*
 * Starts a child that waits until the pool is ready and prints so, since this process becomes the
 * supervisor. It only peeks: the report is left for exit_code().
 */
static int begin_announcer(const struct px_runtime *runtime, const int *pair)
{
	char text[PX_WARNINGS_BYTES + 1] = { 0 };
	pid_t pid = fork();

	if (pid < 0)
		return px_fail_errno("starting a process");
	if (pid > 0)
		return 0;
	/* Ctrl-C is for the supervisor. */
	signal(SIGINT, SIG_IGN);
	close(pair[1]);
	if (recv(pair[0], text, sizeof(text) - 1, MSG_PEEK) > 0 && !text[0]) {
		px_command_warn(text + 1);
		announce(runtime, "Ctrl-C or ");
	}
	_exit(0);
}

/* The exit code of a supervisor that has ended with `code`; if it did not start, prints why. */
static int exit_code(int heard, int code)
{
	char text[16] = "";

	if (code == 0 || recv(heard, text, sizeof(text) - 1, MSG_DONTWAIT) <= 0)
		return code;
	return text[0] ? px_command_fail(atoi(text)) : code;
}

static int supervise_here(const struct request *request, struct px_supervisor_options *options)
{
	int pair[2], code;

	if (request->ready_fd >= 0) {
		options->ready_fd = request->ready_fd;
		return supervise(request, options);
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return px_command_fail(px_fail_errno("making a socket"));
	if (begin_announcer(&options->runtime, pair) < 0) {
		code = px_command_fail(PX_ESYSTEM);
		close(pair[1]);
	} else {
		options->ready_fd = pair[1];
		code = exit_code(pair[0], supervise(request, options));
	}
	close(pair[0]);
	return code;
}

/* --- the command line --- */

static int start_in_background(const struct request *request)
{
	struct px_runtime runtime;
	struct px_client *client = NULL;
	char self[PATH_MAX], warnings[PX_WARNINGS_BYTES] = "";
	int rc = px_runtime_find(request->profile, false, &runtime);

	if (rc == 0)
		rc = px_pool_start_by(&request->settings, runtime.profile, px_command_self(self), 0,
				      warnings, &client);
	if (rc < 0)
		return px_command_fail(rc);
	px_client_detach(client);
	px_command_warn(warnings);
	announce(&runtime, "");
	return PX_EXIT_OK;
}

static int start(struct request *request)
{
	struct px_supervisor_options options = PX_SUPERVISOR_OPTIONS;
	int rc;

	if (request->daemonize && request->ready_fd < 0)
		return start_in_background(request);
	rc = decide_settings(request, &options);
	if (rc < 0)
		return refuse(request, rc);
	if (request->daemonize)
		return supervise_in_background(request, &options);
	return supervise_here(request, &options);
}

/* A descriptor that was inherited on purpose; it must not be inherited further. */
static int parse_fd(const char *what, const char *text, int *out)
{
	char *end;
	long fd = strtol(text, &end, 10);

	if (end == text || *end || fd < 3 || fd > INT_MAX ||
	    fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
		return px_fail(PX_EINVAL, "%s must be a descriptor that is open, not '%.80s'", what,
			       text);
	*out = (int)fd;
	return 0;
}

enum {
	OPTION_READY_FD = PX_OPTION_OWN,
	OPTION_OWNER_FD,
	OPTION_ENV_FD,
	OPTION_START_LIMIT,
	OPTION_EMPTY,
	OPTION_CLIENT_PYTHON
};

static int take_own(void *ctx, int option, const char *value)
{
	struct request *request = ctx;

	switch (option) {
	case 'd':
		request->daemonize = true;
		return 0;
	case 'p':
		request->profile = value;
		return 0;
	case OPTION_EMPTY:
		request->empty = true;
		return 0;
	case OPTION_CLIENT_PYTHON:
		free(request->client_python);
		request->client_python = strdup(value);
		return request->client_python ? 0 :
						px_fail(PX_ENOMEM, "no private memory for a path");
	case OPTION_READY_FD:
		return parse_fd("--ready-fd", value, &request->ready_fd);
	case OPTION_ENV_FD:
		return parse_fd("--env-fd", value, &request->env_fd);
	case OPTION_START_LIMIT:
		request->limit_ns = strtoull(value, NULL, 10);
		return 0;
	default:
		return parse_fd("--owner-fd", value, &request->owner_fd);
	}
}

static int run(int argc, char **argv)
{
	static const struct option list[] = {
		{ "daemonize", no_argument, NULL, 'd' },
		{ "profile", required_argument, NULL, 'p' },
		{ "ready-fd", required_argument, NULL, OPTION_READY_FD },
		{ "owner-fd", required_argument, NULL, OPTION_OWNER_FD },
		{ "env-fd", required_argument, NULL, OPTION_ENV_FD },
		{ "start-limit", required_argument, NULL, OPTION_START_LIMIT },
		{ "empty", no_argument, NULL, OPTION_EMPTY },
		{ "client-python", required_argument, NULL, OPTION_CLIENT_PYTHON },
	};
	struct request request = { .ready_fd = -1, .owner_fd = -1, .env_fd = -1 };
	const struct px_own_options own = {
		.letters = "dp:", .list = list, .count = 8, .take = take_own, .ctx = &request
	};
	int code, rc;

	px_settings_init(&request.settings);
	rc = px_pool_options_read(&px_verb_start, argc, argv, &own, &request.settings);
	if (rc < 0 && request.ready_fd >= 0)
		code = refuse(&request, rc);
	else if (rc)
		code = px_pool_options_end(&px_verb_start, rc);
	else if (optind < argc)
		code = px_command_misuse(&px_verb_start, "unexpected argument '%s'", argv[optind]);
	else
		code = start(&request);
	free(request.client_python);
	px_settings_clear(&request.settings);
	return code;
}

const struct px_verb px_verb_start = {
	.name = "start",
	.summary = "start a pool",
	.run = run,
	.help = "usage: pxrun start [OPTION...]\n"
		"Starts a pool and stays in the foreground; Ctrl-C stops it.\n\n"
		"  -d, --daemonize        return when all engines answer, and leave the pool running\n"
		"  -p, --profile NAME     its name (default: $PXRUN_PROFILE, else 'default')\n",
	.settings = PX_OF_START,
	.help_end = "\nWhat is not given is taken from the profile's file, see pxrun.yaml(5).\n",
};
