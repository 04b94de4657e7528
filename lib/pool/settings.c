/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * settings.c - the table of settings, and the functions that use all of it.
 */
#include "pool/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/pxrun.h"
#include "pool/home.h"
#include "pool/sized.h"
#include "shm/error.h"
#include "shm/layout.h"

#define EVERYBODY (PX_OF_PROFILE | PX_OF_START | PX_OF_RUN | PX_OF_LIBRARY | PX_OF_PYTHON)
#define IN_OPTIONS(field)                                                                          \
	.offset = offsetof(struct px_pool_options, field),                                         \
	.field_bytes = sizeof(((struct px_pool_options *)NULL)->field)

const struct px_setting px_settings_table[PX_SETTINGS] = {
	[PX_SETTING_ENGINES] = {
		.name = "engines",
		.keyword = "n",
		.variable = "PXRUN_ENGINES",
		.argument = "N",
		.letter = 'n',
		.type = PX_TYPE_COUNT,
		.who = EVERYBODY,
		IN_OPTIONS(engines),
		.min = 1,
		.max = PX_ENGINES_MAX,
		.preset_words = "one for each processor that may be used",
		.help = "number of engines",
	},
	[PX_SETTING_ARENA] = {
		.name = "arena",
		.argument = "SIZE",
		.type = PX_TYPE_SIZE,
		.who = EVERYBODY,
		IN_OPTIONS(arena_bytes),
		.min = UINT64_C(1) << 20,
		.max = UINT64_C(1) << 44,
		.preset_words = "half of what is available at the start",
		.help = "memory for arrays, such as 512M, 4G or 50%",
	},
	[PX_SETTING_QUOTA] = {
		.name = "quota",
		.argument = "SIZE",
		.type = PX_TYPE_SIZE,
		.who = EVERYBODY,
		IN_OPTIONS(quota_bytes),
		.min = UINT64_C(1) << 20,
		.max = UINT64_C(1) << 44,
		.preset_words = "all of it",
		.help = "the most of the arena that one client may have",
	},
	[PX_SETTING_HUGE_PAGES] = {
		.name = "huge_pages",
		.argument = "WHEN",
		.type = PX_TYPE_WORD,
		.who = EVERYBODY,
		IN_OPTIONS(huge_pages),
		.words = { [PX_HUGE_PAGES_AUTO] = "auto", [PX_HUGE_PAGES_NEVER] = "never" },
		.preset = "auto",
		.help = "huge pages for large arrays, where they are to be had",
	},
	[PX_SETTING_RESTART] = {
		.name = "restart",
		.argument = "POLICY",
		.type = PX_TYPE_WORD,
		.who = EVERYBODY,
		IN_OPTIONS(restart),
		.words = { [PX_RESTART_NEVER] = "never",
			   [PX_RESTART_ON_FAILURE] = "on-failure",
			   [PX_RESTART_ALWAYS] = "always" },
		.preset = "on-failure",
		.help = "whether an engine that ends is started again",
	},
	[PX_SETTING_LAUNCHER] = {
		.name = "launcher",
		/* As in ipyparallel. */
		.keyword = "engines",
		.argument = "LAUNCHER",
		.type = PX_TYPE_WORD,
		.who = EVERYBODY,
		IN_OPTIONS(launcher),
		.words = { [PX_LAUNCHER_LOCAL] = "local", [PX_LAUNCHER_MPI] = "mpi" },
		.preset = "local",
		.help = "who starts engines; with mpi they are the ranks of an MPI world",
	},
	[PX_SETTING_MPIEXEC] = {
		.name = "mpiexec",
		.argument = "PROGRAM",
		.type = PX_TYPE_COMMAND,
		.who = EVERYBODY,
		IN_OPTIONS(mpiexec),
		.preset = "mpiexec",
		.help = "MPI's program that starts the ranks, by name or path",
	},
	[PX_SETTING_MPI_ARGS] = {
		.name = "mpi_args",
		.argument = "ARGS",
		.type = PX_TYPE_WORDS,
		.who = EVERYBODY,
		IN_OPTIONS(mpi_args),
		.preset_words = "none",
		.help = "further arguments for mpiexec, such as --oversubscribe",
	},
	[PX_SETTING_EVENT_LOOP] = {
		.name = "event_loop",
		.argument = "LOOP",
		.type = PX_TYPE_WORD,
		.who = EVERYBODY,
		IN_OPTIONS(event_loop),
		.words = { [PX_LOOP_AUTO] = "auto",
			   [PX_LOOP_URING] = "io_uring",
			   [PX_LOOP_EPOLL] = "epoll" },
		.preset = "auto",
		.help = "what the supervisor waits with",
	},
	[PX_SETTING_PRELOAD] = {
		.name = "preload",
		.argument = "A,B",
		.type = PX_TYPE_MODULES,
		.who = EVERYBODY,
		IN_OPTIONS(preload),
		/*
		 * Neither is an error if it is not installed. cloudpickle is for calls, and not
		 * mentioned to users.
		 */
		.preset = "numpy,cloudpickle",
		.preset_words = "numpy, if it can be imported",
		.help = "modules that engines have imported when they start",
	},
	[PX_SETTING_PYTHON] = {
		.name = "python",
		.argument = "PATH",
		.type = PX_TYPE_PROGRAM,
		.who = EVERYBODY,
		IN_OPTIONS(python),
		.preset_words = "the activated environment's, else pxrun's own",
		.help = "the interpreter whose environment the engines run in",
	},
	[PX_SETTING_NATIVE] = {
		.name = "native",
		.type = PX_TYPE_FLAG,
		/* `pxrun run` runs Python. */
		.who = EVERYBODY & ~PX_OF_RUN,
		IN_OPTIONS(native),
		.preset = "false",
		.help = "engines without an interpreter, which call native functions alone",
	},
	[PX_SETTING_SYS_PATH] = {
		/* The option is how px_pool_start() passes it to the supervisor. */
		.name = "sys_path",
		.type = PX_TYPE_FOLDERS,
		.who = PX_OF_START | PX_OF_LIBRARY,
		IN_OPTIONS(sys_path),
	},
	[PX_SETTING_ENV] = {
		.name = "env",
		.type = PX_TYPE_VARIABLES,
		.who = PX_OF_PROFILE,
		.preset_words = "none",
		.help = "environment variables that are set for the engines",
	},
	[PX_SETTING_PIN] = {
		.name = "pin",
		.type = PX_TYPE_FLAG,
		.who = PX_OF_PROFILE,
		.preset = "false",
		.help = "whether each engine runs on a processor of its own",
	},
	[PX_SETTING_PREFAULT] = {
		.name = "prefault",
		.type = PX_TYPE_SIZE,
		.who = PX_OF_PROFILE,
		.max = UINT64_C(1) << 44,
		/* Arrays of some MiB find it; of a pool that sends none it is the memory of one more engine. */
		.preset = "32M",
		.help = "memory that is got ready for arrays while the pool is idle",
	},
	[PX_SETTING_LOG] = {
		.name = "log",
		.type = PX_TYPE_FILE,
		.who = PX_OF_PROFILE,
		.preset_words = "log, beside the pool's socket",
		.help = "file to which the pool's log is added",
	},
	[PX_SETTING_STARTUP] = {
		.name = "startup",
		.argument = "CODE",
		.type = PX_TYPE_CODE,
		.who = PX_OF_PROFILE | PX_OF_START,
		.preset_words = "none",
		.help = "Python code, or a file of it, that each engine runs when it starts",
	},
	[PX_SETTING_NICENESS] = {
		.name = "niceness",
		.argument = "N",
		.type = PX_TYPE_COUNT,
		.who = PX_OF_PROFILE | PX_OF_START,
		.max = 19,
		.preset = "0",
		.help = "how far engines stand back for other processes",
	},
	[PX_SETTING_MAX_TASKS] = {
		.name = "max_tasks",
		.argument = "N",
		.type = PX_TYPE_COUNT,
		.who = PX_OF_PROFILE | PX_OF_START,
		.min = 1,
		.max = 1000000000,
		.preset_words = "no limit",
		.help = "requests after which an engine is renewed",
	},
	[PX_SETTING_MAX_MEMORY] = {
		.name = "max_memory",
		.argument = "SIZE",
		.type = PX_TYPE_SIZE,
		.who = PX_OF_PROFILE | PX_OF_START,
		.min = UINT64_C(1) << 20,
		.max = UINT64_C(1) << 44,
		.preset_words = "no limit",
		.help = "memory of its own with which an engine is renewed",
	},
};

