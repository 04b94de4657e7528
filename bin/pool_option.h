/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool_option.h - the options for a pool's settings, common to start and run.
 */
#ifndef PX_POOL_OPTION_H
#define PX_POOL_OPTION_H

#include <getopt.h>

#include "bin/command.h"
#include "pool/settings.h"

/* What getopt_long(3) is to give for a verb's own options that have no letter: from here on. */
#define PX_OPTION_OWN 512

/* Options of a verb beside the settings, and --help. */
struct px_own_options {
	const char *letters; /* as for getopt_long(3) */
	const struct option *list;
	uint32_t count;
	/* Takes one. 0, or PX_EINVAL. */
	int (*take)(void *ctx, int option, const char *value);
	void *ctx;
};

/*
 * Reads a command line: the verb's settings into *settings, as options, and its own. 0: optind is
 * that of the first argument. Else there is nothing to be done but px_pool_options_end(): PX_EINVAL,
 * or a positive number.
 */
int px_pool_options_read(const struct px_verb *verb, int argc, char **argv,
			 const struct px_own_options *own, struct px_settings *settings);
/* Prints help or error. Returns an exit code. */
int px_pool_options_end(const struct px_verb *verb, int rc);
/* The lines of help on the verb's settings. */
void px_pool_options_help(const struct px_verb *verb, FILE *to);
/* A number of seconds. PX_EINVAL. */
int px_seconds_option(const char *name, const char *value, uint64_t *timeout_ns);

#endif
