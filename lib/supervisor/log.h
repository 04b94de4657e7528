/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - the supervisor's log, with the last output of processes that died.
 *
 * Who:     the supervisor; engines append to the same file by themselves.
 * Where:   a descriptor of the caller: a file opened for appending, or a terminal.
 * Blocks:  never: if it is a pipe and full, output is dropped and counted.
 * Death:   lines are written one by one; none is buffered.
 */
#ifndef PX_LOG_H
#define PX_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "pool/log_file.h"

struct px_log {
	int fd; /* -1: nowhere */
	uint64_t dropped;
};

/* One line, with time and "supervisor:" before it. */
void px_log(struct px_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Bytes as they are. */
void px_log_bytes(struct px_log *log, const char *bytes, size_t count);
/* For output of a dead engine, of which each line has its id. */
struct px_log_lines px_log_of_engine(struct px_log *log, uint32_t id);
/* The same without a mark. */
struct px_log_lines px_log_of_template(struct px_log *log);

#endif
