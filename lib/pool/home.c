/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * home.c - finds the user's home folder.
 */
#include "pool/home.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shm/error.h"

int px_home_path(const char *suffix, char *out, size_t out_bytes)
{
	const char *home = getenv("HOME");
	const struct passwd *user;

	if (!home || home[0] != '/') {
		user = getpwuid(getuid());
		if (!user)
			return px_fail(PX_ESYSTEM, "no home folder is known: set HOME");
		home = user->pw_dir;
	}
	if ((size_t)snprintf(out, out_bytes, "%s%s", home, suffix) >= out_bytes)
		return px_fail(PX_EINVAL, "the path ~%.80s is too long", suffix);
	return 0;
}
