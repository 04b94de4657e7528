/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * targets.c - reads ids of engines.
 */
#include "bin/targets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/error.h"

int px_targets_parse(const char *text, struct px_targets *out)
{
	out->count = 0;
	if (!strcmp(text, "all"))
		return 0;
	for (const char *at = text;; at++) {
		char *end;
		unsigned long id;

		errno = 0;
		id = strtoul(at, &end, 10);
		if (*at < '0' || *at > '9' || errno || id >= PX_ENGINES_MAX ||
		    (*end && *end != ','))
			return px_fail(
				PX_EINVAL,
				"-t must be 'all' or ids of engines separated by commas, such "
				"as 0,2, not '%.80s'",
				text);
		for (size_t i = 0; i < out->count; i++)
			if (out->ids[i] == id)
				return px_fail(PX_EINVAL, "-t names engine %lu twice", id);
		out->ids[out->count++] = (uint32_t)id;
		if (!*end)
			return 0;
		at = end;
	}
}

int px_targets_find(struct px_client *client, struct px_targets *targets)
{
	int count, rc = 0;

	for (size_t i = 0; rc == 0 && i < targets->count; i++)
		rc = px_client_check_engine(client, targets->ids[i]);
	if (targets->count)
		return rc;
	count = px_client_engines(client, targets->ids, PX_ENGINES_MAX);
	if (count == 0)
		return px_client_no_engines(client);
	targets->count = count > 0 ? (size_t)count : 0;
	return count < 0 ? count : 0;
}
