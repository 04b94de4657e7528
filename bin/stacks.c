/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stacks.c - asks a process for its stacks by a signal, and reads the files that it writes.
 */
#include "bin/stacks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "shm/error.h"
#include "shm/os.h"
#include "supervisor/process.h"

#define LIMIT_NS UINT64_C(2000000000)
/* Python code gives the lock up after 5 ms; many threads that want it may each come first. */
#define LOCK_NS UINT64_C(1000000000)

static void nap(void)
{
	static const struct timespec some = { .tv_nsec = 1000000 };

	(void)nanosleep(&some, NULL);
}

/* --- what /proc says of the process --- */

/* The first line of a file of a thread's that begins with a key, behind it; "" if there is none. */
static void thread_line(int pid, int tid, const char *file_name, const char *key, char *out,
			size_t out_bytes)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, file_name);
	out[0] = '\0';
	file = fopen(path, "re");
	while (file && !out[0] && fgets(line, sizeof(line), file)) {
		const char *value = line + strlen(key);

		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		value += strspn(value, ": \t");
		snprintf(out, out_bytes, "%.*s", (int)strcspn(value, "\n"), value);
	}
	if (file)
		fclose(file);
}

static bool in_mask(const struct px_stacks *stacks, int tid, const char *mask)
{
	char text[64];

	thread_line(stacks->pid, tid, "status", mask, text, sizeof(text));
	return strtoull(text, NULL, 16) >> (PX_SIGNAL_STACKS - 1) & 1;
}

static bool is_stopped(const struct px_stacks *stacks)
{
	char state[32];

	thread_line(stacks->pid, stacks->pid, "status", "State", state, sizeof(state));
	return *state == 'T' || *state == 't';
}

/* Opens a file that it writes to; -1: it has none. */
static int open_file(int pid, const char *name)
{
	char path[64], target[64], wanted[64];
	const struct dirent *entry;
	DIR *folder;
	int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	snprintf(wanted, sizeof(wanted), "/memfd:%s (deleted)", name);
	folder = opendir(path);
	while (folder && fd < 0 && (entry = readdir(folder))) {
		ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof(target));

		if (length == (ssize_t)strlen(wanted) && !memcmp(target, wanted, (size_t)length))
			fd = openat(dirfd(folder), entry->d_name, O_RDWR | O_CLOEXEC);
	}
	if (folder)
		closedir(folder);
	return fd;
}

/* The thread that writes for all; 0: it has none. */
static int find_thread(int pid)
{
	char path[40], name[32];
	const struct dirent *entry;
	DIR *folder;
	int found = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	folder = opendir(path);
	while (folder && !found && (entry = readdir(folder))) {
		int tid = (int)strtol(entry->d_name, NULL, 10);

		thread_line(pid, tid, "comm", "", name, sizeof(name));
		if (!strcmp(name, PX_STACKS_THREAD))
			found = tid;
	}
	if (folder)
		closedir(folder);
	return found;
}

/* --- its files --- */

/* One who asks after another, so that their answers do not mix. */
static int lock(int file)
{
	uint64_t until_ns = px_os.now_ns() + LIMIT_NS;

	while (flock(file, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return px_fail_errno("cannot be asked for its stack");
		if (px_os.now_ns() >= until_ns)
			return px_fail(
				PX_ETIMEDOUT,
				"is asked for its stack by somebody else, and does not answer");
		nap();
	}
	return 0;
}

int px_stacks_open(int pid, struct px_stacks *out)
{
	int rc;

	*out = (struct px_stacks){ pid, px_pidfd_open(pid), -1, -1 };
	if (out->pidfd < 0)
		return px_fail(PX_EENGINE, "has ended");
	out->all = open_file(pid, PX_STACKS_FILE);
	out->one = open_file(pid, PX_STACK_FILE);
	if (out->all < 0 || out->one < 0)
		rc = px_fail(PX_EENGINE,
			     "has no Python stack to show: it has no interpreter, or is "
			     "only starting");
	else
		rc = lock(out->all);
	if (rc < 0)
		px_stacks_close(out);
	return rc;
}

void px_stacks_close(struct px_stacks *stacks)
{
	if (stacks->all >= 0)
		close(stacks->all);
	if (stacks->one >= 0)
		close(stacks->one);
	close(stacks->pidfd);
}

/*
 * All that was written, if it is complete: it ends with a NUL, and begins with none, which would be a hole
 * where an earlier answer, for which nobody waits, was cut off. 0: not yet; 1; PX_ENOMEM, PX_ESYSTEM.
 */
static int read_whole(int file, char **out)
{
	struct stat st;
	char *text;

	if (fstat(file, &st) < 0)
		return px_fail_errno("cannot be asked for its stack");
	if (st.st_size == 0)
		return 0;
	text = malloc((size_t)st.st_size);
	if (!text)
		return px_fail(PX_ENOMEM, "has a stack for which there is no private memory here");
	if (pread(file, text, (size_t)st.st_size, 0) == st.st_size &&
	    text[st.st_size - 1] == '\0' && (text[0] || st.st_size == 1)) {
		*out = text;
		return 1;
	}
	free(text);
	return 0;
}

/* Sends the signal to a thread, and waits for what comes of it. 1; 0: nothing, in that time. */
static int ask(const struct px_stacks *stacks, int tid, int file, uint64_t limit_ns, char **out)
{
	uint64_t until_ns = px_os.now_ns() + limit_ns;
	int rc;

	if (ftruncate(file, 0) < 0)
		return px_fail_errno("cannot be asked for its stack");
	/* As long as the pidfd does not say that it has ended, the numbers are nobody else's. */
	if (syscall(SYS_pidfd_send_signal, stacks->pidfd, 0, NULL, 0) < 0 ||
	    syscall(SYS_tgkill, stacks->pid, tid, PX_SIGNAL_STACKS) < 0)
		return px_fail(PX_EENGINE, "has ended");
	while ((rc = read_whole(file, out)) == 0 && px_os.now_ns() < until_ns)
		nap();
	return rc;
}

/* --- asking --- */

static int stopped(const struct px_stacks *stacks)
{
	return px_fail(PX_ETIMEDOUT,
		       "is stopped, by a signal or a debugger: 'kill -CONT %d' has it go on",
		       stacks->pid);
}

int px_stacks_read(const struct px_stacks *stacks, char **out)
{
	int tid = find_thread(stacks->pid), rc;

	if (!tid)
		return px_fail(PX_EENGINE, "has no thread '" PX_STACKS_THREAD
					   "' that would write its Python stack");
	if (is_stopped(stacks))
		return stopped(stacks);
	rc = ask(stacks, tid, stacks->all, LOCK_NS, out);
	return rc < 0 ? rc : rc ? 0 : PX_EAGAIN;
}

int px_stacks_read_one(const struct px_stacks *stacks, int tid, char **out)
{
	const char *line;
	int rc;

	if (is_stopped(stacks))
		return stopped(stacks);
	if (!in_mask(stacks, tid, "SigCgt") || in_mask(stacks, tid, "SigBlk"))
		return px_fail(
			PX_EENGINE,
			"is in native code and has taken away or blocked signal %d, by which "
			"it would write its Python stack: 'gdb -p %d' can look at it",
			PX_SIGNAL_STACKS, stacks->pid);
	rc = ask(stacks, tid, stacks->one, LIMIT_NS, out);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return px_fail(PX_ETIMEDOUT,
			       "waits in the kernel: /proc/%d/stack says where, for root", tid);
	/* The first line is a title. */
	line = strchr(*out, '\n');
	line = line ? line + 1 : "";
	memmove(*out, line, strlen(line) + 1);
	return 0;
}
