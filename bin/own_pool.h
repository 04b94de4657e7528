/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * own_pool.h - a private pool for one command, which ends with it.
 */
#ifndef PX_OWN_POOL_H
#define PX_OWN_POOL_H

#include "client/client.h"
#include "pool/settings.h"

/* Starts it, and prints what there is to warn of. As px_pool_start(). */
int px_own_pool_start(struct px_settings *settings, struct px_client **out);
/* Ends it, and waits until its supervisor has ended. */
void px_own_pool_end(struct px_client *client);

#endif
