/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doctor_python.c - the checks of the interpreter that engines run in.
 *
 * It is started once, as a pool starts it, and says of itself what there is (pxrun/engine/facts.py).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bin/doctor.h"
#include "pool/json.h"
#include "shm/error.h"
#include "shm/os.h"
#include "supervisor/command_line.h"
#include "supervisor/environment.h"

#define LIMIT_NS UINT64_C(15000000000)

/* What a program prints: the end of it, if it is too much. */
struct printed {
	int fd;
	size_t used;
	char text[4096];
};

/* --- running it --- */

/* In the child. */
static void become_python(struct px_command_line *command, char **environment, const int out[2],
			  const int err[2])
{
	int null = open("/dev/null", O_RDONLY);

	/* It ends with this command, and all that it starts ends with it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	dup2(null, STDIN_FILENO);
	dup2(out[1], STDOUT_FILENO);
	dup2(err[1], STDERR_FILENO);
	execvpe(command->argv[0], command->argv, environment);
	dprintf(STDERR_FILENO, "starting %s: %s\n", command->argv[0], strerror(errno));
	_exit(127);
}

static void take(struct printed *printed)
{
	size_t room = sizeof(printed->text) - 1;
	ssize_t got;

	if (printed->used == room) {
		memmove(printed->text, printed->text + room / 2, room - room / 2);
		printed->used = room - room / 2;
	}
	got = read(printed->fd, printed->text + printed->used, room - printed->used);
	if (got > 0)
		printed->used += (size_t)got;
	else
		printed->fd = -1;
	printed->text[printed->used] = '\0';
}

/* Until both are at their end. Whether that was in time. */
static bool read_both(struct printed *out, struct printed *err)
{
	uint64_t until = px_os.now_ns() + LIMIT_NS, now;

	while ((out->fd >= 0 || err->fd >= 0) && (now = px_os.now_ns()) < until) {
		struct pollfd wait[2] = { { out->fd, POLLIN, 0 }, { err->fd, POLLIN, 0 } };

		if (poll(wait, 2, (int)((until - now) / 1000000) + 1) <= 0)
			continue;
		if (wait[0].revents)
			take(out);
		if (wait[1].revents)
			take(err);
	}
	return out->fd < 0 && err->fd < 0;
}

/* Runs the program to its end. PX_ETIMEDOUT, PX_ESYSTEM. */
static int run_python(struct px_command_line *command, char **environment, struct printed *out,
		      struct printed *err)
{
	int out_pipe[2], err_pipe[2], rc = 0;
	pid_t pid;

	if (pipe2(out_pipe, O_CLOEXEC) < 0)
		return px_fail_errno("making a pipe");
	if (pipe2(err_pipe, O_CLOEXEC) < 0) {
		rc = px_fail_errno("making a pipe");
		goto close_out;
	}
	pid = fork();
	if (pid == 0)
		become_python(command, environment, out_pipe, err_pipe);
	close(out_pipe[1]);
	close(err_pipe[1]);
	out_pipe[1] = err_pipe[1] = -1;
	if (pid < 0) {
		rc = px_fail_errno("starting a process");
	} else {
		out->fd = out_pipe[0];
		err->fd = err_pipe[0];
		if (!read_both(out, err))
			rc = px_fail(PX_ETIMEDOUT, "%s does not end within %d s", command->argv[0],
				     (int)(LIMIT_NS / 1000000000));
		kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(err_pipe[0]);
	if (err_pipe[1] >= 0)
		close(err_pipe[1]);
close_out:
	close(out_pipe[0]);
	if (out_pipe[1] >= 0)
		close(out_pipe[1]);
	return rc;
}

/* --- what it has said --- */

/* The last line that has something. Cuts the text there. */
static char *last_line(char *text)
{
	char *line, *end = text + strlen(text);

	while (end > text && end[-1] == '\n')
		*--end = '\0';
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

/* Whether it has told its facts; else the finding says what it has done instead. */
static bool ask(struct px_doctor *doctor, struct px_command_line *command, char **environment,
		struct px_finding *finding)
{
	struct printed out = { 0 }, err = { 0 };
	int rc = run_python(command, environment, &out, &err);
	const char *line = last_line(out.text), *words = last_line(err.text);

	if (rc == 0 && px_json_member(px_json_parse(line), "executable")) {
		snprintf(doctor->facts, sizeof(doctor->facts), "%s", line);
		return true;
	}
	if (rc < 0)
		px_doctor_found(finding, "%s", px_last_error());
	else
		px_doctor_found(finding, "%s: %s", command->argv[0],
				*words ? words : "ends without a word");
	return false;
}

/* The finding's line on an interpreter that has told of itself. */
static void describe(const struct px_doctor *doctor, const struct px_command_line *command,
		     struct px_finding *finding)
{
	const char *facts = px_json_parse(doctor->facts), *how = "pxrun's own";
	char version[64], executable[PATH_MAX];

	(void)px_json_string(px_json_member(facts, "python"), version, sizeof(version));
	if (!px_json_string(px_json_member(facts, "executable"), executable, sizeof(executable)))
		snprintf(executable, sizeof(executable), "?");
	if (px_settings_text(&doctor->settings, PX_SETTING_PYTHON))
		how = "of the settings";
	else if (command->argv[0] == command->python)
		how = "of the activated environment";
	px_doctor_found(finding, "%s %s, %s", version, executable, how);
}

void px_doctor_python(struct px_doctor *doctor, struct px_finding *finding)
{
	struct px_supervisor_options options = PX_SUPERVISOR_OPTIONS;
	struct px_command_line command;
	char **environment = NULL;

	if (doctor->native) {
		px_doctor_found(finding, "not needed: the settings say native");
		return;
	}
	options.settings = &doctor->settings;
	snprintf(options.runtime.profile, sizeof(options.runtime.profile), "%s", doctor->profile);
	px_command_line_begin(&command, &options, "--facts");
	if (px_environment_new(environ, doctor->settings.values[PX_SETTING_ENV].list, 1, "",
			       &environment) < 0) {
		px_doctor_found(finding, "%s", px_last_error());
		px_doctor_advise(finding, PX_DOCTOR_PROBLEM, "end other programs");
	} else if (ask(doctor, &command, environment, finding)) {
		describe(doctor, &command, finding);
	} else {
		px_doctor_advise(
			finding, PX_DOCTOR_PROBLEM,
			"no engine can start: name another interpreter, of Python 3.11 or newer, by "
			"python: in the profile or --python, or leave its environment (deactivate)");
	}
	doctor->hopeless |= finding->state == PX_DOCTOR_PROBLEM;
	px_environment_free(environment);
}

/* --- modules --- */

/* Of a pool without an interpreter, or with one that says nothing. */
static bool nothing_known(const struct px_doctor *doctor, struct px_finding *finding)
{
	if (doctor->facts[0])
		return false;
	px_doctor_found(finding, "not looked for: %s",
			doctor->native ? "there is no interpreter" : "the interpreter fails");
	return true;
}

void px_doctor_numpy(struct px_doctor *doctor, struct px_finding *finding)
{
	const char *facts = px_json_parse(doctor->facts);
	char version[64], error[512];
	bool there, broken;

	if (nothing_known(doctor, finding))
		return;
	there = px_json_string(px_json_member(facts, "numpy"), version, sizeof(version));
	broken = px_json_string(px_json_member(facts, "numpy_error"), error, sizeof(error));
	if (there && broken) {
		px_doctor_found(finding, "%s: %s", version, error);
		px_doctor_advise(finding, PX_DOCTOR_NOTE,
				 "arrays that engines compute are copied when they are sent: "
				 "install numpy 1.22 or newer");
	} else if (there) {
		px_doctor_found(finding, "%s", version);
	} else if (broken) {
		px_doctor_found(finding, "cannot be imported: %s", error);
		px_doctor_advise(finding, PX_DOCTOR_PROBLEM,
				 "install it anew for this interpreter");
	} else {
		px_doctor_found(finding, "not installed");
		px_doctor_advise(finding, PX_DOCTOR_NOTE,
				 "without it there are no arrays of numpy's; all else works");
	}
}

void px_doctor_modules(struct px_doctor *doctor, struct px_finding *finding)
{
	static const char *const names[] = { "cloudpickle", "ipython", "ipykernel",
					     "jupyter-console", "tqdm" };
	const char *optional = px_json_member(px_json_parse(doctor->facts), "optional");
	char there[512] = "", missing[512] = "", version[64];
	size_t used = 0, missed = 0;

	if (nothing_known(doctor, finding))
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (px_json_string(px_json_member(optional, names[i]), version, sizeof(version)))
			used += (size_t)snprintf(there + used, sizeof(there) - used, "%s%s %s",
						 used ? ", " : "", names[i], version);
		else
			missed += (size_t)snprintf(missing + missed, sizeof(missing) - missed,
						   "%s%s", missed ? ", " : "", names[i]);
	}
	px_doctor_found(finding, "%s", used ? there : "none of the optional ones");
	if (missed)
		px_doctor_advise(finding, PX_DOCTOR_NOTE,
				 "not installed: %s; what they are for: pxrun(7)", missing);
}
