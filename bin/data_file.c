/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * data_file.c - reads files whole, and writes them whole or not at all.
 */
#include "bin/data_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* A file without a name, of which nothing is left whatever happens; where there are none, one that has it. */
static int open_temporary(struct px_data_file *file)
{
	char folder[PATH_MAX];
	const char *last = strrchr(file->place, '/');

	snprintf(folder, sizeof(folder), "%.*s", last ? (int)(last - file->place) + 1 : 1,
		 last ? file->place : ".");
	file->fd = open(folder, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
	file->nameless = file->fd >= 0;
	if (file->fd < 0)
		file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	return file->fd;
}

/* Begins a file beside the one that is named, or, behind symbolic links, meant. */
static int begin_beside(const char *path, struct px_data_file *file)
{
	struct stat st;

	if (!realpath(path, file->place) &&
	    snprintf(file->place, sizeof(file->place), "%s", path) >= (int)sizeof(file->place))
		return px_fail(PX_EINVAL, "the name of the file is too long");
	if (snprintf(file->temporary, sizeof(file->temporary), "%s.%d", file->place,
		     (int)getpid()) >= (int)sizeof(file->temporary))
		return px_fail(PX_EINVAL, "the name of the file is too long");
	if (open_temporary(file) < 0)
		return px_fail_errno("making a file beside '%s'", path);
	if (stat(file->place, &st) == 0)
		(void)fchmod(file->fd, st.st_mode & 07777);
	return 0;
}

/* Gives a file that has none the name that it has for a moment. */
static int name_it(struct px_data_file *file)
{
	char self[40];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", file->fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, file->temporary, AT_SYMLINK_FOLLOW) < 0)
		return px_fail_errno("writing '%s'", file->path);
	file->nameless = false;
	return 0;
}

int px_data_file_begin(const char *path, struct px_data_file *out)
{
	struct stat st;

	*out = (struct px_data_file){ .fd = STDOUT_FILENO, .path = "standard output" };
	if (!path || !strcmp(path, "-"))
		return 0;
	out->path = path;
	if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		return begin_beside(path, out);
	out->fd = open(path, O_WRONLY | O_CLOEXEC);
	return out->fd < 0 ? px_fail_errno("writing '%s'", path) : 0;
}

int px_data_file_write(struct px_data_file *file, const void *data, size_t bytes)
{
	const char *from = data;

	while (bytes) {
		ssize_t put = write(file->fd, from, bytes);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return px_fail_errno("writing '%s'", file->path);
		from += put;
		bytes -= (size_t)put;
	}
	return 0;
}

int px_data_file_end(struct px_data_file *file, int rc)
{
	if (file->fd == STDOUT_FILENO)
		return rc;
	if (rc == 0 && file->nameless)
		rc = name_it(file);
	if (close(file->fd) < 0 && rc == 0)
		rc = px_fail_errno("writing '%s'", file->path);
	if (rc == 0 && file->place[0] && rename(file->temporary, file->place) < 0)
		rc = px_fail_errno("writing '%s'", file->path);
	if (rc < 0 && file->place[0] && !file->nameless)
		(void)unlink(file->temporary);
	return rc;
}
