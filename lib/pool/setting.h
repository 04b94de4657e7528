/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * setting.h - one setting of a pool: its names, what it may be, and how a value of it is read.
 *
 * A value is a text, spelled the same in a profile, on the command line, in the environment and in
 * Python, and for most types a number that is read from it.
 */
#ifndef PX_SETTING_H
#define PX_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum px_setting_type {
	PX_TYPE_COUNT, /* a whole number; in struct px_pool_options a uint32_t, 0 if not set */
	PX_TYPE_SIZE,  /* bytes: "4096", "64M", "1.5GiB", "50%" of the memory; a uint64_t, 0 */
	PX_TYPE_WORD,  /* one of a few; its number is its place among them; a text, NULL */
	/*
	 * True or false, or another of YAML 1.1's words for them; 1 or 0; an int, 0 if not set. Its option
	 * alone means true; a value has a '=' before it.
	 */
	PX_TYPE_FLAG,
	PX_TYPE_PROGRAM, /* its path, "~/" is the home folder; a text, NULL */
	PX_TYPE_FILE,    /* likewise */
	PX_TYPE_COMMAND, /* its name, which is looked for on PATH, or its path; a text, NULL */
	PX_TYPE_WORDS,   /* separated by blanks; a text, NULL */
	PX_TYPE_CODE, /* or the path of a file with it: px_setting_is_path(); "" none; a text, NULL */
	PX_TYPE_MODULES,   /* names of modules, separated by commas; "" none; a text, NULL */
	PX_TYPE_FOLDERS,   /* separated by colons; a text, NULL */
	PX_TYPE_VARIABLES, /* a map, in a profile only */
};

/* Where it can be set. */
enum px_setting_who {
	PX_OF_PROFILE = 1,
	PX_OF_START = 2, /* as an option of `pxrun start`, by which the library starts pools */
	PX_OF_RUN = 4,
	PX_OF_LIBRARY = 8, /* struct px_pool_options */
	PX_OF_PYTHON = 16, /* Cluster() */
};

#define PX_SETTING_WORDS_MAX 4
#define PX_SETTING_NAME_BYTES 32

/* Fields without a value are NULL or 0. */
struct px_setting {
	const char *name;     /* of the key; of the option, with '-' for '_' */
	const char *keyword;  /* of Cluster(), if it differs */
	const char *variable; /* of the environment */
	const char *argument; /* the option's argument in its help */
	char letter;          /* a short form of the option */
	enum px_setting_type type;
	unsigned who;
	size_t offset, field_bytes;              /* in struct px_pool_options */
	uint64_t min, max;                       /* of PX_TYPE_COUNT and PX_TYPE_SIZE */
	const char *words[PX_SETTING_WORDS_MAX]; /* of PX_TYPE_WORD, ending with NULL */
	const char *preset;       /* the value where it is not set; NULL: found at the start */
	const char *preset_words; /* the default in words, if these are not the value itself */
	const char *help;         /* one line; NULL: not for people */
};

/* The name of the option, with its hyphens, in out[PX_SETTING_NAME_BYTES]. Returns out. */
const char *px_setting_option(const struct px_setting *setting, char *out);
/* What Cluster() calls it. */
const char *px_setting_keyword(const struct px_setting *setting);
/* The default, for people to read. */
const char *px_setting_preset(const struct px_setting *setting);
/* Whether a PX_TYPE_CODE's value is a path: one line that begins with "/" or "~/", or ends with ".py". */
bool px_setting_is_path(const struct px_setting *setting, const char *text);
/*
 * Reads a value. *number is written on success, and 0 for types that are texts. PX_EINVAL: the
 * words begin with `what`, the setting's name at that place, and say what is allowed.
 */
int px_setting_parse(const struct px_setting *setting, const char *what, const char *text,
		     uint64_t *number);
/* PX_EINVAL: the same words for a value that is no text, such as "a list". */
int px_setting_refuse(const struct px_setting *setting, const char *what, const char *found);

#endif
