/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * home.h - the user's home folder.
 */
#ifndef PX_HOME_H
#define PX_HOME_H

#include <stddef.h>

/* $HOME if it is a path, else that of the user database, and suffix. PX_ESYSTEM: none is known;
 * PX_EINVAL: too long. */
int px_home_path(const char *suffix, char *out, size_t out_bytes);

#endif
