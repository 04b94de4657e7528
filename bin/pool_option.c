/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool_option.c - parses the options of a pool.
 */
#include "bin/pool_option.h"

#include <math.h>
#include <stdlib.h>

#include "pool/setting.h"
#include "shm/error.h"

#define SECONDS_MAX 1e9

int px_pool_option(int option, const char *value, struct px_pool_options *options)
{
	int rc;

	switch (option) {
	case 'n':
		return px_setting_engines("-n", value, &options->engines);
	case PX_OPTION_ARENA:
		return px_setting_arena("--arena", value, &options->arena_bytes);
	case PX_OPTION_QUOTA:
		return px_setting_arena("--quota", value, &options->quota_bytes);
	case PX_OPTION_HUGE_PAGES:
		return px_setting_huge_pages("--huge-pages", value, &options->huge_pages);
	case PX_OPTION_RESTART:
		return px_setting_restart("--restart", value, &options->restart);
	case PX_OPTION_EVENT_LOOP:
		return px_setting_event_loop("--event-loop", value, &options->event_loop);
	case PX_OPTION_PRELOAD:
		rc = px_setting_preload("--preload", value);
		if (rc == 0)
			options->preload = value;
		return rc;
	case PX_OPTION_PYTHON:
		options->python = value;
		return 0;
	default:
		return 1;
	}
}

int px_seconds_option(const char *name, const char *value, uint64_t *timeout_ns)
{
	char *end;
	double seconds = strtod(value, &end);

	if (end == value || *end || !isfinite(seconds) || seconds < 0 || seconds > SECONDS_MAX)
		return px_fail(PX_EINVAL, "%s must be a number of seconds, not '%.80s'", name,
			       value);
	*timeout_ns = (uint64_t)(seconds * 1e9);
	return 0;
}
