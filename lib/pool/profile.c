/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * profile.c - reads a profile's YAML.
 */
#include "pool/profile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "pool/home.h"
#include "shm/error.h"

#define PATH_BYTES_MAX 4096

/* --- values of YAML --- */

struct reader {
	const char *file;
	yaml_document_t *document;
	struct px_settings *settings;
	const struct px_profile_listener *listener; /* NULL: the first error is the end */
	bool wrong;                                 /* it was told an error */
};

/* Tells the listener of an error in the text. 0: go on. */
static int heed(struct reader *r, int rc)
{
	if (rc != PX_EINVAL || !r->listener)
		return rc;
	r->listener->error(r->listener->ctx, px_last_error());
	r->wrong = true;
	return 0;
}

/* File, line and column: "default.yaml:3:8: " and what, in out[PLACE_BYTES]. */
#define PLACE_BYTES (PATH_BYTES_MAX + 128)

static const char *place(const struct reader *r, const yaml_node_t *node, const char *what,
			 char *out)
{
	snprintf(out, PLACE_BYTES, "%s:%zu:%zu: %s", r->file, node->start_mark.line + 1,
		 node->start_mark.column + 1, what);
	return out;
}

/* Puts file, line and column in front of the words. */
static int fail_at(const struct reader *r, const yaml_node_t *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail_at(const struct reader *r, const yaml_node_t *node, const char *format, ...)
{
	char words[512], at[PLACE_BYTES];
	va_list ap;

	va_start(ap, format);
	vsnprintf(words, sizeof(words), format, ap);
	va_end(ap);
	return px_fail(PX_EINVAL, "%s%s", place(r, node, "", at), words);
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

/* Whether a scalar is null: unquoted, and empty or one of YAML's words for it. */
static bool is_null(const yaml_node_t *node)
{
	const char *text = text_of(node);

	return text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*text || !strcmp(text, "~") || !strcmp(text, "null"));
}

static int refuse(const struct reader *r, const yaml_node_t *node, enum px_setting_id id,
		  const char *found)
{
	char what[PLACE_BYTES];

	return px_setting_refuse(&px_settings_table[id],
				 place(r, node, px_settings_table[id].name, what), found);
}

static const char *found(const yaml_node_t *node)
{
	switch (node->type) {
	case YAML_SEQUENCE_NODE:
		return "a list";
	case YAML_MAPPING_NODE:
		return "a map";
	default:
		return text_of(node) ? "a text" : "a text with a NUL";
	}
}

static void note_place(struct reader *r, const yaml_node_t *node, enum px_setting_id id)
{
	r->settings->values[id].line = node->start_mark.line + 1;
	r->settings->values[id].column = node->start_mark.column + 1;
}

static int set(struct reader *r, const yaml_node_t *node, enum px_setting_id id, const char *text)
{
	char what[PLACE_BYTES];
	int rc = px_settings_set(r->settings, id, PX_FROM_PROFILE,
				 place(r, node, px_settings_table[id].name, what), text);

	if (rc == 0)
		note_place(r, node, id);
	return rc;
}

static int read_scalar(struct reader *r, const yaml_node_t *node, enum px_setting_id id)
{
	enum px_setting_type type = px_settings_table[id].type;
	const char *text = text_of(node);
	char quoted[84];
	bool plain = node->type == YAML_SCALAR_NODE &&
		     node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (!text)
		return refuse(r, node, id, found(node));
	if (!plain && (type == PX_TYPE_COUNT || type == PX_TYPE_FLAG))
		return refuse(r, node, id, "a text in quotes");
	/* A relative path would have no folder to begin at. */
	if ((type == PX_TYPE_PROGRAM || type == PX_TYPE_FILE ||
	     px_setting_is_path(&px_settings_table[id], text)) &&
	    text[0] != '/' && strncmp(text, "~/", 2)) {
		snprintf(quoted, sizeof(quoted), "'%.80s'", text);
		return refuse(r, node, id, quoted);
	}
	return set(r, node, id, text);
}

/* What stands between the items of a list, in its text. */
static char separator_of(enum px_setting_id id)
{
	return px_settings_table[id].type == PX_TYPE_WORDS ? ' ' : ',';
}

static int check_item(const struct reader *r, const yaml_node_t *node, enum px_setting_id id)
{
	const char *key = px_settings_table[id].name, *text = text_of(node);
	char what[PLACE_BYTES];
	uint64_t number;

	if (!text || !*text || strchr(text, separator_of(id)))
		return fail_at(r, node, "%s: each item must be %s", key,
			       px_settings_table[id].type == PX_TYPE_WORDS ?
				       "one word" :
				       "the name of a module");
	return px_setting_parse(&px_settings_table[id], place(r, node, key, what), text, &number);
}

/* [a, b] becomes "a,b". Items that are wrong are left out, if that is no end. */
static int join_items(struct reader *r, const yaml_node_t *list, enum px_setting_id id,
		      char *joined)
{
	const yaml_node_item_t *item = list->data.sequence.items.start;
	size_t used = 0;

	for (; item < list->data.sequence.items.top; item++) {
		const yaml_node_t *node = yaml_document_get_node(r->document, *item);
		int checked = check_item(r, node, id), rc = heed(r, checked);

		if (rc < 0)
			return rc;
		if (checked < 0)
			continue;
		/* By aliases a short file may repeat an item very often. */
		if (used + strlen(text_of(node)) + 2 > PX_PROFILE_FILE_BYTES_MAX)
			return fail_at(r, node, "%s: is too long", px_settings_table[id].name);
		if (used)
			joined[used++] = separator_of(id);
		used += (size_t)sprintf(joined + used, "%s", text_of(node));
	}
	return 0;
}

static int read_list(struct reader *r, const yaml_node_t *list, enum px_setting_id id)
{
	char *joined = calloc(1, PX_PROFILE_FILE_BYTES_MAX);
	int rc;

	if (!joined)
		return px_fail(PX_ENOMEM, "no private memory for a profile");
	rc = join_items(r, list, id, joined);
	if (rc == 0)
		rc = set(r, list, id, joined);
	free(joined);
	return rc;
}

static bool variable_valid(const char *name)
{
	return name[0] && !strchr("0123456789", name[0]) &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") ==
		       strlen(name);
}

/* Appends NAME=value. */
static int read_variable(struct reader *r, const yaml_node_pair_t *pair, const char *key,
			 char **list)
{
	const yaml_node_t *name_node = yaml_document_get_node(r->document, pair->key);
	const yaml_node_t *value_node = yaml_document_get_node(r->document, pair->value);
	const char *name = text_of(name_node), *value = text_of(value_node);

	if (!name || !variable_valid(name))
		return fail_at(r, name_node,
			       "%s: '%.80s' is no name of a variable: letters, digits and '_'", key,
			       name ? name : "?");
	if (!value || is_null(value_node))
		return fail_at(r, value_node,
			       "%s: the value of %.80s must be a text (\"\" if it is to be empty)",
			       key, name);
	for (; *list; list++)
		if (!strncmp(*list, name, strlen(name)) && (*list)[strlen(name)] == '=')
			return fail_at(r, name_node, "%s: %.80s is set twice", key, name);
	if (asprintf(list, "%s=%s", name, value) < 0) {
		*list = NULL;
		return px_fail(PX_ENOMEM, "no private memory for a profile");
	}
	return 0;
}

static int read_variables(struct reader *r, const yaml_node_t *node, enum px_setting_id id)
{
	const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	struct px_setting_value *value = &r->settings->values[id];
	int rc = 0;

	if (node->type != YAML_MAPPING_NODE)
		return refuse(r, node, id, found(node));
	value->list = calloc((size_t)(node->data.mapping.pairs.top - pair) + 1, sizeof(char *));
	if (!value->list)
		return px_fail(PX_ENOMEM, "no private memory for a profile");
	value->source = PX_FROM_PROFILE;
	note_place(r, node, id);
	for (; pair < node->data.mapping.pairs.top && rc == 0; pair++)
		rc = heed(r, read_variable(r, pair, px_settings_table[id].name, value->list));
	return rc;
}

/* --- the document --- */

static int read_value(struct reader *r, const yaml_node_t *node, enum px_setting_id id)
{
	enum px_setting_type type = px_settings_table[id].type;

	if (type == PX_TYPE_VARIABLES)
		return read_variables(r, node, id);
	if ((type == PX_TYPE_MODULES || type == PX_TYPE_WORDS) && node->type == YAML_SEQUENCE_NODE)
		return read_list(r, node, id);
	return read_scalar(r, node, id);
}

static int read_pair(struct reader *r, const yaml_node_pair_t *pair, bool *seen)
{
	const yaml_node_t *key_node = yaml_document_get_node(r->document, pair->key);
	const yaml_node_t *value = yaml_document_get_node(r->document, pair->value);
	const char *key = text_of(key_node);
	enum px_setting_id id = key ? px_settings_find(key, PX_OF_PROFILE) : PX_SETTINGS;
	char what[PLACE_BYTES];

	if (id == PX_SETTINGS)
		return px_settings_unknown(place(r, key_node, "unknown key", what), "key",
					   key ? key : found(key_node), PX_OF_PROFILE);
	if (seen[id])
		return fail_at(r, key_node, "%s: stands here for the second time", key);
	seen[id] = true;
	if (is_null(value))
		return fail_at(r, key_node, "%s: has no value: remove the line, or give one", key);
	return read_value(r, value, id);
}

static int read_document(struct reader *r)
{
	const yaml_node_t *root = yaml_document_get_root_node(r->document);
	const yaml_node_pair_t *pair;
	bool seen[PX_SETTINGS] = { false };
	int rc = 0;

	/* Nothing but comments. */
	if (!root || is_null(root))
		return 0;
	if (root->type != YAML_MAPPING_NODE)
		return fail_at(r, root, "a profile is a map of keys, such as `engines: 4`");
	for (pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top && rc == 0;
	     pair++)
		rc = heed(r, read_pair(r, pair, seen));
	return rc;
}

/* For problems below the level of characters libyaml has no line, only an offset. */
static int character_error(const char *file, const yaml_parser_t *parser)
{
	const char *text = (const char *)parser->input.string.start, *line = text;
	const char *at = text + parser->problem_offset, *end;
	size_t lines = 1;

	while ((end = memchr(line, '\n', (size_t)(at - line)))) {
		line = end + 1;
		lines++;
	}
	return px_fail(PX_EINVAL, "%s:%zu:%zu: not UTF-8 text: %s", file, lines,
		       (size_t)(at - line) + 1, parser->problem);
}

static int syntax_error(const char *file, const yaml_parser_t *parser)
{
	const yaml_mark_t *mark = &parser->problem_mark;

	if (parser->error == YAML_MEMORY_ERROR)
		return px_fail(PX_ENOMEM, "no private memory for a profile");
	if (parser->error == YAML_READER_ERROR)
		return character_error(file, parser);
	return px_fail(PX_EINVAL, "%s:%zu:%zu: not YAML: %s%s%s", file, mark->line + 1,
		       mark->column + 1, parser->context ? parser->context : "",
		       parser->context ? ", " : "", parser->problem);
}

/* There must be one document, and nothing after it. */
static int read_end(struct reader *r, yaml_parser_t *parser)
{
	yaml_document_t second;
	int rc = 0;

	if (!yaml_parser_load(parser, &second))
		return syntax_error(r->file, parser);
	if (yaml_document_get_root_node(&second))
		rc = fail_at(r, yaml_document_get_root_node(&second),
			     "a second document: a profile is one");
	yaml_document_delete(&second);
	return rc;
}

static int read_text(struct reader *r, yaml_parser_t *parser)
{
	yaml_document_t document;
	int rc;

	if (!yaml_parser_load(parser, &document))
		return heed(r, syntax_error(r->file, parser));
	r->document = &document;
	rc = heed(r, read_document(r));
	if (rc == 0)
		rc = heed(r, read_end(r, parser));
	yaml_document_delete(&document);
	return rc;
}

int px_profile_parse(const char *file, const char *text, size_t bytes, struct px_settings *settings,
		     const struct px_profile_listener *listener)
{
	struct reader r = { .file = file, .settings = settings, .listener = listener };
	yaml_parser_t parser;
	int rc;

	if (bytes > PX_PROFILE_FILE_BYTES_MAX)
		return px_fail(PX_EINVAL, "%s: is longer than %d bytes: not a profile", file,
			       PX_PROFILE_FILE_BYTES_MAX);
	free(settings->profile);
	settings->profile = strdup(file);
	if (!settings->profile || !yaml_parser_initialize(&parser))
		return px_fail(PX_ENOMEM, "no private memory for a profile");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
	rc = read_text(&r, &parser);
	yaml_parser_delete(&parser);
	return rc == 0 && r.wrong ? PX_EINVAL : rc;
}

/* --- files --- */

int px_profile_path(const char *name, char *out, size_t out_bytes)
{
	const char *base = getenv("XDG_CONFIG_HOME");
	char suffix[128];

	if (!base || base[0] != '/') {
		snprintf(suffix, sizeof(suffix), "/.config/pxrun/%s.yaml", name);
		return px_home_path(suffix, out, out_bytes);
	}
	if ((size_t)snprintf(out, out_bytes, "%s/pxrun/%s.yaml", base, name) >= out_bytes)
		return px_fail(PX_EINVAL, "the path of the profile '%s' is too long", name);
	return 0;
}

static int open_file(const char *path)
{
	/* O_NONBLOCK, lest it hang if the path is a FIFO that nobody writes to. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? px_fail_errno("opening the profile %s", path) : fd;
}

/* Reads the file into text, and one byte more than is allowed. */
static int read_file(int fd, const char *path, char *text, size_t *bytes)
{
	struct pollfd more = { .fd = fd, .events = POLLIN };
	ssize_t got;

	*bytes = 0;
	do {
		got = read(fd, text + *bytes, PX_PROFILE_FILE_BYTES_MAX + 1 - *bytes);
		if (got > 0)
			*bytes += (size_t)got;
		else if (got < 0 && errno == EAGAIN)
			got = poll(&more, 1, -1);
	} while ((got > 0 && *bytes <= PX_PROFILE_FILE_BYTES_MAX) || (got < 0 && errno == EINTR));
	return got < 0 ? px_fail_errno("reading the profile %s", path) : 0;
}

int px_profile_read(const char *path, struct px_settings *settings,
		    const struct px_profile_listener *listener)
{
	int fd = open_file(path), rc;
	char *text;
	size_t bytes = 0;

	if (fd < 0)
		return fd;
	text = malloc(PX_PROFILE_FILE_BYTES_MAX + 1);
	rc = text ? read_file(fd, path, text, &bytes) :
		    px_fail(PX_ENOMEM, "no private memory for a profile");
	close(fd);
	if (rc == 0)
		rc = px_profile_parse(path, text, bytes, settings, listener);
	free(text);
	return rc;
}

int px_profile_load(const char *name, struct px_settings *settings)
{
	char path[PATH_BYTES_MAX];
	int rc = px_profile_path(name, path, sizeof(path));

	/* Users without a home folder, as in many containers, have no profiles either. */
	if (rc == PX_ESYSTEM ||
	    (rc == 0 && access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR)))
		return 0;
	if (rc == 0)
		rc = px_profile_read(path, settings, NULL);
	if (rc == PX_EINVAL)
		rc = px_fail(rc, "%s (all its errors: pxrun profile check %s)", px_last_error(),
			     name);
	return rc;
}

static int is_profile(const struct dirent *entry)
{
	const char *ending = strrchr(entry->d_name, '.');

	return ending && !strcmp(ending, ".yaml");
}

/* Calls each for "NAME.yaml", if that can be the name of a profile. */
static int offer(char *file, const char *path,
		 int (*each)(void *ctx, const struct px_runtime *runtime, const char *path),
		 void *ctx)
{
	struct px_runtime runtime;
	int rc;

	*strrchr(file, '.') = '\0';
	rc = px_runtime_find(file, false, &runtime);
	if (rc == 0)
		return each(ctx, &runtime, path);
	return rc == PX_EINVAL ? 0 : rc;
}

int px_profile_list(int (*each)(void *ctx, const struct px_runtime *runtime, const char *path),
		    void *ctx)
{
	char path[PATH_BYTES_MAX];
	struct dirent **entries;
	char *base;
	int count, rc = px_profile_path("default", path, sizeof(path));

	if (rc < 0)
		return rc == PX_ESYSTEM ? 0 : rc;
	base = strrchr(path, '/');
	*base = '\0';
	count = scandir(path, &entries, is_profile, alphasort);
	if (count < 0)
		return errno == ENOENT || errno == ENOTDIR ?
			       0 :
			       px_fail_errno("reading the folder %s", path);
	for (int i = 0; i < count; i++) {
		snprintf(base, sizeof(path) - (size_t)(base - path), "/%s", entries[i]->d_name);
		if (rc == 0)
			rc = offer(entries[i]->d_name, path, each, ctx);
		free(entries[i]);
	}
	free(entries);
	return rc;
}
