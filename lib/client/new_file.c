/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * new_file.c - writes files that are there whole or not at all.
 */
#include "client/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/error.h"

/* A file without a name, of which nothing is left whatever happens; where there are none, one that has it. */
static int open_temporary(struct px_new_file *file)
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

#define LINKS_MAX 40 /* as Linux has it */

/* What a symbolic link says, seen from where it is, in its place. 1; 0: it is none. */
static int follow(char place[PATH_MAX])
{
	char says[PATH_MAX], link[PATH_MAX];
	ssize_t length = readlink(place, says, sizeof(says) - 1);
	const char *last = strrchr(place, '/');
	int folder;

	if (length < 0)
		return 0;
	says[length] = '\0';
	folder = last && says[0] != '/' ? (int)(last - place) + 1 : 0;
	memcpy(link, place, PATH_MAX);
	if (snprintf(place, PATH_MAX, "%.*s%s", folder, link, says) >= PATH_MAX)
		return px_fail(PX_EINVAL, "the name of the file is too long");
	return 1;
}

/* The file that is named, or, behind symbolic links, meant: it need not be there. */
static int find_place(const char *path, char place[PATH_MAX])
{
	int links = 0, rc;

	if (realpath(path, place))
		return 0;
	if (snprintf(place, PATH_MAX, "%s", path) >= PATH_MAX)
		return px_fail(PX_EINVAL, "the name of the file is too long");
	do
		rc = follow(place);
	while (rc > 0 && ++links < LINKS_MAX);
	if (rc <= 0)
		return rc;
	errno = ELOOP;
	return px_fail_errno("writing '%s'", path);
}

/* Begins a file beside that one. */
static int begin_beside(const char *path, struct px_new_file *file)
{
	static _Atomic uint32_t count;
	struct stat st;
	int rc = find_place(path, file->place);

	if (rc < 0)
		return rc;
	if (snprintf(file->temporary, sizeof(file->temporary), "%s.%d-%u", file->place,
		     (int)getpid(), atomic_fetch_add_explicit(&count, 1, memory_order_relaxed)) >=
	    (int)sizeof(file->temporary))
		return px_fail(PX_EINVAL, "the name of the file is too long");
	if (open_temporary(file) < 0)
		return px_fail_errno("making a file beside '%s'", path);
	if (stat(file->place, &st) == 0)
		(void)fchmod(file->fd, st.st_mode & 07777);
	return 0;
}

static int put_in_place(const struct px_new_file *file)
{
	if (rename(file->temporary, file->place) < 0)
		return px_fail_errno("writing '%s'", file->path);
	return 0;
}

/*
 * A file without a name cannot take that of another at once: it has one of its own until the next system call, and
 * who is killed between the two leaves a whole file under it.
 */
static int put_nameless_in_place(struct px_new_file *file)
{
	char self[40];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", file->fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, file->temporary, AT_SYMLINK_FOLLOW) < 0)
		return px_fail_errno("writing '%s'", file->path);
	if (put_in_place(file) == 0)
		return 0;
	file->nameless = false;
	return PX_ESYSTEM;
}

int px_new_file_begin(const char *path, struct px_new_file *out)
{
	struct stat st;

	*out = (struct px_new_file){ .path = path };
	if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		return begin_beside(path, out);
	out->fd = open(path, O_WRONLY | O_CLOEXEC);
	return out->fd < 0 ? px_fail_errno("writing '%s'", path) : 0;
}

int px_write_all(int fd, const void *data, size_t bytes, const char *path)
{
	const char *from = data;

	while (bytes) {
		ssize_t put = write(fd, from, bytes);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return px_fail_errno("writing '%s'", path);
		from += put;
		bytes -= (size_t)put;
	}
	return 0;
}

int px_new_file_end(struct px_new_file *file, int rc)
{
	if (rc == 0 && file->nameless)
		rc = put_nameless_in_place(file);
	if (close(file->fd) < 0 && rc == 0)
		rc = px_fail_errno("writing '%s'", file->path);
	if (rc == 0 && file->place[0] && !file->nameless)
		rc = put_in_place(file);
	if (rc < 0 && file->place[0] && !file->nameless)
		(void)unlink(file->temporary);
	return rc;
}
