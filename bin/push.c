/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * push.c - `pxrun push`: assigns what files have to names on engines.
 */
#include <stdlib.h>
#include <string.h>

#include "bin/data_call.h"
#include "bin/data_file.h"
#include "client/npy.h"

static int push_array(struct px_data_call *call, const struct px_data_source *source,
		      struct px_result **result)
{
	struct px_array *array;
	struct px_value value;
	int rc = px_npy_read(call->client, source->fd, source->path, &array);

	if (rc < 0)
		return rc;
	value = px_of_array(array);
	rc = px_view_push(call->view, source->name, &value, NULL, result);
	px_array_unref(array);
	return rc;
}

static int push_text(struct px_data_call *call, const struct px_data_source *source,
		     struct px_result **result)
{
	char *text = NULL;
	size_t bytes = 0;
	int rc = px_data_read(source->fd, source->path, &text, &bytes);

	if (rc == 0)
		rc = px_view_call(call->view, PX_DOCUMENTS "put", 3,
				  (struct px_value[]){ px_string(source->name),
						       px_string(source->form),
						       px_bytes(text, bytes) },
				  NULL, NULL, result);
	free(text);
	return rc;
}

static int push(struct px_data_call *call, const struct px_data_source *source,
		struct px_result **result)
{
	return strcmp(source->form, "npy") ? push_text(call, source, result) :
					     push_array(call, source, result);
}

static int run(int argc, char **argv)
{
	struct px_data_call call;
	int code = px_data_call_begin(&px_verb_push, argc, argv, false, argc, &call);

	if (code < 0) {
		code = PX_EXIT_OK;
		for (int i = optind; i < argc && code == PX_EXIT_OK; i++)
			code = px_data_send(&call, &px_verb_push, argv[i], "", push);
	}
	px_data_call_end(&call);
	return code;
}

const struct px_verb px_verb_push = {
	.name = "push",
	.summary = "assign what files have to names on engines",
	.run = run,
	.help = "usage: pxrun push [OPTION...] NAME=FILE...\n"
		"Assigns what a file has to a name on each engine: the array of a .npy file, the value\n"
		"of a .json file, or the text of any other. FILE '-' is standard input.\n\n"
		"  -f, --format FORM      npy, json or text, whatever the file is called\n"
		"  -t, --targets IDS      'all' (default) or ids of engines, such as 0,2\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n",
};
