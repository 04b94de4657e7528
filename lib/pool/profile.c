/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * profile.c - reads a profile's YAML.
 */
#include "pool/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "pool/setting.h"
#include "shm/error.h"
#include "shm/layout.h"

#define PATH_BYTES_MAX 4096

/* --- values of YAML --- */

struct reader {
	const char *file;
	yaml_document_t *document;
	struct px_profile *profile;
};

/* Puts file, line and key in front of the words. */
static int fail_at(const struct reader *r, const yaml_node_t *node, const char *key,
		   const char *format, ...) __attribute__((format(printf, 4, 5)));

static int fail_at(const struct reader *r, const yaml_node_t *node, const char *key,
		   const char *format, ...)
{
	char words[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(words, sizeof(words), format, ap);
	va_end(ap);
	return px_fail(PX_EINVAL, "%s:%zu: %s%s%s", r->file, node->start_mark.line + 1, key,
		       *key ? ": " : "", words);
}

/* The text of a scalar, NULL if it is a list, a map, or has a NUL in it. */
static const char *text_of(const yaml_node_t *node)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE)
		return NULL;
	text = (const char *)node->data.scalar.value;
	return strlen(text) == node->data.scalar.length ? text : NULL;
}

/* Unquoted and not empty or one of YAML's words for nothing. */
static bool is_null(const yaml_node_t *node)
{
	const char *text = text_of(node);

	return text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*text || !strcmp(text, "~") || !strcmp(text, "null"));
}

static bool is_quoted(const yaml_node_t *node)
{
	return node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
}

/* Says again, with file and line, what a px_setting_…() has said. */
static int pass_on(const struct reader *r, const yaml_node_t *node, int rc)
{
	char words[512];

	if (rc == 0)
		return 0;
	snprintf(words, sizeof(words), "%s", px_last_error());
	return fail_at(r, node, "", "%s", words);
}

static int keep(char **out, const char *text)
{
	*out = strdup(text);
	return *out ? 0 : px_fail(PX_ENOMEM, "no private memory for a profile");
}

static int read_engines(struct reader *r, const yaml_node_t *node, const char *key)
{
	const char *text = text_of(node);

	if (!text || is_quoted(node))
		return fail_at(r, node, key, "must be a whole number from 1 to %d", PX_ENGINES_MAX);
	return pass_on(r, node, px_setting_engines(key, text, &r->profile->engines));
}

static int read_size(struct reader *r, const yaml_node_t *node, const char *key, uint64_t *out)
{
	const char *text = text_of(node);

	if (!text)
		return fail_at(r, node, key, "must be a size such as 512M, 4G or 50%%");
	return pass_on(r, node, px_setting_arena(key, text, out));
}

static int read_arena(struct reader *r, const yaml_node_t *node, const char *key)
{
	return read_size(r, node, key, &r->profile->arena_bytes);
}

static int read_quota(struct reader *r, const yaml_node_t *node, const char *key)
{
	return read_size(r, node, key, &r->profile->quota_bytes);
}

static int read_huge_pages(struct reader *r, const yaml_node_t *node, const char *key)
{
	const char *text = text_of(node);

	if (!text)
		return fail_at(r, node, key, "must be 'auto' or 'never'");
	return pass_on(r, node, px_setting_huge_pages(key, text, &r->profile->huge_pages));
}

static int read_restart(struct reader *r, const yaml_node_t *node, const char *key)
{
	const char *text = text_of(node);

	if (!text)
		return fail_at(r, node, key, "must be 'never', 'on-failure' or 'always'");
	return pass_on(r, node, px_setting_restart(key, text, &r->profile->restart));
}

static int read_event_loop(struct reader *r, const yaml_node_t *node, const char *key)
{
	const char *text = text_of(node);

	if (!text)
		return fail_at(r, node, key, "must be 'auto', 'io_uring' or 'epoll'");
	return pass_on(r, node, px_setting_event_loop(key, text, &r->profile->event_loop));
}

static int read_python(struct reader *r, const yaml_node_t *node, const char *key)
{
	const char *text = text_of(node);

	if (!text || text[0] != '/')
		return fail_at(r, node, key,
			       "must be the absolute path of an interpreter, such as "
			       "/usr/bin/python3");
	return keep(&r->profile->python, text);
}

/* [a, b] becomes "a,b". */
static int join_items(struct reader *r, const yaml_node_t *list, const char *key)
{
	const yaml_node_item_t *item = list->data.sequence.items.start;
	size_t used = 0;
	char *joined = calloc(1, PX_PROFILE_FILE_BYTES_MAX);
	int rc = 0;

	if (!joined)
		return px_fail(PX_ENOMEM, "no private memory for a profile");
	for (; item < list->data.sequence.items.top && rc == 0; item++) {
		const yaml_node_t *node = yaml_document_get_node(r->document, *item);
		const char *text = text_of(node);

		if (!text || !*text || strchr(text, ','))
			rc = fail_at(r, node, key, "each item must be the name of a module");
		else
			rc = pass_on(r, node, px_setting_preload(key, text));
		/* Aliases may repeat an item more often than the file is long. */
		if (rc == 0 && used + strlen(text) + 2 > PX_PROFILE_FILE_BYTES_MAX)
			rc = fail_at(r, node, key, "is too long");
		if (rc == 0)
			used += (size_t)sprintf(joined + used, "%s%s", used ? "," : "", text);
	}
	if (rc == 0)
		rc = keep(&r->profile->preload, joined);
	free(joined);
	return rc;
}

