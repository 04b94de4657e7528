/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_profile.c - no text makes the reader of profiles crash, leak, or fail without words,
 * whether it ends at the first error or goes on.
 */
#include <stdint.h>
#include <stdlib.h>

#include "pool/profile.h"
#include "shm/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hear(void *ctx, const char *words)
{
	if (!words[0])
		abort();
	++*(unsigned *)ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct px_settings settings;
	unsigned told;
	const struct px_profile_listener listener = { .error = hear, .ctx = &told };
	int rc;

	px_settings_init(&settings);
	if (px_profile_parse("profile", (const char *)data, size, &settings, NULL) < 0 &&
	    !px_last_error()[0])
		abort();
	px_settings_clear(&settings);
	told = 0;
	rc = px_profile_parse("profile", (const char *)data, size, &settings, &listener);
	if (told && rc == 0)
		abort();
	px_settings_clear(&settings);
	return 0;
}
