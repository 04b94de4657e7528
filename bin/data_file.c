/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * data_file.c - files that may be a standard stream.
 */
#include "bin/data_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/error.h"

/* --- reading --- */

int px_data_open(const char *path)
{
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) :
				     fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);

	if (fd < 0 && errno == ENOENT)
		return px_fail(PX_EINVAL, "there is no file '%s'", path);
	return fd < 0 ? px_fail_errno("opening '%s'", path) : fd;
}

int px_data_read(int fd, const char *path, char **out, size_t *bytes)
{
	size_t room = 65536, used = 0;
	char *text = malloc(room);

	while (text) {
		ssize_t got = read(fd, text + used, room - used);
		char *grown;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(text);
			return px_fail_errno("reading '%s'", path);
		}
		if (got == 0) {
			*out = text;
			*bytes = used;
			return 0;
		}
		used += (size_t)got;
		if (used < room)
			continue;
		room *= 2;
		grown = realloc(text, room);
		if (!grown)
			free(text);
		text = grown;
	}
	return px_fail(PX_ENOMEM, "no private memory for what is in '%s'", path);
}

/* --- writing --- */

int px_data_file_begin(const char *path, struct px_new_file *out)
{
	if (path && strcmp(path, "-") != 0)
		return px_new_file_begin(path, out);
	*out = (struct px_new_file){ .fd = STDOUT_FILENO, .path = "standard output" };
	return 0;
}

int px_data_file_end(struct px_new_file *file, int rc)
{
	return file->fd == STDOUT_FILENO ? rc : px_new_file_end(file, rc);
}
