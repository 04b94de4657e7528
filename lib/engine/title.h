/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * title.h - what ps(1) and top(1) show of this process.
 *
 * Who:     the template, and each engine after its fork, before user code runs.
 * Where:   the memory of the arguments that the process was started with.
 * Blocks:  never.
 */
#ifndef PX_TITLE_H
#define PX_TITLE_H

/*
 * Shows `line` as the command line, cut off where the arguments end, and `name`, of at most 15 bytes, as the
 * name of this thread. Does nothing where the kernel does not tell the place: it is only for display.
 */
void px_title_set(const char *line, const char *name);

#endif
