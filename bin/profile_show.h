/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * profile_show.h - prints the settings with which a pool would start, and where each comes from.
 */
#ifndef PX_PROFILE_SHOW_H
#define PX_PROFILE_SHOW_H

#include "pool/settings.h"

/* A line for each setting that a profile may have. */
void px_profile_show(const struct px_settings *settings);
/* A JSON object; name: of the profile, NULL if it is a file; file: its path, NULL if there is none. */
void px_profile_show_json(const struct px_settings *settings, const char *name, const char *file);

#endif