static int read_preload(struct reader *r, const yaml_node_t *node, const char *key)
{
	const char *text = text_of(node);

	if (node->type == YAML_SEQUENCE_NODE)
		return join_items(r, node, key);
	if (!text)
		return fail_at(r, node, key,
			       "must be a list of modules, or a text such as numpy,scipy");
	if (px_setting_preload(key, text) < 0)
		return pass_on(r, node, PX_EINVAL);
	return keep(&r->profile->preload, text);
}

static bool variable_valid(const char *name)
{
	return name[0] && !strchr("0123456789", name[0]) &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") ==
		       strlen(name);
}

static int read_variable(struct reader *r, const yaml_node_pair_t *pair, const char *key)
{
	const yaml_node_t *name_node = yaml_document_get_node(r->document, pair->key);
	const yaml_node_t *value_node = yaml_document_get_node(r->document, pair->value);
	const char *name = text_of(name_node), *value = text_of(value_node);
	struct px_profile *profile = r->profile;

	if (!name || !variable_valid(name))
		return fail_at(r, name_node, key,
			       "'%.80s' is no name of a variable: letters, digits and '_'",
			       name ? name : "?");
	if (!value || is_null(value_node))
		return fail_at(r, value_node, key,
			       "the value of %.80s must be a text (\"\" if it is to be empty)",
			       name);
	for (size_t i = 0; i < profile->env_count; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): what is counted is set */
		if (!strncmp(profile->env[i], name, strlen(name)) &&
		    profile->env[i][strlen(name)] == '=')
			return fail_at(r, name_node, key, "%.80s is set twice", name);
	if (asprintf(&profile->env[profile->env_count], "%s=%s", name, value) < 0) {
		profile->env[profile->env_count] = NULL;
		return px_fail(PX_ENOMEM, "no private memory for a profile");
	}
	profile->env_count++;
	return 0;
}

static int read_env(struct reader *r, const yaml_node_t *node, const char *key)
{
	const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	int rc = 0;

	if (node->type != YAML_MAPPING_NODE)
		return fail_at(r, node, key, "must be a map of variables, NAME: value");
	r->profile->env = calloc((size_t)(node->data.mapping.pairs.top - pair) + 1, sizeof(char *));
	if (!r->profile->env)
		return px_fail(PX_ENOMEM, "no private memory for a profile");
	for (; pair < node->data.mapping.pairs.top && rc == 0; pair++)
		rc = read_variable(r, pair, key);
	return rc;
}

static int read_pin(struct reader *r, const yaml_node_t *node, const char *key)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };
	const char *text = text_of(node);

	for (int i = 0; text && !is_quoted(node) && i < 6; i++)
		if (!strcmp(text, words[i])) {
			r->profile->pin = i % 2;
			return 0;
		}
	return fail_at(r, node, key, "must be true or false");
}

/* --- the document --- */

static const struct {
	const char *name;
	int (*read)(struct reader *r, const yaml_node_t *node, const char *key);
} keys[] = {
	{ "engines", read_engines }, { "arena", read_arena },
	{ "quota", read_quota },     { "huge_pages", read_huge_pages },
	{ "restart", read_restart }, { "event_loop", read_event_loop },
	{ "python", read_python },   { "preload", read_preload },
	{ "env", read_env },         { "pin", read_pin },
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static int read_pair(struct reader *r, const yaml_node_pair_t *pair, bool *seen)
{
	const yaml_node_t *key_node = yaml_document_get_node(r->document, pair->key);
	const yaml_node_t *value = yaml_document_get_node(r->document, pair->value);
	const char *key = text_of(key_node);

	for (size_t i = 0; key && i < KEYS; i++) {
		if (strcmp(key, keys[i].name))
			continue;
		if (seen[i])
			return fail_at(r, key_node, key, "stands here for the second time");
		seen[i] = true;
		if (is_null(value))
			return fail_at(r, key_node, key,
				       "has no value: remove the line, or give one");
		return keys[i].read(r, value, key);
	}
	return fail_at(
		r, key_node, "",
		"unknown key '%.80s': the keys are engines, arena, quota, huge_pages, restart, "
		"event_loop, python, preload, env and pin",
		key ? key : "?");
}

static int read_document(struct reader *r)
{
	const yaml_node_t *root = yaml_document_get_root_node(r->document);
	const yaml_node_pair_t *pair;
	bool seen[KEYS] = { false };
	int rc = 0;

	/* Nothing but comments. */
	if (!root || is_null(root))
		return 0;
	if (root->type != YAML_MAPPING_NODE)
		return fail_at(r, root, "", "a profile is a map of keys, such as `engines: 4`");
	for (pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top && rc == 0;
	     pair++)
		rc = read_pair(r, pair, seen);
	return rc;
}

static int syntax_error(const char *file, const yaml_parser_t *parser)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return px_fail(PX_ENOMEM, "no private memory for a profile");
	/* The reader, below characters, knows no lines. */
	if (parser->error == YAML_READER_ERROR)
		return px_fail(PX_EINVAL, "%s:%zu: not UTF-8 text: %s", file, parser->mark.line + 1,
			       parser->problem);
	return px_fail(PX_EINVAL, "%s:%zu: not YAML: %s%s%s", file, parser->problem_mark.line + 1,
		       parser->context ? parser->context : "", parser->context ? ", " : "",
		       parser->problem);
}

