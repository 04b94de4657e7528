/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine.h - for tests: a machine that is made up, its /proc and /sys in the folder of the case.
 *
 * Who:     cases about what the machine allows (lib/machine/cgroup.h); they pass machine_root().
 * Where:   case_folder(). What was not put is not there, as on an odd machine.
 */
#ifndef PX_TEST_MACHINE_H
#define PX_TEST_MACHINE_H

#include "tests/c/case.h"

#define MIB (UINT64_C(1) << 20)

/* The group that machine_unified() and machine_container() put us in. */
#define MACHINE_GROUP "/sys/fs/cgroup/user.slice/job"
#define MACHINE_PARENT "/sys/fs/cgroup/user.slice"

const char *machine_root(void);
/* Writes a file; path begins with a slash. */
void machine_put(const char *path, const char *text);
void machine_put_number(const char *path, uint64_t number);
/* /proc/meminfo of a machine of 64 GiB with so many bytes available. */
void machine_put_memory(uint64_t available);
/* Version 2: our group has a limit; of what it uses, cache could be dropped. Its parent has none. */
void machine_put_unified(uint64_t limit, uint64_t used, uint64_t cache);
/* Version 1 in a container: our path is the host's, and the mounts show only a part of it. */
void machine_put_container(uint64_t limit, uint64_t used);

#endif
