/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * descriptor.h - descriptors of ours in a process that runs other code as well.
 *
 * Who:     any thread.
 * Where:   the process's table of descriptors.
 * Blocks:  never.
 * Death:   the kernel closes them.
 *
 * The other code may close all descriptors from 3 on, as daemons do, and then get the same numbers for
 * files of its own. Therefore ours have high numbers, which open(2) seldom comes to; and before one is used, or
 * closed, it is compared with what it was.
 */
#ifndef PX_DESCRIPTOR_H
#define PX_DESCRIPTOR_H

#include <stdint.h>

/* What a descriptor refers to. Event descriptors of all kinds are alike. */
struct px_descriptor_id {
	uint64_t device, inode;
};

/*
 * Gives it a number from 200 on, or as high as this process may have; but below 1024, for who calls
 * select(2). Takes fd, and returns the new number, close-on-exec; fd itself if it cannot move.
 */
int px_descriptor_raise(int fd);
struct px_descriptor_id px_descriptor_identify(int fd);
/* PX_ECLOSED, in words, if it is closed or is another file now. `what` names it: "the segment". */
int px_descriptor_check(int fd, struct px_descriptor_id id, const char *what);
/* Closes it, unless it is another file now. */
void px_descriptor_close(int fd, struct px_descriptor_id id);

#endif