/* One document, and nothing behind it. */
static int load(const char *file, yaml_parser_t *parser, struct px_profile *profile)
{
	yaml_document_t document, second;
	struct reader r = { file, &document, profile };
	int rc;

	if (!yaml_parser_load(parser, &document))
		return syntax_error(file, parser);
	rc = read_document(&r);
	if (rc == 0 && !yaml_parser_load(parser, &second)) {
		rc = syntax_error(file, parser);
	} else if (rc == 0) {
		if (yaml_document_get_root_node(&second))
			rc = fail_at(&r, yaml_document_get_root_node(&second), "",
				     "a second document: a profile is one");
		yaml_document_delete(&second);
	}
	yaml_document_delete(&document);
	return rc;
}

int px_profile_parse(const char *file, const char *text, size_t bytes, struct px_profile *out)
{
	struct px_profile profile = { .pin = -1 };
	yaml_parser_t parser;
	int rc;

	if (bytes > PX_PROFILE_FILE_BYTES_MAX)
		return px_fail(PX_EINVAL, "%s: is longer than %d bytes: not a profile", file,
			       PX_PROFILE_FILE_BYTES_MAX);
	if (!yaml_parser_initialize(&parser))
		return px_fail(PX_ENOMEM, "no private memory for a profile");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
	rc = load(file, &parser, &profile);
	yaml_parser_delete(&parser);
	if (rc < 0)
		px_profile_clear(&profile);
	else
		*out = profile;
	return rc;
}

void px_profile_clear(struct px_profile *profile)
{
	for (size_t i = 0; i < profile->env_count; i++)
		free(profile->env[i]);
	free(profile->env);
	free(profile->python);
	free(profile->preload);
	memset(profile, 0, sizeof(*profile));
	profile->pin = -1;
}

/* --- files --- */

int px_profile_path(const char *name, char *out, size_t out_bytes)
{
	const char *base = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	const struct passwd *user;
	int length;

	if (base && base[0] == '/') {
		length = snprintf(out, out_bytes, "%s/pxrun/%s.yaml", base, name);
	} else {
		if (!home || home[0] != '/') {
			user = getpwuid(getuid());
			if (!user)
				return px_fail(PX_ESYSTEM, "no home folder is known: set HOME");
			home = user->pw_dir;
		}
		length = snprintf(out, out_bytes, "%s/.config/pxrun/%s.yaml", home, name);
	}
	if ((size_t)length >= out_bytes)
		return px_fail(PX_EINVAL, "the path of the profile '%s' is too long", name);
	return 0;
}

/* Reads the file into text; -1 bytes if there is none. */
static int read_file(const char *path, char *text, ssize_t *bytes)
{
	ssize_t got = 0;
	size_t used = 0;
	/* Not to hang on a pipe that lies there by mistake. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	*bytes = -1;
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return px_fail_errno("opening the profile %s", path);
	do {
		got = read(fd, text + used, PX_PROFILE_FILE_BYTES_MAX + 1 - used);
		if (got > 0)
			used += (size_t)got;
	} while ((got > 0 && used <= PX_PROFILE_FILE_BYTES_MAX) || (got < 0 && errno == EINTR));
	if (got < 0) {
		int rc = px_fail_errno("reading the profile %s", path);

		close(fd);
		return rc;
	}
	close(fd);
	*bytes = (ssize_t)used;
	return 0;
}

int px_profile_load(const char *name, struct px_profile *out)
{
	char path[PATH_BYTES_MAX];
	ssize_t bytes = -1;
	char *text = NULL;
	int rc = px_profile_path(name, path, sizeof(path));

	if (rc < 0)
		return rc;
	text = malloc(PX_PROFILE_FILE_BYTES_MAX + 1);
	if (!text)
		return px_fail(PX_ENOMEM, "no private memory for a profile");
	rc = read_file(path, text, &bytes);
	if (rc == 0)
		rc = px_profile_parse(path, text, bytes < 0 ? 0 : (size_t)bytes, out);
	free(text);
	return rc;
}
