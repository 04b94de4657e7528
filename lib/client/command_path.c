/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command_path.c - finds the command pxrun.
 */
#include "client/command_path.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND "/bin/pxrun"

/* Of the libraries' own folders, the deepest is PREFIX/lib/python3.N/site-packages/pxrun/.libs. */
#define LEVELS_MAX 6

static bool find_above(const char *file, char *out)
{
	size_t length = strlen(file);
	char *slash;

	if (file[0] != '/' || length + sizeof(COMMAND) > PATH_MAX)
		return false;
	memcpy(out, file, length + 1);
	for (int level = 0; level < LEVELS_MAX && (slash = strrchr(out, '/')); level++) {
		memcpy(slash, COMMAND, sizeof(COMMAND));
		if (access(out, X_OK) == 0)
			return true;
		*slash = '\0';
	}
	return false;
}

const char *px_command_path(const char *command, char *out)
{
	/* An address that is this object's own: a function's may be that of another one. */
	static const char here;
	Dl_info info;

	if (!command)
		command = getenv("PXRUN_COMMAND");
	if (command)
		return command;
	if (dladdr(&here, &info) && info.dli_fname && find_above(info.dli_fname, out))
		return out;
	return access(PX_BINDIR "/pxrun", X_OK) == 0 ? PX_BINDIR "/pxrun" : "pxrun";
}
