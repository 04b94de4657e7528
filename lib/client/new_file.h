/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * new_file.h - a file that appears whole or not at all.
 *
 * Who:     any thread.
 * Where:   a file of a disk has no name, or another one, until it is whole.
 * Blocks:  while it writes.
 * Death:   a file of that name stays as it was. Between the two system calls that put a new one in its place, that is
 *          left beside it, whole.
 */
#ifndef PX_NEW_FILE_H
#define PX_NEW_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct px_new_file {
	int fd;
	const char *path;         /* for words */
	char place[PATH_MAX];     /* where it goes; "": there already */
	char temporary[PATH_MAX]; /* where it is meanwhile, or, if it has no name, for a moment */
	bool nameless;
};

/*
 * Begins it. What is no file of a disk, such as /dev/null or a pipe, is written at once; behind a symbolic link is
 * what it means. PX_ESYSTEM, PX_EINVAL.
 */
int px_new_file_begin(const char *path, struct px_new_file *out);
/* Ends it: with rc 0 the file is there, whole, else as it was. Returns rc, or PX_ESYSTEM. */
int px_new_file_end(struct px_new_file *file, int rc);
/* write(2) of all of it; path is for the words. PX_ESYSTEM. */
int px_write_all(int fd, const void *data, size_t bytes, const char *path);

#endif
