/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * detach.h - a process that goes on when the command has returned.
 */
#ifndef PX_DETACH_H
#define PX_DETACH_H

#include <sys/types.h>

#include "pool/runtime.h"

/*
 * Forks. 0 in the child, which leaves the terminal's session, and reports to the parent by
 * px_detach_report(). The parent waits for that and gets the child's pid, or PX_ESYSTEM.
 * *code: what was reported.
 */
pid_t px_detach(int *report, int *code);
/* Has the parent return, with this exit code. If it is 0, what is printed from here on is kept. */
void px_detach_report(int report, int code);
/* Adds what was printed since to the pool's log, as lines of "exec PID". */
void px_detach_log(const struct px_runtime *runtime);

#endif
