/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * runtime.c - finds, locks, lists and cleans the folders of pools.
 */
#include "pool/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/holder.h"
#include "pool/json.h"
#include "shm/error.h"
#include "shm/killpoint.h"

#define CONNECTION_BYTES_MAX 8192
#define KERNEL_SOCKETS 5

/* In the order in which they are removed: first the logs, then the lock at the last. */
static const char *const pool_files[] = { "log",     "log.1",           "log.new", "bound",
					  "control", "connection.json", "lock" };
#define POOL_FILES (sizeof(pool_files) / sizeof(pool_files[0]))
#define LOGS 3

static const char private_prefix[] = "private-";
#define PRIVATE_LOGS_MAX 8

/* --- names --- */

static bool name_valid(const char *name)
{
	size_t length = strlen(name);

	return length >= 1 && length < sizeof(((struct px_runtime *)NULL)->profile) &&
	       name[0] != '.' &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
		       length;
}

int px_runtime_check_name(const char *name)
{
	if (name_valid(name))
		return 0;
	return px_fail(PX_EINVAL,
		       "'%.80s' is no profile name: 1 to 63 letters, digits, '.', '_' and '-', the "
		       "first of them not a '.'",
		       name);
}

/* The folder that has the folders of all profiles. */
static void find_root(char *out, size_t out_bytes)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	/* By the XDG specification a path that is not absolute is ignored. */
	if (base && base[0] == '/')
		snprintf(out, out_bytes, "%s/pxrun", base);
	else
		snprintf(out, out_bytes, "/tmp/pxrun-%u", (unsigned)getuid());
}

/* --- folders, whose owner and mode are checked --- */

