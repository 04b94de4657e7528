/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * data_call.c - reads command lines about values, and tells what engines refuse.
 */
#include "bin/data_call.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bin/data_file.h"
#include "bin/pool_option.h"
#include "bin/visible.h"
#include "shm/error.h"

/* --- the command line --- */

struct reading {
	const char *profile;
	struct px_data_call *call;
};

static int take(void *ctx, int option, const char *value)
{
	struct reading *reading = ctx;
	struct px_data_call *call = reading->call;

	if (option == 'p')
		reading->profile = value;
	else if (option == 't')
		return px_targets_parse(value, &call->targets);
	else if (option == 'o' && !*value)
		return px_fail(PX_EINVAL, "-o must be the name of a file, not ''");
	else if (option == 'o')
		call->output = value;
	else if (strcmp(value, "npy") && strcmp(value, "json") && strcmp(value, "text"))
		return px_fail(PX_EINVAL, "--format must be npy, json or text, not '%.80s'", value);
	else
		call->form = value;
	return 0;
}

static int attach(const char *profile, struct px_data_call *call)
{
	int rc = px_client_attach(profile, 0, &call->client);

	if (rc == 0)
		rc = px_targets_find(call->client, &call->targets);
	if (rc == 0)
		rc = px_view_of(call->client, call->targets.ids, call->targets.count, &call->view);
	return rc;
}

int px_data_call_begin(const struct px_verb *verb, int argc, char **argv, bool writes, int most,
		       struct px_data_call *out)
{
	static const struct option options[] = { { "format", required_argument, NULL, 'f' },
						 { "profile", required_argument, NULL, 'p' },
						 { "targets", required_argument, NULL, 't' },
						 { "output", required_argument, NULL, 'o' } };
	struct reading reading = { .call = out };
	const struct px_own_options own = { writes ? "f:p:t:o:" : "f:p:t:", options, writes ? 4 : 3,
					    take, &reading };
	int rc;

	*out = (struct px_data_call){ .form = "" };
	rc = px_pool_options_read(verb, argc, argv, &own, NULL);
	if (rc != 0)
		return px_pool_options_end(verb, rc);
	if (optind == argc)
		return px_command_misuse(verb, "no name: what is it about?");
	if (argc - optind > most)
		return px_command_misuse(verb, "unexpected argument '%s'", argv[optind + most]);
	rc = attach(reading.profile, out);
	return rc < 0 ? px_command_fail(rc) : -1;
}

void px_data_call_end(struct px_data_call *call)
{
	px_view_free(call->view);
	px_client_detach(call->client);
}

/* --- names and forms --- */

int px_data_name_check(const char *name)
{
	bool good = *name && !isdigit((unsigned char)*name);

	for (const char *at = name; *at && good; at++)
		good = isalnum((unsigned char)*at) || *at == '_' || (unsigned char)*at >= 0x80;
	return good ? 0 :
		      px_fail(PX_EINVAL,
			      "'%.80s' is no name of a variable: these have letters, digits and _, and "
			      "begin with no digit",
			      name);
}

/* Parts NAME=FILE. PX_EINVAL, in words. */
static int parse(const char *argument, char *name, size_t name_bytes, const char **path)
{
	const char *equals = strchr(argument, '=');

	if (!equals || !equals[1])
		return px_fail(PX_EINVAL, "'%.80s' is not NAME=FILE, such as a=numbers.npy",
			       argument);
	if ((size_t)(equals - argument) >= name_bytes)
		return px_fail(PX_EINVAL, "the name is too long");
	snprintf(name, name_bytes, "%.*s", (int)(equals - argument), argument);
	*path = equals + 1;
	return px_data_name_check(name);
}

const char *px_data_form(const char *path, const char *otherwise)
{
	static const char *const endings[][2] = { { ".npy", "npy" },
						  { ".json", "json" },
						  { ".txt", "text" } };
	size_t length = strlen(path);

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t ending = strlen(endings[i][0]);

		if (length > ending && !strcmp(path + length - ending, endings[i][0]))
			return endings[i][1];
	}
	return otherwise;
}

const char *px_data_wanted(const struct px_data_call *call)
{
	return *call->form || !call->output ? call->form : px_data_form(call->output, "");
}

/* --- failures --- */

