/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * process_name.c - reads the name of a process, which any process may choose.
 */
#include "bin/process_name.h"

#include <ctype.h>
#include <stdio.h>

const char *px_process_name(int pid, char out[PX_PROCESS_NAME_BYTES])
{
	char path[40];
	size_t length = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (file) {
		length = fread(out, 1, PX_PROCESS_NAME_BYTES - 1, file);
		fclose(file);
	}
	/* A newline ends it, and is one more byte only where the name is the longest that can be. */
	if (length && out[length - 1] == '\n')
		length--;
	out[length] = '\0';
	for (char *at = out; *at; at++)
		if (iscntrl((unsigned char)*at))
			*at = '?';
	return out;
}
