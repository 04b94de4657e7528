/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * how.h - struct px_how, as programs pass it: how a request is made.
 *
 * Who:     any thread.
 * Where:   private memory.
 * Blocks:  never.
 * Death:   none.
 */
#ifndef PX_HOW_H
#define PX_HOW_H

#include <stdbool.h>

#include "client/pxrun.h"
#include "link/endpoint.h"

/* Copies what the caller knows of it, NULL: nothing. PX_EINVAL: what cannot be, in words. */
int px_how_read(const struct px_how *how, struct px_how *out);
/* Makes a message so. */
void px_how_mark(const struct px_how *how, struct px_outgoing *message);
/*
 * Makes a result so: its user, time limit and output. tasks: whether its requests are. PX_EINVAL: these
 * cannot be so; PX_ESYSTEM, PX_ENOMEM.
 */
int px_how_apply(const struct px_how *how, bool tasks, struct px_result *result);

#endif
