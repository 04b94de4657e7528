/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scatter.c - `pxrun scatter`: cuts what a file has into a part for each engine.
 */
#include <stdlib.h>
#include <string.h>

#include "bin/data_call.h"
#include "bin/data_file.h"
#include "client/npy.h"

static int scatter_array(struct px_data_call *call, const struct px_data_source *source,
			 struct px_result **result)
{
	struct px_array *array;
	int rc = px_npy_read(call->client, source->fd, source->path, &array);

	if (rc < 0)
		return rc;
	rc = px_view_scatter(call->view, source->name, array, 0, PX_BLOCK, NULL, result);
	px_array_unref(array);
	return rc;
}

/* Each engine gets the whole, of which there is one copy, and finds its own part. */
static int scatter_items(struct px_data_call *call, const struct px_data_source *source,
			 struct px_result **result)
{
	struct px_value engines[PX_ENGINES_MAX];
	char *text = NULL;
	size_t bytes = 0;
	int rc = px_data_read(source->fd, source->path, &text, &bytes);

	for (size_t i = 0; i < call->targets.count; i++)
		engines[i] = px_int(call->targets.ids[i]);
	if (rc == 0)
		rc = px_view_call(call->view, PX_DOCUMENTS "put_part", 4,
				  (struct px_value[]){ px_string(source->name),
						       px_string(source->form),
						       px_bytes(text, bytes),
						       px_list(engines, call->targets.count) },
				  NULL, NULL, result);
	free(text);
	return rc;
}

static int scatter(struct px_data_call *call, const struct px_data_source *source,
		   struct px_result **result)
{
	return strcmp(source->form, "npy") ? scatter_items(call, source, result) :
					     scatter_array(call, source, result);
}

static int run(int argc, char **argv)
{
	struct px_data_call call;
	int code = px_data_call_begin(&px_verb_scatter, argc, argv, false, 1, &call);

	if (code < 0)
		code = px_data_send(&call, &px_verb_scatter, argv[optind], "text", scatter);
	px_data_call_end(&call);
	return code;
}

const struct px_verb px_verb_scatter = {
	.name = "scatter",
	.summary = "cut what a file has into a part for each engine",
	.run = run,
	.help = "usage: pxrun scatter [OPTION...] NAME=FILE\n"
		"Assigns a part of what a file has to a name on each engine: rows of the array of a .npy\n"
		"file, items of the list in a .json file, or lines of any other. FILE '-' is standard\n"
		"input, of lines unless --format says otherwise.\n\n"
		"  -f, --format FORM      npy, json or text, whatever the file is called\n"
		"  -t, --targets IDS      'all' (default) or ids of engines, such as 0,2\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n",
};