/* PX_EPERM if the folder exists and is not ours; *there says whether it exists. */
static int check_folder(const char *path, bool *there)
{
	struct stat st;

	*there = false;
	if (lstat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 :
							     px_fail_errno("looking at %s", path);
	*there = true;
	if (S_ISLNK(st.st_mode))
		return px_fail(PX_EPERM,
			       "%s is a symbolic link: pxrun keeps its files in a folder "
			       "of its own, remove the link",
			       path);
	if (!S_ISDIR(st.st_mode))
		return px_fail(PX_EPERM, "%s is not a folder: remove it", path);
	if (st.st_uid != getuid())
		return px_fail(PX_EPERM,
			       "%s belongs to user %u, and you are user %u: set "
			       "XDG_RUNTIME_DIR to a folder of yours",
			       path, (unsigned)st.st_uid, (unsigned)getuid());
	if ((st.st_mode & 07777) != 0700)
		return px_fail(PX_EPERM,
			       "%s has mode %04o, so others may reach the pool: it must be "
			       "0700 (chmod 700 %s)",
			       path, st.st_mode & 07777, path);
	return 0;
}

static int make_folder(const char *path)
{
	bool there;
	int rc;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return px_fail_errno("making the folder %s", path);
	rc = check_folder(path, &there);
	if (rc == 0 && !there)
		return px_fail(PX_ESYSTEM, "the folder %s vanished as it was made", path);
	return rc;
}

/* Fills in profile and folder. PX_EINVAL if the folder's path is too long for a socket. */
static int name_folder(const char *root, const char *profile, struct px_runtime *out)
{
	char folder[8192];
	int length = snprintf(folder, sizeof(folder), "%s/%s", root, profile);

	if ((size_t)length >= sizeof(out->folder))
		return px_fail(PX_EINVAL,
			       "the path %s has %d bytes, and a socket's folder may have %zu: set "
			       "XDG_RUNTIME_DIR to a shorter one",
			       folder, length, sizeof(out->folder) - 1);
	memset(out, 0, sizeof(*out));
	memcpy(out->folder, folder, (size_t)length);
	memcpy(out->profile, profile, strlen(profile));
	return 0;
}

int px_runtime_find(const char *profile, bool create, struct px_runtime *out)
{
	struct px_runtime found;
	char root[4096];
	bool there;
	int rc;

	if (!profile) {
		profile = getenv("PXRUN_PROFILE");
		/* An empty name is refused only if it was given, not if $PXRUN_PROFILE is empty. */
		if (!profile || !profile[0])
			profile = "default";
	}
	find_root(root, sizeof(root));
	rc = px_runtime_check_name(profile);
	if (rc == 0)
		rc = name_folder(root, profile, &found);
	if (rc == 0)
		rc = create ? make_folder(root) : check_folder(root, &there);
	if (rc == 0)
		rc = create ? make_folder(found.folder) : check_folder(found.folder, &there);
	if (rc == 0)
		*out = found;
	return rc;
}

const char *px_runtime_path(const struct px_runtime *runtime, const char *file, char *out,
			    size_t out_bytes)
{
	snprintf(out, out_bytes, "%s/%s", runtime->folder, file);
	return out;
}

/* --- the lock --- */

static int pid_in(int lock_fd)
{
	char text[16] = "";

	if (pread(lock_fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return atoi(text);
}

static int already_runs(const struct px_runtime *runtime, pid_t pid)
{
	bool usual = !strcmp(runtime->profile, "default");

	return px_fail(
		PX_EEXIST,
		"a pool runs under the profile '%s' already (process %d): attach to it, stop it "
		"with `pxrun stop%s%s`, or start another with --profile NAME",
		runtime->profile, (int)pid, usual ? "" : " --profile ",
		usual ? "" : runtime->profile);
}

/* Whether the locked file still has its name: `pxrun list`, or a stop, may have removed it. */
static bool same_file(int fd, const char *path)
{
	struct stat mine, named;

	return fstat(fd, &mine) == 0 && lstat(path, &named) == 0 && mine.st_dev == named.st_dev &&
	       mine.st_ino == named.st_ino;
}

/* Whether a file is of an engine's kernel. */
static bool of_kernel(const char *name)
{
	int json = 0, socket = 0;

	(void)sscanf(name, "kernel-%*u.json%n", &json);
	(void)sscanf(name, "k%*u-%*1[1-5]%n", &socket);
	return (json && !name[json]) || (socket && !name[socket]);
}

static void remove_kernels(const struct px_runtime *runtime)
{
	DIR *dir = opendir(runtime->folder);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (of_kernel(entry->d_name))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

bool px_runtime_remove_kernel(const struct px_runtime *runtime, uint32_t engine)
{
	char name[32], path[sizeof(runtime->folder) + sizeof(name)];

	for (int i = 1; i <= KERNEL_SOCKETS; i++) {
		snprintf(name, sizeof(name), "k%u-%d", engine, i);
		(void)unlink(px_runtime_path(runtime, name, path, sizeof(path)));
	}
	snprintf(name, sizeof(name), "kernel-%u.json", engine);
	return unlink(px_runtime_path(runtime, name, path, sizeof(path))) == 0;
}

static void remove_stale(const struct px_runtime *runtime)
{
	char path[128];

	remove_kernels(runtime);
	(void)unlink(px_runtime_path(runtime, "control", path, sizeof(path)));
	(void)unlink(px_runtime_path(runtime, "connection.json", path, sizeof(path)));
}

/* By these a supervisor is found if the file is deleted: see holder.c. */
static int write_holder(const struct px_runtime *runtime, int fd)
{
	char text[16 + sizeof(runtime->folder)];
	int length = snprintf(text, sizeof(text), "%d\n%s\n", (int)getpid(), runtime->folder);

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)length, 0) != length)
		return px_fail_errno("writing %s/lock", runtime->folder);
	return 0;
}

/* A lock of the open file description, as by flock(2), but one that F_OFD_GETLK can query. */
static struct flock whole_file(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return lock;
}

/* The folder's file, locked. */
static int take_lock(const struct px_runtime *runtime, int *lock_fd)
{
	struct flock lock = whole_file();
	char path[128];
	int fd, rc;

	px_runtime_path(runtime, "lock", path, sizeof(path));
	for (;;) {
		/* The folder may have been removed as well. */
		rc = make_folder(runtime->folder);
		if (rc < 0)
			return rc;
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return px_fail_errno("opening %s", path);
		if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
			rc = errno == EAGAIN || errno == EACCES ?
				     already_runs(runtime, pid_in(fd)) :
				     px_fail_errno("locking %s", path);
			close(fd);
			return rc;
		}
		if (same_file(fd, path)) {
			*lock_fd = fd;
			return 0;
		}
		close(fd);
	}
}