static int no_memory(void)
{
	return px_fail(PX_ENOMEM, "no private memory for settings");
}

/* --- names --- */

static const char *name_for(const struct px_setting *setting, enum px_setting_who who)
{
	return who == PX_OF_PYTHON ? px_setting_keyword(setting) : setting->name;
}

enum px_setting_id px_settings_find(const char *name, enum px_setting_who who)
{
	const struct px_setting *row = px_settings_table;
	unsigned id = 0;

	while (id < PX_SETTINGS && (!(row[id].who & who) || strcmp(name, name_for(&row[id], who))))
		id++;
	return (enum px_setting_id)id;
}

static unsigned least_of(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * The edit distance: how many letters have to be inserted, left out, changed, or swapped with the
 * next. Both names are shorter than PX_SETTING_NAME_BYTES.
 */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[PX_SETTING_NAME_BYTES][PX_SETTING_NAME_BYTES];
	size_t as = strlen(a), bs = strlen(b);

	for (unsigned i = 0; i <= as; i++)
		rows[i][0] = i;
	for (unsigned j = 0; j <= bs; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= as; i++)
		for (unsigned j = 1; j <= bs; j++) {
			unsigned best = least_of(rows[i - 1][j], rows[i][j - 1]) + 1;

			best = least_of(best, rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = least_of(best, rows[i - 2][j - 2] + 1);
			rows[i][j] = best;
		}
	return rows[as][bs];
}

/* The setting that may have been meant by this name; NULL: none. */
static const struct px_setting *nearest(const char *name, enum px_setting_who who)
{
	const struct px_setting *found = NULL;
	size_t length = strlen(name);
	/* One letter in three may be wrong. */
	unsigned least = (unsigned)length / 3 + 1;

	for (unsigned id = 0; id < PX_SETTINGS && length < PX_SETTING_NAME_BYTES; id++) {
		const struct px_setting *row = &px_settings_table[id];
		unsigned far = distance(name, row->name);

		if (row->who & who && far < least) {
			least = far;
			found = row;
		}
	}
	return found;
}

/* "a, b and c". */
static void list_names(enum px_setting_who who, char *out, size_t out_bytes)
{
	size_t used = 0;
	unsigned left = 0;

	for (unsigned id = 0; id < PX_SETTINGS; id++)
		left += (px_settings_table[id].who & who) != 0;
	for (unsigned id = 0; id < PX_SETTINGS && used < out_bytes; id++) {
		const struct px_setting *row = &px_settings_table[id];

		if (row->who & who)
			used += (size_t)snprintf(out + used, out_bytes - used, "%s%s",
						 name_for(row, who),
						 --left > 1 ? ", " :
						 left == 1  ? " and " :
							      "");
	}
}

int px_settings_unknown(const char *what, const char *kind, const char *name,
			enum px_setting_who who)
{
	const struct px_setting *meant = nearest(name, who);
	char names[400];

	if (meant)
		return px_fail(PX_EINVAL, "%s '%.80s', did you mean '%s'?", what, name,
			       name_for(meant, who));
	list_names(who, names, sizeof(names));
	return px_fail(PX_EINVAL, "%s '%.80s': the %ss are %s", what, name, kind, names);
}

/* --- values --- */

void px_settings_init(struct px_settings *settings)
{
	*settings = (struct px_settings){ .profile = NULL };
	for (unsigned id = 0; id < PX_SETTINGS; id++) {
		const struct px_setting *row = &px_settings_table[id];

		if (row->preset)
			(void)px_setting_parse(row, row->name, row->preset,
					       &settings->values[id].number);
	}
}

void px_settings_clear(struct px_settings *settings)
{
	for (unsigned id = 0; id < PX_SETTINGS; id++) {
		struct px_setting_value *value = &settings->values[id];

		for (char **item = value->list; item && *item; item++)
			free(*item);
		free(value->list);
		free(value->text);
	}
	free(settings->profile);
	px_settings_init(settings);
}

/* A copy of the text in *out, with the home folder in place of "~". */
static int copy_text(const struct px_setting *row, const char *text, char **out)
{
	char path[4096];

	if ((row->type == PX_TYPE_PROGRAM || row->type == PX_TYPE_COMMAND ||
	     row->type == PX_TYPE_FILE || px_setting_is_path(row, text)) &&
	    !strncmp(text, "~/", 2)) {
		int rc = px_home_path(text + 1, path, sizeof(path));

		if (rc < 0)
			return rc;
		text = path;
	}
	*out = strdup(text);
	return *out ? 0 : no_memory();
}

int px_settings_set(struct px_settings *settings, enum px_setting_id id,
		    enum px_setting_source source, const char *what, const char *text)
{
	struct px_setting_value *value = &settings->values[id];
	uint64_t number;
	char *copy;
	int rc = px_setting_parse(&px_settings_table[id], what, text, &number);

	if (rc < 0 || source < value->source)
		return rc;
	rc = copy_text(&px_settings_table[id], text, &copy);
	if (rc < 0)
		return rc;
	free(value->text);
	value->text = copy;
	value->number = number;
	value->source = source;
	return 0;
}

int px_settings_set_environment(struct px_settings *settings)
{
	int rc = 0;

	for (unsigned id = 0; id < PX_SETTINGS && rc == 0; id++) {
		const char *name = px_settings_table[id].variable;
		const char *text = name ? getenv(name) : NULL;

		if (text && *text && settings->values[id].source < PX_FROM_ENVIRONMENT)
			rc = px_settings_set(settings, (enum px_setting_id)id, PX_FROM_ENVIRONMENT,
					     name, text);
	}
	return rc;
}

static size_t length_of(const void *list)
{
	const char *const *items = list;
	size_t count = 0;

	while (items && items[count])
		count++;
	return count;
}

int px_settings_add_variables(struct px_settings *settings, const char *const *variables)
{
	struct px_setting_value *value = &settings->values[PX_SETTING_ENV];
	size_t have = length_of(value->list), more = length_of(variables);
	char **list = realloc(value->list, (have + more + 1) * sizeof(*list));

	if (!list)
		return no_memory();
	value->list = list;
	list[have] = NULL;
	for (size_t i = 0; i < more; i++) {
		const char *equals = strchr(variables[i], '=');

		if (!equals || equals == variables[i])
			return px_fail(PX_EINVAL, "environment: '%.80s' is not NAME=value",
				       variables[i]);
		list[have + i] = strdup(variables[i]);
		list[have + i + 1] = NULL;
		if (!list[have + i])
			return no_memory();
	}
	value->source = PX_FROM_OPTION;
	return 0;
}

uint64_t px_settings_number(const struct px_settings *settings, enum px_setting_id id)
{
	return settings->values[id].number;
}

const char *px_settings_text(const struct px_settings *settings, enum px_setting_id id)
{
	const char *text = settings->values[id].text;

	return text ? text : px_settings_table[id].preset;
}

const char *px_settings_where(const struct px_settings *settings, enum px_setting_id id, char *out,
			      size_t out_bytes)
{
	const struct px_setting_value *value = &settings->values[id];
	char option[PX_SETTING_NAME_BYTES];

	switch (value->source) {
	case PX_FROM_PROFILE:
		snprintf(out, out_bytes, "%s:%zu:%zu", settings->profile, value->line,
			 value->column);
		break;
	case PX_FROM_ENVIRONMENT:
		snprintf(out, out_bytes, "%s", px_settings_table[id].variable);
		break;
	case PX_FROM_OPTION:
		snprintf(out, out_bytes, "%s", px_setting_option(&px_settings_table[id], option));
		break;
	case PX_FROM_DEFAULT:
		snprintf(out, out_bytes, "the default");
		break;
	}
	return out;
}

/* --- struct px_pool_options --- */

/* A setting's field as a text, which is written to `number` if the field is none; NULL: not set. */
static const char *field_text(const struct px_setting *row, const struct px_pool_options *options,
			      char *number)
{
	const char *field = (const char *)options + row->offset;
	uint64_t value;

	if (row->type == PX_TYPE_FLAG)
		return *(const int *)(const void *)field ? "true" : NULL;
	if (row->type != PX_TYPE_COUNT && row->type != PX_TYPE_SIZE)
		return *(const char *const *)(const void *)field;
	value = row->type == PX_TYPE_COUNT ? *(const uint32_t *)(const void *)field :
					     *(const uint64_t *)(const void *)field;
	sprintf(number, "%" PRIu64, value);
	return value ? number : NULL;
}

int px_settings_set_options(struct px_settings *settings, const struct px_pool_options *options,
			    struct px_pool_options *known)
{
	int rc = px_sized_read(known, sizeof(*known), offsetof(struct px_pool_options, engines),
			       options, "px_pool_options", "PX_POOL_OPTIONS");

	for (unsigned id = 0; id < PX_SETTINGS && rc == 0; id++) {
		const struct px_setting *row = &px_settings_table[id];
		char number[24];
		const char *text = row->who & PX_OF_LIBRARY ? field_text(row, known, number) : NULL;

		if (text)
			rc = px_settings_set(settings, (enum px_setting_id)id, PX_FROM_OPTION,
					     row->name, text);
	}
	if (rc == 0 && known->environment)
		rc = px_settings_add_variables(settings, known->environment);
	return rc;
}
