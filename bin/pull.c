/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pull.c - `pxrun pull`: writes what engines have under a name to files, or to standard output.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bin/data_call.h"
#include "bin/data_file.h"
#include "client/npy.h"
#include "shm/error.h"

/* The file for an engine: its id is in place of {}, or, of several, before the ending. */
static int name_file(const struct px_data_call *call, uint32_t engine, char out[PATH_MAX])
{
	const char *output = call->output, *braces = strstr(output, "{}");
	const char *last = strrchr(output, '/'), *dot = strrchr(output, '.');
	int length;

	if (braces)
		length = snprintf(out, PATH_MAX, "%.*s%u%s", (int)(braces - output), output, engine,
				  braces + 2);
	else if (call->targets.count == 1)
		length = snprintf(out, PATH_MAX, "%s", output);
	else if (dot && dot > (last ? last + 1 : output))
		length = snprintf(out, PATH_MAX, "%.*s-%u%s", (int)(dot - output), output, engine,
				  dot);
	else
		length = snprintf(out, PATH_MAX, "%s-%u", output, engine);
	return length < PATH_MAX ? 0 : px_fail(PX_EINVAL, "the name of the file is too long");
}

/* Whether standard output can have an array. */
static int check_array(const struct px_data_call *call)
{
	if (call->output)
		return 0;
	if (isatty(STDOUT_FILENO))
		return px_fail(PX_EINVAL,
			       "an array is not for a terminal: -o FILE.npy writes it to a "
			       "file, --format text shows it");
	if (call->targets.count > 1)
		return px_fail(PX_EINVAL,
			       "arrays of several engines: -o FILE.npy writes a file for each, -t "
			       "chooses one engine, pxrun gather joins them");
	return 0;
}

static int write_text(struct px_new_file *file, const struct px_value *text, bool whole_line)
{
	const char *data = text->as.text.data;
	uint64_t bytes = text->as.text.bytes;
	int rc = px_write_all(file->fd, data, bytes, file->path);

	if (rc == 0 && whole_line && (!bytes || data[bytes - 1] != '\n'))
		rc = px_write_all(file->fd, "\n", 1, file->path);
	return rc;
}

/* Writes what one engine has given: a form, and an array or bytes. */
static int write_one(const struct px_data_call *call, uint32_t engine, const struct px_value *given)
{
	const struct px_value *form = &given->as.list.items[0], *what = form + 1;
	char path[PATH_MAX];
	struct px_new_file file;
	int rc = what->type == PX_ARRAY ? check_array(call) : 0;

	if (rc == 0 && call->output)
		rc = name_file(call, engine, path);
	if (rc == 0)
		rc = px_data_file_begin(call->output ? path : NULL, &file);
	if (rc < 0)
		return rc;
	/* A text goes to its file as it is; a terminal, and JSON, have lines. */
	rc = what->type == PX_ARRAY ?
		     px_npy_write(file.fd, what->as.array, file.path) :
		     write_text(&file, what,
				!call->output || strcmp(form->as.text.data, "text") != 0);
	return px_data_file_end(&file, rc);
}

static int pull(struct px_data_call *call, const char *name)
{
	const char *form = px_data_wanted(call);
	struct px_result *result = NULL;
	int code, rc = px_view_call(call->view, PX_DOCUMENTS "give", 2,
				    (struct px_value[]){ px_string(name), px_string(form) }, NULL,
				    NULL, &result);

	code = rc < 0 ? px_command_fail(rc) : px_data_wait(result, NULL);
	for (size_t i = 0; rc == 0 && i < px_result_count(result); i++) {
		struct px_value given;

		if (px_result_value(result, i, &given) < 0)
			continue; /* it is said already */
		rc = px_data_given(result, i, true, &given);
		if (rc == 0)
			rc = write_one(call, px_result_engine(result, i), &given);
		if (rc < 0)
			code = px_command_fail(rc);
	}
	px_result_free(result);
	return code;
}

static int run(int argc, char **argv)
{
	struct px_data_call call;
	int code = px_data_call_begin(&px_verb_pull, argc, argv, true, 1, &call);

	if (code < 0)
		code = px_data_name_check(argv[optind]) < 0 ?
			       px_command_misuse(&px_verb_pull, "%s", px_last_error()) :
			       pull(&call, argv[optind]);
	px_data_call_end(&call);
	return code;
}

const struct px_verb px_verb_pull = {
	.name = "pull",
	.summary = "write what engines have under a name to files",
	.run = run,
	.help = "usage: pxrun pull [OPTION...] NAME\n"
		"Writes what each engine has under a name: arrays as .npy files, texts as they are, all\n"
		"else as JSON.\n\n"
		"  -o, --output FILE      where to (default: standard output); the engine's id is in place\n"
		"                         of {}, or, of several engines, put before the ending\n"
		"  -f, --format FORM      npy, json or text, whatever FILE is called; text of what is no\n"
		"                         text is its repr\n"
		"  -t, --targets IDS      'all' (default) or ids of engines, such as 0,2\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n",
};
