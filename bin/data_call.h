/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * data_call.h - what verbs that move values have in common: their command line, forms of files, failures.
 */
#ifndef PX_DATA_CALL_H
#define PX_DATA_CALL_H

#include <stdbool.h>

#include "bin/command.h"
#include "bin/targets.h"

/* Functions on engines. */
#define PX_DOCUMENTS "pxrun.engine.documents:"

struct px_data_call {
	const char *form;   /* --format: "npy", "json", "text"; "": not given */
	const char *output; /* -o; NULL: standard output */
	struct px_targets targets;
	struct px_client *client;
	struct px_view *view;
};

/*
 * Reads options, -o only if `writes`, and attaches; optind is that of the first argument, of which there must be
 * at least one and at most `most`. -1: the verb can go on. Else an exit code. In each case the caller ends it.
 */
int px_data_call_begin(const struct px_verb *verb, int argc, char **argv, bool writes, int most,
		       struct px_data_call *out);
void px_data_call_end(struct px_data_call *call);

/* What an argument NAME=FILE has named. */
struct px_data_source {
	const char *name, *path;
	const char *form; /* "npy", "json" or "text" */
	int fd;
};

/*
 * Parts NAME=FILE, opens the file, has it sent to the engines, and waits. stdin_form: that of standard input,
 * if no other is given; "": one has to be. Prints failures; returns an exit code.
 */
int px_data_send(struct px_data_call *call, const struct px_verb *verb, const char *argument,
		 const char *stdin_form,
		 int (*send)(struct px_data_call *call, const struct px_data_source *source,
			     struct px_result **result));

/* Whether a Python variable can have that name; PX_EINVAL, in words. */
int px_data_name_check(const char *name);
/* The form of a file by the ending of its name; otherwise: if that tells nothing. */
const char *px_data_form(const char *path, const char *otherwise);
/* The form that is asked for: --format's, else that of the output's name; "": none. */
const char *px_data_wanted(const struct px_data_call *call);
/*
 * Waits for a result, and prints its failures: "pxrun: WHAT: engine 1: words", those that are alike in one
 * line. what: NULL if the words say it. Returns an exit code.
 */
int px_data_wait(struct px_result *result, const char *what);
/*
 * What an engine has given, a list of a form's name and bytes, or, if arrays are expected, an array: code of users
 * can have changed what gives it. As px_result_value(); PX_ECORRUPT.
 */
int px_data_given(struct px_result *result, size_t index, bool arrays, struct px_value *out);

#endif
