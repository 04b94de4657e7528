/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native_work.c - engines meet at barriers, while some process may be killed: native_work PROFILE KERNELS.so
 *
 * Each call ends, with its result or in words that say what died. Exit code 0 then, and also where there
 * is no pool any more.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/pxrun.h"

#define LIMIT UINT64_C(30000000000)

static struct px_client *client;
static struct px_view *all;
static struct px_library *library;

static void leave(int code)
{
	px_library_free(library);
	px_view_free(all);
	px_client_detach(client);
	exit(code);
}

/* What a death makes of it is as good as a result, if it has words. */
static int tolerate(int rc)
{
	if (rc == PX_ETIMEDOUT || (rc < 0 && !px_last_error()[0])) {
		fprintf(stderr, "native_work: %d %s\n", rc, px_last_error());
		leave(1);
	}
	return rc;
}

static void call(struct px_kernel *kernel, size_t argc, const struct px_value *argv)
{
	struct px_result *result;
	struct px_value value;

	if (tolerate(px_view_call_native(all, kernel, argc, argv, NULL, &result)) < 0)
		return;
	(void)tolerate(px_result_wait(result, LIMIT));
	for (size_t i = 0; i < px_result_count(result); i++)
		(void)tolerate(px_result_value(result, i, &value));
	px_result_free(result);
}

int main(int argc, char **argv)
{
	struct px_kernel *late, *meet;
	struct px_array *array;

	if (argc != 3)
		return 2;
	if (tolerate(px_client_attach(argv[1], 0, &client)) < 0 ||
	    tolerate(px_view_all(client, &all)) < 0 ||
	    tolerate(px_library_load(all, argv[2], LIMIT, &library)) < 0 ||
	    tolerate(px_kernel_find(library, "late", &late)) < 0 ||
	    tolerate(px_kernel_find(library, "meet", &meet)) < 0 ||
	    tolerate(px_array_alloc(client, PX_DTYPE_INT64, 1, (int64_t[]){ 64 },
				    PX_ARRAY_LIVE | PX_ARRAY_ZERO, &array)) < 0)
		leave(0);
	for (int i = 0; i < 8; i++) {
		const struct px_value rank = px_int(i % 2);
		const struct px_value rounds[] = { px_of_array(array), px_int(20) };

		call(late, 1, &rank);
		call(meet, 2, rounds);
	}
	px_array_unref(array);
	leave(0);
}
