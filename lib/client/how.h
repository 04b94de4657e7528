/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * how.h - struct px_how, as programs pass it.
 *
 * Who:     any thread.
 * Where:   private memory.
 * Blocks:  never.
 * Death:   none.
 */
#ifndef PX_HOW_H
#define PX_HOW_H

#include "client/pxrun.h"

/* Copies what the caller knows of it, NULL: nothing. PX_EINVAL: what cannot be, in words. */
int px_how_read(const struct px_how *how, struct px_how *out);

#endif
