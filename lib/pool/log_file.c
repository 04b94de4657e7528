/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_file.c - begins a log, and keeps one that has become too long.
 */
#include "pool/log_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "shm/error.h"

#define APPEND (O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK)

int px_log_file_begin(const struct px_runtime *runtime, const char *elsewhere, int *fd)
{
	char path[128], kept[128];

	px_runtime_path(runtime, "log", path, sizeof(path));
	(void)unlink(path);
	(void)unlink(px_runtime_path(runtime, "log.1", kept, sizeof(kept)));
	if (elsewhere && symlink(elsewhere, path) < 0)
		return px_fail_errno("making %s", path);
	*fd = open(path, elsewhere ? APPEND : APPEND | O_NOFOLLOW, 0600);
	return *fd < 0 ? px_fail_errno("opening the log %s", elsewhere ? elsewhere : path) : 0;
}

static bool too_long(int fd, const struct stat *file)
{
	struct statvfs all;

	if (file->st_size <= PX_LOG_LEAST_BYTES)
		return false;
	return file->st_size > PX_LOG_MAX_BYTES ||
	       (fstatvfs(fd, &all) == 0 &&
		(uint64_t)file->st_size > (uint64_t)all.f_blocks * all.f_frsize / 16);
}

static bool is_kept(const struct stat *file)
{
	return !(file->st_mode & S_IWUSR);
}

static bool same_file(int fd, const struct stat *file)
{
	struct stat other;

	return fstat(fd, &other) == 0 && other.st_dev == file->st_dev &&
	       other.st_ino == file->st_ino;
}

/* The name under which the file was opened, also when it has lost that since. False: it never had one. */
static bool find_path(int fd, char *out)
{
	static const char gone[] = " (deleted)";
	char link[32];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, out, PATH_MAX - 1);
	if (length < 0)
		return false;
	out[length] = '\0';
	if ((size_t)length > strlen(gone) && !strcmp(out + length - strlen(gone), gone))
		out[(size_t)length - strlen(gone)] = '\0';
	return out[0] == '/' && strncmp(out, "/memfd:", strlen("/memfd:")) != 0;
}

/* With the lock. At each moment both names are of a file, or the old one has no second name yet. */
static void exchange(int old, const char *path)
{
	char kept[PATH_MAX + 8], new[PATH_MAX + 8];
	int fd;

	snprintf(kept, sizeof(kept), "%s.1", path);
	snprintf(new, sizeof(new), "%s.new", path);
	fd = open(new, APPEND | O_NOFOLLOW | O_TRUNC, 0600);
	if (fd < 0)
		return;
	close(fd);
	(void)unlink(kept);
	if (link(path, kept) < 0 || rename(new, path) < 0)
		(void)unlink(new);
	else
		(void)fchmod(old, 0400);
}

/* Whether the path is still that file's: only who has the file's lock gives it to another. */
static bool named(const char *path, const struct stat *file)
{
	struct stat now;

	return lstat(path, &now) == 0 && now.st_dev == file->st_dev && now.st_ino == file->st_ino;
}

/* Nothing while another process does it, or when it has since the file was looked at. */
static void rotate(const struct stat *file, const char *path)
{
	/* Opened again: engines share the first descriptor's description, and so its locks. */
	int again = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (again < 0)
		return;
	if (flock(again, LOCK_EX | LOCK_NB) == 0 && same_file(again, file) && named(path, file))
		exchange(again, path);
	close(again);
}

static bool reopen(int fd, const char *path)
{
	int new = open(path, APPEND | O_NOFOLLOW, 0600);
	struct stat file;
	bool better = new >= 0 && fstat(new, &file) == 0 && S_ISREG(file.st_mode) &&
		      !is_kept(&file) && !same_file(fd, &file) && dup3(new, fd, O_CLOEXEC) == fd;

	if (new >= 0)
		close(new);
	return better;
}

bool px_log_file_renew(int fd)
{
	char path[PATH_MAX];
	struct stat file;
	bool lost;

	if (fstat(fd, &file) < 0 || !S_ISREG(file.st_mode))
		return false;
	lost = is_kept(&file) || !file.st_nlink;
	if ((!lost && !too_long(fd, &file)) || !find_path(fd, path))
		return false;
	if (!lost)
		rotate(&file, path);
	return reopen(fd, path);
}
