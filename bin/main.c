/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - the command `pxrun`: finds the verb.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bin/command.h"
#include "bin/complete.h"
#include "bin/nearest.h"
#include "client/pxrun.h"

/* Groups of them, as the list of verbs shows them. */
static const struct group {
	const char *title;
	const struct px_verb *verbs[10]; /* NULL behind the last */
} groups[] = {
	{ "pools",
	  {
		  &px_verb_start,
		  &px_verb_stop,
		  &px_verb_run,
		  &px_verb_list,
		  &px_verb_profile,
	  } },
	{ "work",
	  {
		  &px_verb_exec,
		  &px_verb_map,
		  &px_verb_console,
	  } },
	{ "data",
	  {
		  &px_verb_push,
		  &px_verb_pull,
		  &px_verb_scatter,
		  &px_verb_gather,
	  } },
	{ "engines",
	  {
		  &px_verb_interrupt,
		  &px_verb_restart,
		  &px_verb_kill,
		  &px_verb_engine,
	  } },
	{ "looking",
	  {
		  &px_verb_status,
		  &px_verb_top,
		  &px_verb_log,
		  &px_verb_stack,
		  &px_verb_doctor,
	  } },
};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

static const struct px_verb *find(const char *name)
{
	for (size_t i = 0; i < GROUPS; i++)
		for (const struct px_verb *const *verb = groups[i].verbs; *verb; verb++)
			if (!strcmp(name, (*verb)->name))
				return *verb;
	return NULL;
}

const struct px_verb *px_command_verb(size_t index)
{
	for (size_t i = 0; i < GROUPS; i++)
		for (const struct px_verb *const *verb = groups[i].verbs; *verb; verb++)
			if (index-- == 0)
				return *verb;
	return NULL;
}

static void print_usage(FILE *to)
{
	fputs("usage: pxrun VERB [OPTION...] [ARGUMENT...]\n"
	      "A pool of Python engines on this machine.\n",
	      to);
	for (size_t i = 0; i < GROUPS; i++) {
		fprintf(to, "\n%s:\n", groups[i].title);
		for (const struct px_verb *const *verb = groups[i].verbs; *verb; verb++)
			fprintf(to, "  %-9s %s\n", (*verb)->name, (*verb)->summary);
	}
	fputs("\n'pxrun help VERB' explains one, and so does man pxrun-VERB; --version\n", to);
}

static int unknown(const char *what)
{
	struct px_nearest nearest = { .word = what, .length = strlen(what) };

	for (size_t i = 0; i < GROUPS; i++)
		for (const struct px_verb *const *verb = groups[i].verbs; *verb; verb++)
			px_nearest_try(&nearest, (*verb)->name);
	px_nearest_try(&nearest, "help");
	fprintf(stderr, "pxrun: there is no verb '%s'", what);
	if (nearest.best)
		fprintf(stderr, "; did you mean '%s'?", nearest.best);
	fputs("\nTry 'pxrun help' for a list.\n", stderr);
	return PX_EXIT_USAGE;
}

static int help(const char *name)
{
	const struct px_verb *verb;

	if (!name) {
		print_usage(stdout);
		return PX_EXIT_OK;
	}
	verb = find(name);
	return verb ? px_command_help(verb) : unknown(name);
}

static int dispatch(int argc, char **argv)
{
	const struct px_verb *verb;
	const char *name = argc > 1 ? argv[1] : "";

	if (!*name) {
		print_usage(stderr);
		return PX_EXIT_USAGE;
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		printf("pxrun %s\n", px_version());
		return PX_EXIT_OK;
	}
	if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h"))
		return help(argc > 2 ? argv[2] : NULL);
	if (!strcmp(name, "complete"))
		return px_complete(argc - 2, argv + 2);
	verb = find(name);
	if (!verb)
		return unknown(name);
	/* getopt_long(3) names the program by its first argument. */
	argv[1] = argv[0] = (char[]){ "pxrun" };
	return verb->run(argc - 1, argv + 1);
}

/*
 * If a descriptor below 3 were closed, the next file that is opened would become a standard
 * stream. What is read from there ends at once, and errors are lost as they would be; but results that
 * nobody gets are no success, so writing them fails, by EBADF, as if nothing were there.
 */
static void fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR);
}

int main(int argc, char **argv)
{
	int code;

	fill_standard_descriptors();
	/* Under a small limit of file sizes the writes fail, and say so. */
	(void)signal(SIGXFSZ, SIG_IGN);
	code = dispatch(argc, argv);

	/* A full disk must not look like success. */
	px_command_written(fflush(stdout) == 0);
	if (!ferror(stdout))
		return code;
	fprintf(stderr, "pxrun: writing to standard output: %s\n",
		px_command_output_errno() ? strerror(px_command_output_errno()) :
					    "not all could be written");
	return code ? code : PX_EXIT_FAILED;
}
