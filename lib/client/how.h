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
/*
 * Makes messages and their result so: flags, user, time limit. tasks: that is what they are. PX_EINVAL:
 * these cannot be so; PX_ESYSTEM, PX_ENOMEM.
 */
int px_how_apply(const struct px_how *how, bool tasks, struct px_outgoing *messages, uint32_t count,
		 struct px_result *result);

#endif
