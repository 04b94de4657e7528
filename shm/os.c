/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * os.c - the kernel's side of os.h.
 */
#include "shm/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* Never FUTEX_PRIVATE_FLAG: the word is shared between processes. */
static int futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000),
			      .tv_nsec = (long)(ns % 1000000000) };

	return syscall(SYS_futex, word, FUTEX_WAIT, expected, &t, NULL, 0) < 0 ? -errno : 0;
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static int os_fallocate(int fd, int mode, off_t offset, off_t length)
{
	return fallocate(fd, mode, offset, length) < 0 ? -errno : 0;
}

static int os_madvise(void *at, size_t bytes, int advice)
{
	return madvise(at, bytes, advice) < 0 ? -errno : 0;
}

static void os_yield(void)
{
	sched_yield();
}

static void *os_mremap(void *from, size_t bytes, int flags, void *at)
{
	return mremap(from, 0, bytes, flags, at);
}

/* The threads that run on the whole machine, this one too; 0: not known. */
static unsigned running(void)
{
	unsigned count = 0;
	char text[128];
	int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[got > 0 ? got : 0] = '\0';
	return sscanf(text, "%*s %*s %*s %u/", &count) == 1 ? count : 0;
}

static unsigned processors_idle(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned busy = running(), others;
	cpu_set_t ours;

	/* On a machine with more than the set can say, nobody helps. */
	if (busy == 0 || online <= (long)busy || sched_getaffinity(0, sizeof(ours), &ours) < 0)
		return 0;
	others = (unsigned)CPU_COUNT(&ours) - 1;
	return (unsigned)online - busy < others ? (unsigned)online - busy : others;
}

struct px_os px_os = { now_ns,     futex_wait, futex_wake, os_fallocate,
		       os_madvise, os_yield,   os_mremap,  processors_idle };