int px_runtime_lock(const struct px_runtime *runtime, int *lock_fd)
{
	pid_t holder;
	int fd, rc = take_lock(runtime, &fd);

	if (rc < 0)
		return rc;
	/* Only now: a supervisor that comes to its lock's file while we have it tries again, and finds us gone. */
	holder = px_holder_find(runtime);
	rc = holder ? already_runs(runtime, holder) : write_holder(runtime, fd);
	if (rc < 0) {
		if (!holder)
			px_runtime_clean(runtime, false);
		close(fd);
		return rc;
	}
	remove_stale(runtime);
	*lock_fd = fd;
	return 0;
}

/* $XDG_RUNTIME_DIR may be gone as well. */
static int make_parents(const struct px_runtime *runtime)
{
	char root[sizeof(runtime->folder)], base[sizeof(root)];

	memcpy(root, runtime->folder, sizeof(root));
	*strrchr(root, '/') = '\0';
	memcpy(base, root, sizeof(base));
	*strrchr(base, '/') = '\0';
	(void)mkdir(base, 0700); /* if it cannot be made, what follows says so */
	return make_folder(root);
}

int px_runtime_relock(const struct px_runtime *runtime, int lock_fd)
{
	int fd, rc = make_parents(runtime);

	if (rc == 0)
		rc = take_lock(runtime, &fd);
	if (rc < 0)
		return rc;
	rc = write_holder(runtime, fd);
	PX_KILLPOINT("runtime.lock.retaken"); /* dead here: both locks are free, the file is left */
	/* The first lock is held until the second one is: there is no moment without. */
	if (rc == 0 && dup3(fd, lock_fd, O_CLOEXEC) < 0)
		rc = px_fail_errno("holding %s/lock", runtime->folder);
	close(fd);
	return rc;
}

bool px_runtime_holds(const struct px_runtime *runtime, int lock_fd)
{
	char path[128];

	return same_file(lock_fd, px_runtime_path(runtime, "lock", path, sizeof(path)));
}

