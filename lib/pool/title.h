/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * title.h - what ps(1) and top(1) show of this process.
 *
 * Who:     the supervisor, the template, and each engine after its fork, before user code runs.
 * Where:   the memory of the arguments that the process was started with.
 * Blocks:  never.
 */
#ifndef PX_TITLE_H
#define PX_TITLE_H

/*
 * Shows "pxrun: POOL WHO" as the command line, cut off where the arguments end, and as the name of this thread,
 * in which the pool is cut off. who: an engine's id, "template", or "", which is the supervisor. What the program
 * was started with is gone: nothing may point there. It is only for display, and nothing where the kernel does not
 * tell the place.
 */
void px_title_set(const char *pool, const char *who);

#endif
