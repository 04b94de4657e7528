/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gather.c - `pxrun gather`: joins the parts that engines have under a name, and writes the whole.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bin/data_call.h"
#include "bin/data_file.h"
#include "client/npy.h"
#include "shm/error.h"

/* --- arrays --- */

/* A new array with room for all. */
static int whole_new(struct px_client *client, struct px_result *result, struct px_array **out)
{
	int64_t shape[PX_NDIM_MAX], rows = 0;
	int dtype = 0, ndim = 0;

	for (size_t i = 0; i < px_result_count(result); i++) {
		struct px_array *part;
		int rc = px_result_array(result, i, &part);

		if (rc < 0)
			return rc;
		if (i == 0) {
			dtype = px_array_dtype(part);
			ndim = px_array_ndim(part);
			memcpy(shape, px_array_shape(part), (size_t)ndim * sizeof(*shape));
		}
		rows += px_array_ndim(part) ? px_array_shape(part)[0] : 0;
		px_array_unref(part);
	}
	shape[0] = rows;
	return px_array_alloc(client, (enum px_dtype)dtype, ndim, shape, 0, out);
}

static int join_arrays(struct px_data_call *call, struct px_result *result,
		       struct px_new_file *file)
{
	struct px_array *whole;
	int rc = whole_new(call->client, result, &whole);

	if (rc < 0)
		return rc;
	rc = px_result_gather(result, 0, PX_BLOCK, whole);
	if (rc == 0)
		rc = px_npy_write(file->fd, whole, file->path);
	px_array_unref(whole);
	return rc;
}

static int gather_arrays(struct px_data_call *call, const char *name, struct px_new_file *file)
{
	struct px_result *result = NULL;
	int rc = px_view_pull(call->view, name, NULL, &result);

	if (rc == 0 && px_data_wait(result, NULL) != PX_EXIT_OK)
		rc = px_fail(PX_EREMOTE, "'%s' is not gathered", name);
	if (rc == 0)
		rc = join_arrays(call, result, file);
	px_result_free(result);
	return rc;
}

/* --- lists --- */

static int join_texts(struct px_result *parts, bool json, struct px_new_file *file)
{
	bool first = true;
	int rc = json ? px_write_all(file->fd, "[", 1, file->path) : 0;

	for (size_t i = 0; rc == 0 && i < px_result_count(parts); i++) {
		struct px_value part;
		const struct px_value *text;

		rc = px_data_given(parts, i, false, &part);
		if (rc < 0)
			break;
		text = &part.as.list.items[1];
		if (!text->as.text.bytes)
			continue;
		if (json && !first)
			rc = px_write_all(file->fd, ", ", 2, file->path);
		first = false;
		if (rc == 0)
			rc = px_write_all(file->fd, text->as.text.data, text->as.text.bytes,
					  file->path);
	}
	return rc == 0 && json ? px_write_all(file->fd, "]\n", 2, file->path) : rc;
}

/* --- the verb --- */

/* The form of all parts, in *out; those without items have any. PX_EINVAL: they differ. PX_ECORRUPT. */
static int common_form(struct px_result *parts, const char *name, const char **out)
{
	const char *common = NULL;

	for (size_t i = 0; i < px_result_count(parts); i++) {
		struct px_value part;
		const struct px_value *form;
		int rc = px_data_given(parts, i, false, &part);

		if (rc < 0)
			return rc;
		form = part.as.list.items;
		if (!strcmp(form->as.text.data, "json") && !form[1].as.text.bytes)
			continue;
		if (common && strcmp(common, form->as.text.data) != 0)
			return px_fail(
				PX_EINVAL,
				"%s is an array on some engines and a list, or one of other things, on "
				"others: --format json joins lists",
				name);
		common = form->as.text.data;
	}
	*out = common ? common : "json";
	return 0;
}

static int write_whole(struct px_data_call *call, const char *name, struct px_result *parts)
{
	struct px_new_file file;
	const char *form = NULL;
	int rc = common_form(parts, name, &form);

	if (rc < 0)
		return rc;
	if (!strcmp(form, "npy") && !call->output && isatty(STDOUT_FILENO))
		return px_fail(PX_EINVAL,
			       "an array is not for a terminal: -o FILE.npy writes it to a file");
	rc = px_data_file_begin(call->output, &file);
	if (rc < 0)
		return rc;
	rc = strcmp(form, "npy") ? join_texts(parts, !strcmp(form, "json"), &file) :
				   gather_arrays(call, name, &file);
	return px_data_file_end(&file, rc);
}

static int gather(struct px_data_call *call, const char *name)
{
	const char *form = px_data_wanted(call);
	struct px_result *parts = NULL;
	int code, rc = px_view_call(call->view, PX_DOCUMENTS "give_part", 2,
				    (struct px_value[]){ px_string(name), px_string(form) }, NULL,
				    NULL, &parts);

	code = rc < 0 ? px_command_fail(rc) : px_data_wait(parts, NULL);
	if (code == PX_EXIT_OK) {
		rc = write_whole(call, name, parts);
		code = rc < 0 ? px_command_fail(rc) : PX_EXIT_OK;
	}
	px_result_free(parts);
	return code;
}

static int run(int argc, char **argv)
{
	struct px_data_call call;
	int code = px_data_call_begin(&px_verb_gather, argc, argv, true, 1, &call);

	if (code < 0)
		code = px_data_name_check(argv[optind]) < 0 ?
			       px_command_misuse(&px_verb_gather, "%s", px_last_error()) :
			       gather(&call, argv[optind]);
	px_data_call_end(&call);
	return code;
}

const struct px_verb px_verb_gather = {
	.name = "gather",
	.summary = "join the parts that engines have under a name in a file",
	.run = run,
	.help = "usage: pxrun gather [OPTION...] NAME\n"
		"Joins the parts that the engines have under a name, and writes the whole: the rows of\n"
		"arrays as a .npy file, lists of texts as lines, other lists as JSON.\n\n"
		"  -o, --output FILE      where to (default: standard output)\n"
		"  -f, --format FORM      npy, json or text, whatever FILE is called\n"
		"  -t, --targets IDS      'all' (default) or ids of engines, such as 0,2\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n",
};