static bool locked(const struct px_runtime *runtime)
{
	struct flock lock = whole_file();
	char path[128];
	int fd = open(px_runtime_path(runtime, "lock", path, sizeof(path)),
		      O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	bool held;

	if (fd < 0)
		return false;
	/*
	 * Only a query: taking the lock, even for a moment, could make a pool fail that is just
	 * starting.
	 */
	held = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return held;
}

bool px_runtime_alive(const struct px_runtime *runtime)
{
	return locked(runtime) || px_holder_find(runtime);
}

bool px_runtime_lost(const struct px_runtime *runtime)
{
	char path[128];

	return access(px_runtime_path(runtime, "control", path, sizeof(path)), F_OK) < 0 &&
	       px_runtime_alive(runtime);
}

/* --- cleaning --- */

/* Whether the folder has only files of a pool. */
static bool only_ours(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	bool only = true;

	if (!dir)
		return false;
	while (only && (entry = readdir(dir))) {
		only = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		       of_kernel(entry->d_name);
		for (size_t i = 0; i < POOL_FILES && !only; i++)
			only = !strcmp(entry->d_name, pool_files[i]);
	}
	closedir(dir);
	return only;
}

void px_runtime_clean(const struct px_runtime *runtime, bool with_log)
{
	char path[128];

	with_log = with_log && only_ours(runtime->folder);
	remove_kernels(runtime);
	for (size_t i = with_log ? 0 : LOGS; i < POOL_FILES; i++)
		(void)unlink(px_runtime_path(runtime, pool_files[i], path, sizeof(path)));
	(void)rmdir(runtime->folder);
}

bool px_runtime_is_private(const struct px_runtime *runtime)
{
	return !strncmp(runtime->profile, private_prefix, strlen(private_prefix));
}

bool px_runtime_has_pool(const struct px_runtime *runtime)
{
	char path[128];

	for (size_t i = LOGS; i < POOL_FILES; i++)
		if (access(px_runtime_path(runtime, pool_files[i], path, sizeof(path)), F_OK) == 0)
			return true;
	return false;
}

void px_runtime_clean_dead(const struct px_runtime *runtime)
{
	int lock;

	if (px_runtime_lock(runtime, &lock) < 0)
		return;
	px_runtime_clean(runtime, px_runtime_is_private(runtime));
	close(lock);
}

/* --- finding pools --- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int profile_like(const struct dirent *entry)
{
	return name_valid(entry->d_name);
}

struct walk {
	const char *root;
	int (*each)(void *ctx, const struct px_runtime *runtime);
	void *ctx;
};

static int walk_folders(const struct walk *walk)
{
	struct dirent **entries;
	bool there;
	int count, rc = check_folder(walk->root, &there);

	if (rc < 0 || !there)
		return rc;
	count = scandir(walk->root, &entries, profile_like, by_name);
	if (count < 0)
		return px_fail_errno("reading the folder %s", walk->root);
	for (int i = 0; i < count; i++) {
		struct px_runtime runtime;

		/* A folder that is not ours is no pool; the others are still listed. */
		if (rc == 0 && name_folder(walk->root, entries[i]->d_name, &runtime) == 0 &&
		    check_folder(runtime.folder, &there) == 0 && there)
			rc = walk->each(walk->ctx, &runtime);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

/* A pool that has no folder. */
static int walk_holder(void *ctx, const char *folder, pid_t pid)
{
	const struct walk *walk = ctx;
	size_t length = strlen(walk->root);
	struct px_runtime runtime;

	(void)pid;
	if (strncmp(folder, walk->root, length) || folder[length] != '/' ||
	    !name_valid(folder + length + 1) || access(folder, F_OK) == 0 ||
	    name_folder(walk->root, folder + length + 1, &runtime) < 0)
		return 0;
	return walk->each(walk->ctx, &runtime);
}

int px_runtime_list(int (*each)(void *ctx, const struct px_runtime *runtime), void *ctx)
{
	char root[4096];
	struct walk walk = { root, each, ctx };
	int rc;

	find_root(root, sizeof(root));
	rc = walk_folders(&walk);
	return rc ? rc : px_holder_each(walk_holder, &walk);
}

/* The logs of private pools that have left nothing else, the newest first. */
struct left {
	struct {
		struct px_runtime runtime;
		int64_t changed_ns;
	} pools[PRIVATE_LOGS_MAX + 1];
	size_t count;
};

static int64_t changed_ns(const struct px_runtime *runtime)
{
	char path[128];
	struct stat st;

	if (stat(px_runtime_path(runtime, "log", path, sizeof(path)), &st) < 0)
		return -1;
	return st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
}

/* Those for which there is no place are removed. */
static int keep_newest(void *ctx, const struct px_runtime *runtime)
{
	int64_t when = px_runtime_is_private(runtime) && !px_runtime_has_pool(runtime) ?
			       changed_ns(runtime) :
			       -1;
	struct left *left = ctx;
	size_t at = left->count;

	if (when < 0)
		return 0;
	for (; at > 0 && left->pools[at - 1].changed_ns < when; at--)
		left->pools[at] = left->pools[at - 1];
	left->pools[at].runtime = *runtime;
	left->pools[at].changed_ns = when;
	if (++left->count > PRIVATE_LOGS_MAX)
		px_runtime_clean_dead(&left->pools[--left->count].runtime);
	return 0;
}

void px_runtime_clean_private(void)
{
	struct left left = { .count = 0 };

	(void)px_runtime_list(keep_newest, &left);
}

static const char *kind(mode_t mode)
{
	return S_ISDIR(mode)  ? "folder" :
	       S_ISFIFO(mode) ? "FIFO" :
	       S_ISSOCK(mode) ? "socket" :
				"device";
}

/* Before it is opened: opening a device may do something, and reading a FIFO may take for ever. */
static int check_regular(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		return 0; /* opening it says why not */
	return px_fail(PX_EINVAL, "%s is a %s, and no connection file of pxrun", path,
		       kind(st.st_mode));
}

/* Reads all of a short file. */
static int read_file(const char *path, char *out, size_t out_bytes)
{
	size_t used = 0;
	ssize_t got;
	int fd, rc = check_regular(path);

	if (rc < 0)
		return rc;
	/* It may be another file by now. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return px_fail(PX_ENOPOOL, "there is no connection file %s: its pool has stopped",
			       path);
	if (fd < 0)
		return px_fail_errno("opening the connection file %s", path);
	do {
		got = read(fd, out + used, out_bytes - 1 - used);
		if (got > 0)
			used += (size_t)got;
	} while (got > 0 || (got < 0 && errno == EINTR));
	out[used] = '\0';
	close(fd);
	return got < 0 ? px_fail_errno("reading the connection file %s", path) : 0;
}

void px_runtime_facts(const struct px_runtime *runtime, struct px_runtime_facts *out)
{
	char path[128], text[CONNECTION_BYTES_MAX];
	const char *json = NULL;
	double engines;
	int fd = open(px_runtime_path(runtime, "lock", path, sizeof(path)),
		      O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	memset(out, 0, sizeof(*out));
	if (fd >= 0) {
		out->pid = pid_in(fd);
		close(fd);
	}
	if (!locked(runtime)) {
		pid_t holder = px_holder_find(runtime);

		out->deleted = holder != 0;
		if (holder)
			out->pid = holder;
	}
	px_runtime_path(runtime, "connection.json", path, sizeof(path));
	if (read_file(path, text, sizeof(text)) == 0)
		json = px_json_parse(text);
	engines = px_json_number(px_json_member(json, "engines"), 0);
	out->engines = engines >= 0 && engines <= UINT32_MAX ? (uint32_t)engines : 0;
	(void)px_json_string(px_json_member(json, "started"), out->started, sizeof(out->started));
}

int px_runtime_from_file(const char *path, struct px_runtime *out)
{
	char text[CONNECTION_BYTES_MAX], socket[128], profile[sizeof(out->profile)];
	struct px_runtime found;
	const char *json;
	char *slash;
	bool there;
	int rc = read_file(path, text, sizeof(text));

	if (rc < 0)
		return rc;
	json = px_json_parse(text);
	slash = px_json_string(px_json_member(json, "socket"), socket, sizeof(socket)) ?
			strrchr(socket, '/') :
			NULL;
	if (!px_json_member(json, "pxrun") || !slash || slash == socket || socket[0] != '/' ||
	    !px_json_string(px_json_member(json, "profile"), profile, sizeof(profile)) ||
	    !name_valid(profile))
		return px_fail(PX_EINVAL, "%s is not a connection file of pxrun", path);
	*slash = '\0';
	slash = strrchr(socket, '/');
	if (!slash || strcmp(slash + 1, profile))
		return px_fail(PX_EINVAL, "%s names a socket outside of its profile's folder",
			       path);
	*slash = '\0';
	rc = name_folder(socket, profile, &found);
	if (rc == 0)
		rc = check_folder(found.folder, &there);
	if (rc == 0 && !there)
		rc = px_fail(PX_ENOPOOL, "the pool of the connection file %s has stopped", path);
	if (rc == 0)
		*out = found;
	return rc;
}
