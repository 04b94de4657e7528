/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command_line.c - the command lines of template and engines.
 */
#include "supervisor/command_line.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add(struct px_command_line *command, const char *argument)
{
	command->argv[command->count++] = (char *)(uintptr_t)argument;
}

static void add_option(struct px_command_line *command, const char *option, const char *value)
{
	add(command, option);
	add(command, value);
}

/*
 * A program in the folder of our own, as in a build tree; else the installed one. Found once, and a
 * supervisor has one kind of engines: who installs pxrun anew while we run moves our program away before
 * it is deleted.
 */
static const char *find_program(const char *name, char *found)
{
	size_t name_bytes = strlen(name) + 1;
	ssize_t length;
	char *slash;

	if (found[0])
		return found;
	length = readlink("/proc/self/exe", found, PATH_MAX - name_bytes);
	if (length > 0) {
		found[length] = '\0';
		slash = strrchr(found, '/');
		if (slash) {
			memcpy(slash + 1, name, name_bytes);
			if (access(found, X_OK) == 0)
				return found;
		}
	}
	snprintf(found, PATH_MAX, "%s/%s", PX_BINDIR, name);
	return found;
}

const char *px_command_line_self(void)
{
	static char found[PATH_MAX];

	return find_program("pxrun", found);
}

/* The interpreter that is named; NULL: none, so that of pxrun-engine. */
static const char *find_python(struct px_command_line *command,
			       const struct px_supervisor_options *options)
{
	const char *python = px_settings_text(options->settings, PX_SETTING_PYTHON);
	const char *environment = getenv("VIRTUAL_ENV");

	if (python || options->client_python)
		return python ? python : options->client_python;
	if (!environment || environment[0] != '/')
		return NULL;
	snprintf(command->python, sizeof(command->python), "%s/bin/python", environment);
	/* One that was deleted since is not active for the shell, either. */
	return access(command->python, X_OK) == 0 ? command->python : NULL;
}

void px_command_line_begin(struct px_command_line *command,
			   const struct px_supervisor_options *options, const char *mode)
{
	const char *sys_path = px_settings_text(options->settings, PX_SETTING_SYS_PATH);
	const char *startup = px_settings_text(options->settings, PX_SETTING_STARTUP);
	static char program[PATH_MAX];
	const char *python;

	*command = (struct px_command_line){ .count = 0 };
	if (options->engine_program) {
		add(command, options->engine_program);
	} else if (px_settings_number(options->settings, PX_SETTING_NATIVE)) {
		add(command, find_program("pxrun-native", program));
	} else {
		python = find_python(command, options);
		if (python)
			add(command, python);
		add(command, find_program("pxrun-engine", program));
	}
	add(command, mode);
	add_option(command, "--control", "3");
	add_option(command, "--version", PX_VERSION);
	add_option(command, "--preload", px_settings_text(options->settings, PX_SETTING_PRELOAD));
	add_option(command, "--pool", options->runtime.profile);
	if (sys_path)
		add_option(command, "--sys-path", sys_path);
	if (startup)
		add_option(command, "--startup", startup);
	px_command_line_number(command, "--niceness",
			       px_settings_number(options->settings, PX_SETTING_NICENESS));
	px_command_line_number(command, "--max-tasks",
			       px_settings_number(options->settings, PX_SETTING_MAX_TASKS));
	px_command_line_number(command, "--max-memory",
			       px_settings_number(options->settings, PX_SETTING_MAX_MEMORY));
}

void px_command_line_number(struct px_command_line *command, const char *option, uint64_t value)
{
	char *text = command->numbers[command->numbers_count++];

	snprintf(text, sizeof(command->numbers[0]), "%" PRIu64, value);
	add_option(command, option, text);
}
