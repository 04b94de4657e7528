/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * data_file.h - files that values come from and go to.
 *
 * Who:     the command.
 * Where:   private memory.
 * Blocks:  while it reads and writes.
 * Death:   as new_file.h says.
 */
#ifndef PX_DATA_FILE_H
#define PX_DATA_FILE_H

#include <stddef.h>

#include "client/new_file.h"

/* Opens a file to be read, "-": standard input. A descriptor to close, or PX_EINVAL, PX_ESYSTEM. */
int px_data_open(const char *path);
/* Reads all of a descriptor: *out is new, free(3). PX_ENOMEM, PX_ESYSTEM; path is for the words. */
int px_data_read(int fd, const char *path, char **out, size_t *bytes);

/* Begins a file to be written, NULL or "-": standard output. As px_new_file_begin(). */
int px_data_file_begin(const char *path, struct px_new_file *out);
int px_data_file_end(struct px_new_file *file, int rc);

#endif
