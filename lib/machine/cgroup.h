/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cgroup.h - the control groups that this process is in, and the numbers in their files.
 *
 * Who:     anyone; no state.
 * Where:   /proc/self/cgroup and /proc/self/mountinfo say where; both versions, also mixed.
 * Blocks:  never.
 *
 * In a container the path in /proc may be the host's, while the mount begins at the container:
 * for a path outside of the mount the top of the mount is taken. `root` is put before every path,
 * so that tests can make up a machine; "" is the real one.
 */
#ifndef PX_CGROUP_H
#define PX_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct px_cgroup {
	char folder[1024]; /* with root before it */
	size_t top_length; /* of folder at the top of the mount */
	bool unified;      /* version 2 */
};

/* The group that limits a resource ("memory", "cpu"). False if there is none. */
bool px_cgroup_find(const char *root, const char *controller, struct px_cgroup *out);
/* Goes to the parent, whose limits hold as well. False at the top of the mount. */
bool px_cgroup_up(struct px_cgroup *group);
/*
 * The number in a file of the group: its first, or the one behind a key that begins a
 * line. "max" is UINT64_MAX. False if it is not there.
 */
bool px_cgroup_number(const struct px_cgroup *group, const char *file, const char *key,
		      uint64_t *out);
/* The same for any other file, such as /proc/meminfo (whose keys end in ':'). */
bool px_proc_number(const char *root, const char *path, const char *key, uint64_t *out);

#endif