/* The words of an entry's failure, in out; its code, 0 if it has not failed. */
static int words_of(struct px_result *result, size_t index, char *out, size_t out_bytes)
{
	const char *ename = "", *evalue = "";
	struct px_value value;
	int rc = px_result_value(result, index, &value);

	if (rc == PX_EREMOTE) {
		(void)px_result_error(result, index, &ename, &evalue, NULL);
		if (!strcmp(ename, "Refusal"))
			snprintf(out, out_bytes, "%s", evalue);
		else
			snprintf(out, out_bytes, "%s: %s", ename, evalue);
	} else if (rc < 0) {
		snprintf(out, out_bytes, "%s", px_last_error());
	}
	return rc;
}

/* The engines from an entry on that have failed for the same reason. */
static void print_engines(struct px_result *result, size_t index, const char *words)
{
	char other[1024];
	unsigned more = 0;

	for (size_t i = index + 1; i < px_result_count(result); i++)
		if (words_of(result, i, other, sizeof(other)) < 0 && !strcmp(other, words))
			more++;
	fprintf(stderr, "engine%s %u", more ? "s" : "", px_result_engine(result, index));
	for (size_t i = index + 1; i < px_result_count(result) && more; i++)
		if (words_of(result, i, other, sizeof(other)) < 0 && !strcmp(other, words))
			fprintf(stderr, ", %u", px_result_engine(result, i));
}

static bool is_known(struct px_result *result, size_t index, const char *words)
{
	char other[1024];

	for (size_t i = 0; i < index; i++)
		if (words_of(result, i, other, sizeof(other)) < 0 && !strcmp(other, words))
			return true;
	return false;
}

int px_data_given(struct px_result *result, size_t index, bool arrays, struct px_value *out)
{
	const struct px_value *parts;
	struct px_value value;
	int rc = px_result_value(result, index, &value);

	if (rc < 0)
		return rc;
	parts = value.as.list.items;
	if (value.type != PX_LIST || value.as.list.count != 2 || parts[0].type != PX_STRING ||
	    (parts[1].type != PX_BYTES && !(arrays && parts[1].type == PX_ARRAY)))
		return px_fail(PX_ECORRUPT, "the answer of engine %u makes no sense",
			       px_result_engine(result, index));
	*out = value;
	return 0;
}

int px_data_wait(struct px_result *result, const char *what)
{
	int code = PX_EXIT_OK, rc;
	char words[1024];

	do
		rc = px_result_wait(result, PX_FOREVER);
	while (rc == PX_EINTR);
	if (rc < 0)
		return px_command_fail(rc);
	for (size_t i = 0; i < px_result_count(result); i++) {
		rc = words_of(result, i, words, sizeof(words));
		if (rc == 0)
			continue;
		code = px_command_exit(rc) == PX_EXIT_USAGE ? PX_EXIT_FAILED : px_command_exit(rc);
		if (is_known(result, i, words))
			continue;
		fprintf(stderr, "pxrun: %s%s", what ? what : "", what ? ": " : "");
		print_engines(result, i, words);
		fputs(": ", stderr);
		px_visible_write(words, stderr);
		fputc('\n', stderr);
	}
	return code;
}

/* --- from files --- */

int px_data_send(struct px_data_call *call, const struct px_verb *verb, const char *argument,
		 const char *stdin_form,
		 int (*send)(struct px_data_call *call, const struct px_data_source *source,
			     struct px_result **result))
{
	struct px_result *result = NULL;
	struct px_data_source source;
	char name[256];
	int rc = parse(argument, name, sizeof(name), &source.path), code;

	if (rc < 0)
		return px_command_misuse(verb, "%s", px_last_error());
	source.name = name;
	source.form = *call->form ? call->form :
				    px_data_form(source.path,
						 strcmp(source.path, "-") ? "text" : stdin_form);
	if (!*source.form)
		return px_command_misuse(
			verb, "standard input does not say what it is: --format npy, json or text");
	source.fd = px_data_open(source.path);
	if (source.fd < 0)
		return px_command_fail(source.fd);
	rc = send(call, &source, &result);
	close(source.fd);
	code = rc < 0 ? px_command_fail(rc) : px_data_wait(result, argument);
	px_result_free(result);
	return code;
}
