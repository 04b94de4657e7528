/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * start.c - `pxrun start`: becomes a pool's supervisor, or puts one into the background.
 *
 * In the background it is px_pool_start() that does it, by running this verb again
 * with options that are not for users:
 *   --ready-fd N     where to report: one zero byte when all engines serve, or "CODE words"
 *   --owner-fd N     a pipe; when its other end is closed the pool ends
 *   --sys-path A:B   folders put before the engines' sys.path
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
#include "pool/profile.h"
#include "pool/runtime.h"
#include "pool/setting.h"
#include "shm/error.h"
#include "shm/layout.h"
#include "supervisor/supervisor.h"

struct request {
	struct px_pool_options pool;
	bool daemonize;
	int ready_fd, owner_fd; /* -1: not given */
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

static int engines_from_environment(uint32_t *engines)
{
	const char *text = getenv("PXRUN_ENGINES");

	return text && *text ? px_setting_engines("PXRUN_ENGINES", text, engines) : 0;
}

/* Settings in *out may point into *profile. */
static int settle(const struct request *request, struct px_profile *profile,
		  struct px_supervisor_options *out)
{
	const struct px_pool_options *pool = &request->pool;
	const char *huge_pages;
	uint32_t engines = pool->engines;
	bool private;
	int rc = px_runtime_find(pool->profile, false, &out->runtime);

