/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * profile.h - reads the settings in a profile's file.
 *
 * Who:     `pxrun start`, before it becomes the supervisor, and verbs that show what it would read.
 * Where:   $XDG_CONFIG_HOME/pxrun/NAME.yaml, else ~/.config/pxrun/NAME.yaml; pxrun.yaml(5) describes
 *          the keys.
 * Blocks:  while it reads the file.
 *
 * Without a file nothing is set. An error names file, line, column and key, and says what is
 * allowed.
 */
#ifndef PX_PROFILE_H
#define PX_PROFILE_H

#include <stddef.h>

#include "pool/runtime.h"
#include "pool/settings.h"

#define PX_PROFILE_FILE_BYTES_MAX 65536

/* Path of a profile's file. PX_EINVAL: too long; PX_ESYSTEM: no home folder. */
int px_profile_path(const char *name, char *out, size_t out_bytes);
/*
 * Reads the file of a profile, whose name px_runtime_find() has accepted, into settings; what
 * options or the environment have set stays. After a failure some of the profile may be set.
 * PX_EINVAL, whose words name what shows all errors; PX_ENOMEM, PX_ESYSTEM.
 */
int px_profile_load(const char *name, struct px_settings *settings);

/* Is told each error of a text; reading goes on behind it, and returns PX_EINVAL at the end. */
struct px_profile_listener {
	void (*error)(void *ctx, const char *words);
	void *ctx;
};

/* Reads the file at a path, which must be there. Without a listener (NULL) the first error is the end. */
int px_profile_read(const char *path, struct px_settings *settings,
		    const struct px_profile_listener *listener);
/* The same for a text in memory; file is its name in errors. */
int px_profile_parse(const char *file, const char *text, size_t bytes, struct px_settings *settings,
		     const struct px_profile_listener *listener);
/*
 * Calls each(ctx, runtime, path) for every profile that has a file, in the order of their names, until it is
 * not 0: that. PX_ESYSTEM, PX_EPERM.
 */
int px_profile_list(int (*each)(void *ctx, const struct px_runtime *runtime, const char *path),
		    void *ctx);

#endif
