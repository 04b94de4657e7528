/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * how.c - reads struct px_how.
 */
#include "client/how.h"

#include "pool/sized.h"
#include "shm/error.h"

#define KNOWN_FLAGS 0u

int px_how_read(const struct px_how *how, struct px_how *out)
{
	int rc;

	*out = (struct px_how)PX_HOW;
	if (!how)
		return 0;
	rc = px_sized_read(out, sizeof(*out), offsetof(struct px_how, user), how, "px_how",
			   "PX_HOW");
	if (rc == 0 && out->flags & ~KNOWN_FLAGS)
		rc = px_fail(PX_EINVAL, "flags 0x%x: this libpxrun does not know all of them",
			     out->flags);
	return rc;
}
