/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forked.h - tells a forked child from its parent, at the cost of a load.
 *
 * Who:     any thread.
 * Where:   private memory, written in the child before fork(2) returns there.
 * Blocks:  never.
 * Death:   leaves nothing.
 *
 * getpid(2) is a system call since glibc 2.25, and would cost more than looking at a ring does.
 */
#ifndef PX_FORKED_H
#define PX_FORKED_H

#include <stdint.h>

/* Counts the forks between the first process that asked and this one. Any thread. */
uint32_t px_forked_generation(void);

#endif
