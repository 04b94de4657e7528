/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * environment.c - the engines' environment.
 */
#include "supervisor/environment.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/error.h"

static const char *const thread_counts[] = {
	"OMP_NUM_THREADS",
	"OPENBLAS_NUM_THREADS",
	"MKL_NUM_THREADS",
	"NUMEXPR_NUM_THREADS",
};
#define THREAD_COUNTS (sizeof(thread_counts) / sizeof(thread_counts[0]))

static size_t length(char *const *environment)
{
	size_t count = 0;

	while (environment && environment[count])
		count++;
	return count;
}

/* The place of a variable, NULL if it is not there; setting is "NAME" or "NAME=value". */
static char **find(char **environment, const char *setting)
{
	size_t name = strcspn(setting, "=");

	for (; *environment; environment++)
		if (!strncmp(*environment, setting, name) && (*environment)[name] == '=')
			return environment;
	return NULL;
}

/* The array has room. */
static bool set(char **environment, const char *setting)
{
	char **place = find(environment, setting);
	char *copy = strdup(setting);

	if (!copy)
		return false;
	if (place)
		free(*place);
	else
		place = environment + length(environment);
	*place = copy;
	return true;
}

int px_environment_new(char *const *own, char *const *profile, uint32_t threads,
		       const char *connection, char ***out)
{
	size_t room = length(own) + length(profile) + THREAD_COUNTS + 2;
	char **environment = calloc(room, sizeof(*environment));
	bool done = environment != NULL;
	char setting[160];

	/* Copies of our own, as they are: even if a name is there twice. */
	for (size_t i = 0; done && own && own[i]; i++)
		done = (environment[i] = strdup(own[i])) != NULL;
	for (size_t i = 0; done && profile && profile[i]; i++)
		done = set(environment, profile[i]);
	for (size_t i = 0; done && i < THREAD_COUNTS; i++) {
		if (find(environment, thread_counts[i]))
			continue;
		snprintf(setting, sizeof(setting), "%s=%u", thread_counts[i], threads);
		done = set(environment, setting);
	}
	snprintf(setting, sizeof(setting), "PXRUN_CONNECTION=%s", connection);
	done = done && set(environment, setting);
	if (!done) {
		px_environment_free(environment);
		return px_fail(PX_ENOMEM, "no private memory for the engines' environment");
	}
	*out = environment;
	return 0;
}

void px_environment_free(char **environment)
{
	for (size_t i = 0; environment && environment[i]; i++)
		free(environment[i]);
	free(environment);
}
