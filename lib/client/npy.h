/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * npy.h - the header of a .npy file: a dtype, an order and a shape as a Python dict.
 *
 * The format is numpy's (numpy.lib.format, versions 1.0 to 3.0).
 *
 * Who:     any thread.
 * Where:   private memory.
 * Blocks:  never.
 * Death:   none.
 */
#ifndef PX_NPY_H
#define PX_NPY_H

#include <stdbool.h>
#include <stddef.h>

#include "client/pxrun.h"

struct px_npy {
	enum px_dtype dtype;
	bool swapped; /* its numbers are in the other byte order */
	bool fortran;
	int ndim;
	int64_t shape[PX_NDIM_MAX];
};

/*
 * Reads the dict, a text of that length. PX_EINVAL: it is none, or its dtype is none of ours; path is for
 * the words.
 */
int px_npy_parse(const char *text, size_t length, const char *path, struct px_npy *out);
/* Writes the whole header of a file, with its padding; its length. */
#define PX_NPY_HEADER_BYTES 1024
size_t px_npy_print(const struct px_npy *npy, char out[PX_NPY_HEADER_BYTES]);
/* px_array_load() and px_array_save() of a descriptor, also of a pipe; path is for the words. */
int px_npy_read(struct px_client *client, int fd, const char *path, struct px_array **out);
int px_npy_write(int fd, const struct px_array *array, const char *path);

#endif
