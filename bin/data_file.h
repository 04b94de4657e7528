/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * data_file.h - files that values come from and go to.
 *
 * Who:     the command.
 * Where:   private memory; a file that is written has no name, or another one, until it is whole.
 * Blocks:  while it reads and writes.
 * Death:   of the command: a file of that name stays as it was.
 */
#ifndef PX_DATA_FILE_H
#define PX_DATA_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* Opens a file to be read, "-": standard input. A descriptor to close, or PX_EINVAL, PX_ESYSTEM. */
int px_data_open(const char *path);
/* Reads all of a descriptor: *out is new, free(3). PX_ENOMEM, PX_ESYSTEM; path is for the words. */
int px_data_read(int fd, const char *path, char **out, size_t *bytes);

struct px_data_file {
	int fd;
	const char *path;         /* for words */
	char place[PATH_MAX];     /* where it goes; "": there already */
	char temporary[PATH_MAX]; /* where it is meanwhile, or, if it has no name, for a moment */
	bool nameless;
};

/*
 * Begins a file, NULL: standard output. What is no file on a disk, such as /dev/null or a pipe, is written
 * at once. PX_ESYSTEM, PX_EINVAL.
 */
int px_data_file_begin(const char *path, struct px_data_file *out);
int px_data_file_write(struct px_data_file *file, const void *data, size_t bytes);
/* Ends it: with rc 0 the file is there, whole, else as it was. Returns rc, or PX_ESYSTEM. */
int px_data_file_end(struct px_data_file *file, int rc);

#endif
