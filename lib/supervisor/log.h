/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - the supervisor's log, with the last output of processes that died.
 *
 * Who:     the supervisor; engines append to the same file by themselves.
 * Where:   a descriptor of the caller: a file opened for appending, or a terminal.
 * Blocks:  never: if it is a pipe and full, or its disk is, output is dropped.
 * Death:   lines are written one by one; none is buffered.
 */
#ifndef PX_LOG_H
#define PX_LOG_H

#include <stdint.h>

#include "pool/log_line.h"

struct px_log {
	int fd; /* -1: nowhere */
};

/* A line of the supervisor's own. */
void px_log(struct px_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For what an engine has left in its pipes. */
void px_log_of_engine(struct px_log *log, uint32_t id, struct px_log_lines *lines);
/* For what another process of the pool prints: "template", "mpiexec". */
void px_log_of(struct px_log *log, const char *who, struct px_log_lines *lines);

#endif
