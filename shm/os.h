/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * os.h - the few calls of the kernel whose failures tests must be able to script.
 *
 * Who:     any thread.
 * Where:   a table in private memory.
 * Blocks:  futex_wait(), fallocate() and madvise(), as the calls they stand for.
 * Death:   of a thread that slept on a futex leaves nothing in the kernel.
 *
 * The table is px_os; tests swap entries in it before they start threads.
 */
#ifndef PX_OS_H
#define PX_OS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct px_os {
	uint64_t (*now_ns)(void); /* CLOCK_MONOTONIC */
	/* Sleeps while *word == expected, for at most ns. 0, or -errno (EAGAIN, EINTR, ETIMEDOUT). */
	int (*futex_wait)(_Atomic uint32_t *word, uint32_t expected, uint64_t ns);
	/* Wakes all sleepers of a word shared between processes. */
	void (*futex_wake)(_Atomic uint32_t *word);
	int (*fallocate)(int fd, int mode, off_t offset,
			 off_t length);                     /* as fallocate(2), -errno */
	int (*madvise)(void *at, size_t bytes, int advice); /* as madvise(2), -errno */
	void (*yield)(void);
	/* Another map of what is mapped: mremap(2) from the size 0. */
	void *(*mremap)(void *from, size_t bytes, int flags, void *at);
	/* Those that this thread may use and nobody does at this moment; some 20 us. */
	unsigned (*processors_idle)(void);
};

extern struct px_os px_os;

#endif
