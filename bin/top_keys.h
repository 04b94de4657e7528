/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * top_keys.h - what the keys of `pxrun top` do.
 */
#ifndef PX_TOP_KEYS_H
#define PX_TOP_KEYS_H

#include "bin/top_screen.h"

/* Does what a key says; what it does to an engine, once it is confirmed. False: the end. */
bool px_top_key_press(struct px_client *client, struct px_top_sample *sample,
		      struct px_top_view *view, int key);

#endif
