/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * settings.h - the table of all settings of a pool, and their values.
 *
 * Everything that reads or shows settings uses the table: profiles, the command line and its help,
 * struct px_pool_options, Cluster() in Python, the test of the manual pages. To add a setting: its
 * id here, its row in settings.c, and then its use, most often in lib/supervisor.
 *
 * Who:     the process that starts a pool, and the supervisor.
 * Where:   private memory.
 * Blocks:  never.
 * Death:   leaves nothing.
 */
#ifndef PX_SETTINGS_H
#define PX_SETTINGS_H

#include "pool/setting.h"

/* In the order of the help. */
enum px_setting_id {
	PX_SETTING_ENGINES,
	PX_SETTING_ARENA,
	PX_SETTING_QUOTA,
	PX_SETTING_HUGE_PAGES,
	PX_SETTING_RESTART,
	PX_SETTING_LAUNCHER,
	PX_SETTING_MPIEXEC,
	PX_SETTING_MPI_ARGS,
	PX_SETTING_EVENT_LOOP,
	PX_SETTING_PRELOAD,
	PX_SETTING_PYTHON,
	PX_SETTING_NATIVE,
	PX_SETTING_SYS_PATH,
	PX_SETTING_ENV,
	PX_SETTING_PIN,
	PX_SETTING_PREFAULT,
	PX_SETTING_LOG,
	PX_SETTING_STARTUP,
	PX_SETTING_NICENESS,
	PX_SETTING_MAX_TASKS,
	PX_SETTING_MAX_MEMORY,
	PX_SETTINGS
};

/* The numbers of words. */
enum px_huge_pages { PX_HUGE_PAGES_AUTO, PX_HUGE_PAGES_NEVER };
enum px_restart { PX_RESTART_NEVER, PX_RESTART_ON_FAILURE, PX_RESTART_ALWAYS };
enum px_launcher { PX_LAUNCHER_LOCAL, PX_LAUNCHER_MPI };
enum px_loop_kind { PX_LOOP_AUTO, PX_LOOP_URING, PX_LOOP_EPOLL };

extern const struct px_setting px_settings_table[PX_SETTINGS];

/* A later one takes precedence: an option over the profile. */
enum px_setting_source {
	PX_FROM_DEFAULT,
	PX_FROM_PROFILE,
	PX_FROM_ENVIRONMENT,
	PX_FROM_OPTION, /* of the command line, of px_pool_start() or of Cluster() */
};

struct px_setting_value {
	enum px_setting_source source;
	uint64_t number;
	char *text;          /* ours; NULL: the default */
	char **list;         /* of PX_TYPE_VARIABLES: "NAME=value", NULL at the end; or NULL */
	size_t line, column; /* in the profile */
};

struct px_settings {
	struct px_setting_value values[PX_SETTINGS];
	char *profile; /* path of the file; ours, NULL if there is none */
};

/* All defaults. Free by px_settings_clear(). */
void px_settings_init(struct px_settings *settings);
void px_settings_clear(struct px_settings *settings);

/*
 * Sets one, unless a source that takes precedence has set it; the value must be valid even so.
 * `what` is the setting's name at that place, for the words of PX_EINVAL. PX_ENOMEM; PX_ESYSTEM:
 * there is no home folder for a "~/".
 */
int px_settings_set(struct px_settings *settings, enum px_setting_id id,
		    enum px_setting_source source, const char *what, const char *text);
/* Sets from the environment what is not set by an option. PX_EINVAL, PX_ENOMEM. */
int px_settings_set_environment(struct px_settings *settings);
/*
 * Adds variables, "NAME=value" and NULL at the end, behind those that are there: of one that is there
 * twice the last counts. PX_EINVAL names the one that is no variable. PX_ENOMEM.
 */
int px_settings_add_variables(struct px_settings *settings, const char *const *variables);
struct px_pool_options;
/*
 * Sets the fields that are set, as options. The caller may have been compiled with an older
 * header, which has fewer fields, or with a newer one, if the new fields are not set; *known is
 * the struct as our header has it. PX_EINVAL, PX_ENOMEM.
 */
int px_settings_set_options(struct px_settings *settings, const struct px_pool_options *options,
			    struct px_pool_options *known);

/* A count, bytes, the number of a word, or a flag; 0 if it is determined at the start. */
uint64_t px_settings_number(const struct px_settings *settings, enum px_setting_id id);
/* Any value but variables as a text, lent by settings; NULL if it is determined at the start. */
const char *px_settings_text(const struct px_settings *settings, enum px_setting_id id);
/*
 * Where a value comes from, for people: "--arena", "PXRUN_ENGINES", "/path/default.yaml:3:8",
 * "the default". Returns out.
 */
const char *px_settings_where(const struct px_settings *settings, enum px_setting_id id, char *out,
			      size_t out_bytes);

/* The setting of that name (`who` is PX_OF_PYTHON: of that keyword), PX_SETTINGS if there is none. */
enum px_setting_id px_settings_find(const char *name, enum px_setting_who who);
/*
 * PX_EINVAL for an unknown name: the words suggest the one that may be meant, and list all. kind:
 * "key".
 */
int px_settings_unknown(const char *what, const char *kind, const char *name,
			enum px_setting_who who);

#endif
