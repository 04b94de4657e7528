/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command.h - what the verbs of `pxrun` have in common: exit codes, errors, help.
 */
#ifndef PX_COMMAND_H
#define PX_COMMAND_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Scripts may rely on these; pxrun(1) has the same table. 128 + N: ended by signal N. */
enum px_exit {
	PX_EXIT_OK = 0,
	PX_EXIT_FAILED = 1, /* also: the code raised an exception on an engine */
	PX_EXIT_USAGE = 2,  /* a wrong option, argument or setting */
	PX_EXIT_NO_POOL = 3,
	PX_EXIT_ENGINE = 4, /* an engine died, or there is none of that id */
	PX_EXIT_EXISTS = 5,
};

struct px_verb {
	const char *name, *summary;
	const char *help;     /* what `pxrun help VERB` prints */
	unsigned settings;    /* then its options of the table: one of enum px_setting_who, or 0 */
	const char *help_end; /* and then this; NULL */
	int (*run)(int argc, char **argv); /* returns an exit code */
};

extern const struct px_verb px_verb_console;
extern const struct px_verb px_verb_doctor;
extern const struct px_verb px_verb_engine;
extern const struct px_verb px_verb_exec;
extern const struct px_verb px_verb_gather;
extern const struct px_verb px_verb_interrupt;
extern const struct px_verb px_verb_kill;
extern const struct px_verb px_verb_list;
extern const struct px_verb px_verb_log;
extern const struct px_verb px_verb_map;
extern const struct px_verb px_verb_profile;
extern const struct px_verb px_verb_pull;
extern const struct px_verb px_verb_push;
extern const struct px_verb px_verb_restart;
extern const struct px_verb px_verb_run;
extern const struct px_verb px_verb_scatter;
extern const struct px_verb px_verb_stack;
extern const struct px_verb px_verb_start;
extern const struct px_verb px_verb_status;
extern const struct px_verb px_verb_stop;
extern const struct px_verb px_verb_top;

/* The path of this program, by which it starts supervisors; NULL: not known. out has PATH_MAX bytes. */
const char *px_command_self(char *out);
/* Prints "pxrun: words" of a failure and returns its exit code. */
int px_command_fail(int rc);
/* Prints "pxrun: " and these words, of which some may be another's: they do not control a terminal. */
void px_command_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints each of these lines as a warning. */
void px_command_warn(const char *lines);
/*
 * To be told of writes to standard output whose failure is not found at the end of the command, and of which
 * stdio keeps no errno: that of the first one is kept.
 */
void px_command_written(bool done);
/* That errno; 0: none is known. */
int px_command_output_errno(void);
/* The exit code alone. */
int px_command_exit(int rc);
/* Prints "pxrun: words" and a pointer to the help; returns PX_EXIT_USAGE. */
int px_command_misuse(const struct px_verb *verb, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * After an argument that getopt_long(3) has refused with a message: if it is an unknown long option, prints
 * which of these it is like.
 */
void px_command_suggest(const char *argument, const struct option *options);
/* Then prints the pointer to the help; returns PX_EXIT_USAGE. */
int px_command_bad_option(const struct px_verb *verb);
/* The verbs in the order of the list of `pxrun help`; NULL: there are fewer. */
const struct px_verb *px_command_verb(size_t index);
/* Prints words from a column on, where the cursor stands, in lines of at most 80 characters. */
void px_command_write_wrapped(const char *text, int column, FILE *to);
/* The help of a verb. */
void px_command_write_help(const struct px_verb *verb, FILE *to);
/* Prints the help of a verb on standard output; returns PX_EXIT_OK. */
int px_command_help(const struct px_verb *verb);

#endif
