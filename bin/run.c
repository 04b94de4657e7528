/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run.c - `pxrun run`: a pool for one script, which attaches to it by default.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bin/command.h"
#include "bin/interpreter.h"
#include "bin/own_pool.h"
#include "bin/pool_option.h"
#include "client/client.h"
#include "shm/error.h"

/* These are passed on to the script; a terminal sends the others to it directly. */
static const int forwarded[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
static const int from_terminal[] = { SIGINT, SIGQUIT };
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static volatile sig_atomic_t script_pid;

static void forward(int number)
{
	int error = errno;

	if (script_pid > 0)
		kill((pid_t)script_pid, number);
	errno = error;
}

/* Blocks the forwarded signals until the script runs; *before is the mask to restore then. */
static void handle_signals(sigset_t *before)
{
	struct sigaction pass = { .sa_handler = forward, .sa_flags = SA_RESTART };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < COUNT(forwarded); i++)
		sigaddset(&blocked, forwarded[i]);
	sigprocmask(SIG_BLOCK, &blocked, before);
	for (size_t i = 0; i < COUNT(forwarded); i++)
		sigaction(forwarded[i], &pass, NULL);
	for (size_t i = 0; i < COUNT(from_terminal); i++)
		sigaction(from_terminal[i], &ignore, NULL);
}

/* In the child. Returns only if the interpreter cannot be started. */
static void become_script(const char *python, char **argv, const char *connection, pid_t parent,
			  const sigset_t *mask)
{
	struct sigaction usual = { .sa_handler = SIG_DFL };

	for (size_t i = 0; i < COUNT(from_terminal); i++)
		sigaction(from_terminal[i], &usual, NULL);
	for (size_t i = 0; i < COUNT(forwarded); i++)
		sigaction(forwarded[i], &usual, NULL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	/* If this process ends, so does the pool, and the script cannot go on. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(PX_EXIT_FAILED);
	setenv("PXRUN_CONNECTION", connection, 1);
	px_interpreter_offer_package();
	argv[0] = (char *)(uintptr_t)python;
	execvp(python, argv);
	fprintf(stderr, "pxrun: starting %s: %s\n", python, strerror(errno));
	_exit(PX_EXIT_FAILED);
}

/* Runs the script to its end. argv[0] is free for the interpreter. */
static int run_script(const char *python, char **argv, const char *connection)
{
	pid_t parent = getpid(), pid;
	sigset_t mask;
	int status;

	handle_signals(&mask);
	pid = fork();
	if (pid < 0) {
		perror("pxrun: fork");
		return PX_EXIT_FAILED;
	}
	if (pid == 0)
		become_script(python, argv, connection, parent, &mask);
	script_pid = pid;
	sigprocmask(SIG_SETMASK, &mask, NULL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	script_pid = 0;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The folder of the script, where engines are to find its modules, too. */
static int script_folder(const char *script, char *out)
{
	char path[PATH_MAX];

	if (!realpath(script, path))
		return px_fail_errno("the script %s", script);
	snprintf(out, PATH_MAX, "%s", dirname(path));
	return 0;
}

static int run_with_pool(struct px_settings *settings, char **argv)
{
	char folder[PATH_MAX], connection[128], python[PATH_MAX];
	struct px_client *client = NULL;
	int code, rc = script_folder(argv[1], folder);

	if (rc == 0)
		rc = px_settings_set(settings, PX_SETTING_SYS_PATH, PX_FROM_OPTION, "--sys-path",
				     folder);
	if (rc == 0)
		rc = px_own_pool_start(settings, &client);
	if (rc < 0)
		return px_command_fail(rc);
	px_runtime_path(&client->runtime, "connection.json", connection, sizeof(connection));
	rc = px_interpreter_of(client, python, sizeof(python));
	code = rc < 0 ? px_command_fail(rc) : run_script(python, argv, connection);
	px_own_pool_end(client);
	return code;
}

static int run(int argc, char **argv)
{
	/* +: arguments after the script are the script's. */
	static const struct px_own_options own = { .letters = "+" };
	struct px_settings settings;
	int code, rc;

	px_settings_init(&settings);
	rc = px_pool_options_read(&px_verb_run, argc, argv, &own, &settings);
	if (rc)
		code = px_pool_options_end(&px_verb_run, rc);
	else if (optind == argc)
		code = px_command_misuse(&px_verb_run, "no script to run");
	else
		code = run_with_pool(&settings, argv + optind - 1);
	px_settings_clear(&settings);
	return code;
}

const struct px_verb px_verb_run = {
	.name = "run",
	.summary = "start a pool, run a Python script on it, stop the pool",
	.run = run,
	.help = "usage: pxrun run [OPTION...] SCRIPT [ARGUMENT...]\n"
		"Starts a pool, runs a Python script that attaches to it by default, and stops the\n"
		"pool. The exit code is the script's, or 128 + N if signal N ended it.\n\n",
	.settings = PX_OF_RUN,
};
