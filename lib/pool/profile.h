/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * profile.h - what a user has written down about how a pool shall start.
 *
 * $XDG_CONFIG_HOME/pxrun/NAME.yaml, else ~/.config/pxrun/NAME.yaml; pxrun.yaml(5)
 * describes the keys. A file that is not there is a profile with nothing set. An
 * error names file, line and key, and says what is allowed.
 */
#ifndef PX_PROFILE_H
#define PX_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#define PX_PROFILE_FILE_BYTES_MAX 65536

/* What is not set is 0, NULL, or -1 for pin. */
struct px_profile {
	uint32_t engines;
	uint64_t arena_bytes, quota_bytes;
	const char *restart;    /* "never", "on-failure", "always"; static */
	const char *event_loop; /* "auto", "io_uring", "epoll"; static */
	const char *huge_pages; /* "auto", "never"; static */
	char *python;
	char *preload; /* modules separated by commas; "" none */
	char **env;    /* "NAME=value", NULL at the end */
	size_t env_count;
	int pin;
};

/* Path of a profile's file. PX_EINVAL: too long; PX_ESYSTEM: no home folder. */
int px_profile_path(const char *name, char *out, size_t out_bytes);
/* Reads the file of a profile, whose name px_runtime_find() has accepted. Free what it
 * sets by px_profile_clear(). PX_EINVAL, PX_ENOMEM, PX_ESYSTEM. */
int px_profile_load(const char *name, struct px_profile *out);
/* The same for a text in memory; file is its name in errors. */
int px_profile_parse(const char *file, const char *text, size_t bytes, struct px_profile *out);
void px_profile_clear(struct px_profile *profile);

#endif
