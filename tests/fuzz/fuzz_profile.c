/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_profile.c - no text makes the reader of profiles crash, leak, or fail without words.
 */
#include <stdint.h>
#include <stdlib.h>

#include "pool/profile.h"
#include "shm/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct px_settings settings;

	px_settings_init(&settings);
	if (px_profile_parse("profile", (const char *)data, size, &settings) < 0 &&
	    !px_last_error()[0])
		abort();
	px_settings_clear(&settings);
	return 0;
}
