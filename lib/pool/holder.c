/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holder.c - finds pools by the processes of their supervisors.
 */
#include "pool/holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_BYTES 160 /* what is in a lock: a pid and a folder */

struct search {
	int (*each)(void *ctx, const char *folder, pid_t pid);
	void *ctx;
};

/* "PID\nFOLDER\n" */
static const char *folder_in(int lock_fd, pid_t pid, char *text)
{
	ssize_t length = pread(lock_fd, text, LOCK_BYTES - 1, 0);
	char *folder, *end;

	text[length > 0 ? length : 0] = '\0';
	if (strtol(text, &folder, 10) != pid || *folder != '\n' || folder[1] != '/')
		return NULL;
	end = strchr(folder + 1, '\n');
	if (!end)
		return NULL;
	*end = '\0';
	return folder + 1;
}

static bool is_locked(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* By its name, which it may have lost. */
static bool may_be_lock(const char *path)
{
	static const char *const ends[] = { "/lock", "/lock (deleted)" };
	size_t length = strlen(path);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (length > strlen(ends[i]) && !strcmp(path + length - strlen(ends[i]), ends[i]))
			return true;
	return false;
}

static int look_at_file(const struct search *search, pid_t pid, int files, const char *name)
{
	char path[4096], text[LOCK_BYTES];
	ssize_t length = readlinkat(files, name, path, sizeof(path) - 1);
	const char *folder;
	struct stat st;
	int fd, rc = 0;

	if (length <= 0)
		return 0;
	path[length] = '\0';
	if (!may_be_lock(path))
		return 0;
	fd = openat(files, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return 0;
	folder = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && is_locked(fd) ?
			 folder_in(fd, pid, text) :
			 NULL;
	if (folder)
		rc = search->each(search->ctx, folder, pid);
	close(fd);
	return rc;
}

/* A supervisor is named "pxrun: PROFILE", and "pxrun" just before. */
static bool may_be_supervisor(int proc, const char *pid)
{
	char path[280], name[6] = "";
	struct stat st;
	int fd;

	if (fstatat(proc, pid, &st, 0) < 0 || st.st_uid != getuid())
		return false;
	snprintf(path, sizeof(path), "%s/comm", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	close(fd);
	return !strcmp(name, "pxrun");
}

static int look_at_process(const struct search *search, int proc, const char *pid)
{
	char path[280];
	struct dirent *entry;
	DIR *files = NULL;
	int fd, rc = 0;

	if (!may_be_supervisor(proc, pid))
		return 0;
	snprintf(path, sizeof(path), "%s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		files = fdopendir(fd);
	if (!files) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (rc == 0 && (entry = readdir(files)))
		rc = look_at_file(search, atoi(pid), dirfd(files), entry->d_name);
	closedir(files);
	return rc;
}

int px_holder_each(int (*each)(void *ctx, const char *folder, pid_t pid), void *ctx)
{
	const struct search search = { each, ctx };
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int rc = 0;

	if (!proc)
		return 0;
	while (rc == 0 && (entry = readdir(proc)))
		if (atoi(entry->d_name) > 0 && atoi(entry->d_name) != getpid())
			rc = look_at_process(&search, dirfd(proc), entry->d_name);
	closedir(proc);
	return rc;
}

static int is_it(void *ctx, const char *folder, pid_t pid)
{
	const struct px_runtime *runtime = ctx;

	return strcmp(folder, runtime->folder) ? 0 : pid;
}

pid_t px_holder_find(const struct px_runtime *runtime)
{
	struct px_runtime wanted = *runtime;

	return px_holder_each(is_it, &wanted);
}
