/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interpreter.c - finds the interpreter of a pool's engines, and has it find the package.
 */
#include "bin/interpreter.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pool/json.h"
#include "shm/error.h"

int px_interpreter_of(struct px_client *client, char *out, size_t out_bytes)
{
	char *status = NULL;
	int rc = px_client_status_json(client, &status);

	if (rc < 0)
		return rc;
	if (px_json_true(px_json_member(px_json_parse(status), "native")))
		rc = px_fail(PX_EINVAL,
			     "the pool is native: its engines have no interpreter, and call "
			     "native functions alone");
	else if (!px_json_string(px_json_member(px_json_parse(status), "executable"), out,
				 out_bytes))
		rc = px_fail(PX_ECORRUPT, "the engines' interpreter is not known");
	free(status);
	return rc;
}

void px_interpreter_offer_package(void)
{
	const char *before = getenv("PYTHONPATH");
	char *path = NULL;

	if (access(PX_PACKAGE_FOLDER "/pxrun/__init__.py", R_OK) < 0)
		return;
	if (!before || !before[0])
		setenv("PYTHONPATH", PX_PACKAGE_FOLDER, 1);
	else if (asprintf(&path, "%s:%s", before, PX_PACKAGE_FOLDER) > 0)
		setenv("PYTHONPATH", path, 1);
	free(path);
}
