/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * malloc_work.c - a little of everything that a C program does with a pool; what memory refuses is an
 * error in words. malloc_work PROFILE
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "client/pxrun.h"

#define LIMIT UINT64_C(30000000000)

static struct px_client *client;
static struct px_view *all, *any;
static struct px_array *array;

/* Ends the program with a failure's words; without any it ends as if it had crashed. */
static void must(int rc)
{
	if (rc >= 0)
		return;
	if (!px_last_error()[0])
		abort();
	fprintf(stderr, "%s\n", px_last_error());
	px_array_unref(array);
	px_view_free(any);
	px_view_free(all);
	px_client_detach(client);
	exit(1);
}

/* Waits, looks at what there is, and frees. */
static void take(struct px_result *result)
{
	struct px_array *received = NULL;
	struct px_value value;
	int rc = px_result_wait(result, LIMIT);

	for (size_t i = 0; rc == 0 && i < px_result_count(result); i++) {
		rc = px_result_value(result, i, &value);
		if (rc == 0 && value.type == PX_ARRAY)
			rc = px_result_array(result, i, &received);
		px_array_unref(received);
		received = NULL;
	}
	px_result_free(result);
	must(rc);
}

static void ask(void)
{
	struct px_value keys[] = { px_string("a"), px_string("b") };
	struct px_value values[] = { px_of_array(array), px_double(1) };
	struct px_value arguments[] = { px_list(values, 2), px_dict(keys, values, 2) };
	struct px_value keyword = px_string("key");
	struct px_value keywords = px_dict(&keyword, &keyword, 0);
	struct px_result *result = NULL;
	struct px_how how = PX_HOW;

	must(px_view_noop(all, NULL, &result));
	take(result);
	must(px_view_execute(all, "print('x' * 1000)\n1 + 1", NULL, &result));
	take(result);
	must(px_view_push(all, "a", &values[0], NULL, &result));
	take(result);
	must(px_view_pull(all, "a", NULL, &result));
	take(result);
	must(px_view_call(all, "builtins:list", 1, arguments, &keywords, NULL, &result));
	take(result);
	must(px_view_call(any, "builtins:len", 1, &arguments[1], NULL, NULL, &result));
	take(result);
	must(px_view_map(any, "builtins:len", 2, arguments, 1, NULL, &result));
	take(result);
	must(px_view_scatter(all, "s", array, 0, PX_BLOCK, NULL, &result));
	take(result);
	must(px_view_pull(all, "s", NULL, &result));
	must(px_result_wait(result, LIMIT));
	must(px_array_wait(array, 0) == PX_ETIMEDOUT ?
		     0 :
		     px_result_gather(result, 0, PX_BLOCK, array));
	px_result_free(result);
	how.timeout_ns = 100000000;
	must(px_view_execute(all, "import time; time.sleep(3)", &how, &result));
	must(px_result_wait(result, LIMIT));
	px_result_free(result);
}

int main(int argc, char **argv)
{
	const int64_t shape[] = { 100, 100 };
	char *json;

	(void)argc;
	prctl(PR_SET_NAME, "c-program");
	must(px_client_attach(argv[1], 0, &client));
	must(px_view_all(client, &all));
	must(px_view_any(client, &any));
	must(px_array_alloc(client, PX_DTYPE_FLOAT64, 2, shape, PX_ARRAY_ZERO | PX_ARRAY_FORTRAN,
			    &array));
	ask();
	must(px_client_status_json(client, &json));
	free(json);
	px_array_unref(array);
	px_view_free(any);
	px_view_free(all);
	px_client_detach(client);
	return 0;
}
