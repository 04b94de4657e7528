/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forked.h - tells a process from the one it was forked from, for the price of a load.
 *
 * getpid(2) is a system call since glibc 2.25, and costs more than the rest of a look.
 */
#ifndef PX_FORKED_H
#define PX_FORKED_H

#include <stdint.h>

/* Counts the forks between the first process that asked and this one. Any thread. */
uint32_t px_forked_generation(void);

#endif
