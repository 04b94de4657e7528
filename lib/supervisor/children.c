/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * children.c - reads /proc for children.
 */
#include "supervisor/children.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool zombie(pid_t pid)
{
	char path[32], line[512];
	const char *name_end = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return true;
	/* The state follows the name, which may contain anything. */
	if (fgets(line, sizeof(line), file))
		name_end = strrchr(line, ')');
	fclose(file);
	return name_end && !strncmp(name_end, ") Z", 3);
}

size_t px_children_list(pid_t *out, size_t max)
{
	FILE *file = fopen("/proc/thread-self/children", "re");
	size_t count = 0;
	int pid;

	while (file && count < max && fscanf(file, "%d", &pid) == 1)
		if (!zombie(pid))
			out[count++] = pid;
	if (file)
		fclose(file);
	return count;
}

const char *px_children_name(pid_t pid, char *out, size_t out_bytes)
{
	char path[32];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	snprintf(out, out_bytes, "?");
	file = fopen(path, "re");
	if (!file)
		return out;
	if (fgets(out, (int)out_bytes, file))
		out[strcspn(out, "\n")] = '\0';
	fclose(file);
	return out;
}