	if (rc < 0)
		return rc;
	private = !strncmp(out->runtime.profile, "private-", strlen("private-"));
	rc = px_profile_load(private ? "default" : out->runtime.profile, profile);
	if (rc == 0 && !engines)
		rc = engines_from_environment(&engines);
	if (rc < 0)
		return rc;
	out->engines = engines ? engines : profile->engines;
	out->arena_bytes = pool->arena_bytes ? pool->arena_bytes : profile->arena_bytes;
	out->quota_bytes = pool->quota_bytes ? pool->quota_bytes : profile->quota_bytes;
	huge_pages = pool->huge_pages ? pool->huge_pages : profile->huge_pages;
	out->small_pages = huge_pages && !strcmp(huge_pages, "never");
	out->restart = pool->restart ? pool->restart : profile->restart;
	out->event_loop = pool->event_loop ? pool->event_loop : profile->event_loop;
	out->python = pool->python ? pool->python : profile->python;
	out->preload = pool->preload ? pool->preload : profile->preload;
	out->sys_path = pool->sys_path;
	out->environment = profile->env;
	out->pin = profile->pin == 1;
	out->owner_fd = request->owner_fd;
	/* Last, so that the folder is made only if all settings are right. */
	return px_runtime_find(pool->profile, true, &out->runtime);
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

static int open_log(const struct px_runtime *runtime, int *log_fd)
{
	char path[128];

	*log_fd = open(px_runtime_path(runtime, "log", path, sizeof(path)),
		       O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *log_fd < 0 ? px_fail_errno("opening %s", path) : 0;
}

/* Returns an exit code. */
static int supervise(const struct request *request, struct px_supervisor_options *options)
{
	int lock, code, rc = px_runtime_lock(&options->runtime, &lock);

	if (rc == 0)
		rc = open_log(&options->runtime, &options->log_fd);
	if (rc < 0)
		return refuse(request, rc);
	if (request->daemonize)
		leave_terminal(options->log_fd);
	code = px_supervisor_run(options);
	close(options->log_fd);
	close(lock);
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
	printf("pool '%s': %u engine%s, pid %d; stop it with %s`pxrun stop%s%s`\n",
	       runtime->profile, facts.engines, facts.engines == 1 ? "" : "s", facts.pid, how,
	       strcmp(runtime->profile, "default") ? " --profile " : "",
	       strcmp(runtime->profile, "default") ? runtime->profile : "");
	fflush(stdout);
}

/*
 * Starts a child that waits until the pool is ready and prints so, since this process becomes the
 * supervisor. It only peeks: the report is left for exit_code().
 */
static int begin_announcer(const struct px_runtime *runtime, const int *pair)
{
	pid_t pid = fork();
	char word;

	if (pid < 0)
		return px_fail_errno("starting a process");
	if (pid > 0)
		return 0;
	/* Ctrl-C is for the supervisor. */
	signal(SIGINT, SIG_IGN);
	close(pair[1]);
	if (recv(pair[0], &word, 1, MSG_PEEK) == 1 && !word)
		announce(runtime, "Ctrl-C or ");
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

static int start_in_background(const struct px_pool_options *pool)
{
	struct px_pool_options options = *pool;
	struct px_runtime runtime;
	struct px_client *client;
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int rc = px_runtime_find(pool->profile, false, &runtime);

	if (rc < 0)
		return px_command_fail(rc);
	if (length > 0) {
		self[length] = '\0';
		options.command = self;
	}
	options.profile = runtime.profile;
	rc = px_pool_start(&options, &client);
	if (rc < 0)
		return px_command_fail(rc);
	px_client_detach(client);
	announce(&runtime, "");
	return PX_EXIT_OK;
}

static int start(const struct request *request)
{
	struct px_supervisor_options options = PX_SUPERVISOR_OPTIONS;
	struct px_profile profile = { .pin = -1 };
	int code, rc = settle(request, &profile, &options);

	if (rc < 0)
		code = refuse(request, rc);
	else if (request->daemonize)
		code = supervise_in_background(request, &options);
	else
		code = supervise_here(request, &options);
	px_profile_clear(&profile);
	return code;
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

enum { OPTION_READY_FD = PX_OPTION_LAST, OPTION_OWNER_FD, OPTION_SYS_PATH };

/* Takes one option. 1: unknown, getopt_long(3) has printed a message; PX_EINVAL. */
static int take_option(int option, struct request *request)
{
	switch (option) {
	case 'd':
		request->daemonize = true;
		return 0;
	case 'p':
		request->pool.profile = optarg;
		return 0;
	case OPTION_READY_FD:
		return parse_fd("--ready-fd", optarg, &request->ready_fd);
	case OPTION_OWNER_FD:
		return parse_fd("--owner-fd", optarg, &request->owner_fd);
	case OPTION_SYS_PATH:
		request->pool.sys_path = optarg;
		return 0;
	default:
		return px_pool_option(option, optarg, &request->pool);
	}
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		PX_POOL_OPTION_LONG,
		{ "daemonize", no_argument, NULL, 'd' },
		{ "profile", required_argument, NULL, 'p' },
		{ "ready-fd", required_argument, NULL, OPTION_READY_FD },
		{ "owner-fd", required_argument, NULL, OPTION_OWNER_FD },
		{ "sys-path", required_argument, NULL, OPTION_SYS_PATH },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct request request = { .pool = PX_POOL_OPTIONS, .ready_fd = -1, .owner_fd = -1 };
	int option, rc;

	while ((option = getopt_long(argc, argv, "dp:h" PX_POOL_OPTION_LETTERS, options, NULL)) !=
	       -1) {
		if (option == 'h')
			return px_command_help(&px_verb_start);
		rc = take_option(option, &request);
		if (rc < 0 && request.ready_fd >= 0)
			return refuse(&request, rc);
		if (rc < 0)
			return px_command_misuse(&px_verb_start, "%s", px_last_error());
		if (rc > 0)
			return px_command_bad_option(&px_verb_start);
	}
	if (optind < argc)
		return px_command_misuse(&px_verb_start, "unexpected argument '%s'", argv[optind]);
	if (request.daemonize && request.ready_fd < 0)
		return start_in_background(&request.pool);
	return start(&request);
}

const struct px_verb px_verb_start = {
	.name = "start",
	.summary = "start a pool",
	.run = run,
	.help = "usage: pxrun start [OPTION...]\n"
		"Starts a pool and stays in the foreground; Ctrl-C stops it.\n\n"
		"  -d, --daemonize        return when all engines answer, and leave the pool running\n"
		"  -p, --profile NAME     its name (default: $PXRUN_PROFILE, else 'default')\n" PX_POOL_OPTION_HELP
		"\nWhat is not given is taken from the profile's file, see pxrun.yaml(5).\n",
};
