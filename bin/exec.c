/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exec.c - `pxrun exec`: runs code on engines and prints what they print, return and raise.
 *
 * Engines are shown one after another: output of the first is printed line by line as it comes,
 * that of the others when it is their turn. So what is printed does not depend on which engine is
 * faster, and a single engine's output is shown at once.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bin/command.h"
#include "bin/data_file.h"
#include "bin/detach.h"
#include "bin/targets.h"
#include "bin/visible.h"
#include "client/client.h"
#include "client/values.h"
#include "shm/error.h"

/* How often output of a running request is looked for. */
#define LOOK_NS UINT64_C(30000000)

/* How often it is looked whether a signal came just before a wait, which it then did not end. */
#define NAP_NS UINT64_C(500000000)

/* How long the engines may take to end what is interrupted, when the command itself is ended. */
#define END_NS UINT64_C(1000000000)

static volatile sig_atomic_t interrupts, ended_by;

static void written(FILE *to, bool done)
{
	if (to == stdout)
		px_command_written(done);
}

static void flush(void)
{
	px_command_written(fflush(stdout) == 0);
}

static void on_signal(int number)
{
	if (number == SIGINT)
		interrupts++;
	else
		ended_by = number;
}

/* --- printing --- */

#define PIECE_BYTES 65536

/* One engine's output on one stream. */
struct stream {
	uint64_t taken; /* the bytes of its output that were read */
	char *text;     /* those of them that are not shown yet */
	size_t length;
};

/* Takes some more of what was printed. False: there is no more. */
static bool take(struct px_result *result, size_t index, int which, struct stream *stream)
{
	char *grown = realloc(stream->text, stream->length + PIECE_BYTES);
	size_t got = 0;

	if (!grown) {
		fputs("pxrun: no private memory for the output\n", stderr);
		return false;
	}
	stream->text = grown;
	if (px_result_output(result, index, which, stream->taken, grown + stream->length,
			     PIECE_BYTES, &got) < 0)
		return false;
	stream->taken += got;
	stream->length += got;
	return got > 0;
}

/* Shows complete lines; with `rest` also an incomplete last one. */
static void show_lines(struct stream *stream, int which, uint32_t engine, bool rest)
{
	FILE *to = which == 1 ? stdout : stderr;
	const char *line = stream->text, *end = line + stream->length;

	while (line < end) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));

		if (!stop && !rest)
			break;
		if (!stop)
			stop = end;
		fprintf(to, "[std%s:%u] ", which == 1 ? "out" : "err", engine);
		written(to, fwrite(line, 1, (size_t)(stop - line), to) == (size_t)(stop - line));
		fputc('\n', to);
		line = stop < end ? stop + 1 : end;
	}
	stream->length = (size_t)(end - line);
	if (stream->length)
		memmove(stream->text, line, stream->length);
	written(to, fflush(to) == 0);
}

static void show_stream(struct px_result *result, size_t index, int which, struct stream *stream,
			bool rest)
{
	uint32_t engine = px_result_engine(result, index);

	while (take(result, index, which, stream))
		show_lines(stream, which, engine, false);
	if (rest)
		show_lines(stream, which, engine, true);
}

/* The number of the engine's executed requests, as a prompt shows it in brackets. */
static long long execution_count(const struct px_result *result, size_t index)
{
	struct px_decoded decoded;
	long long count = 0;

	if (px_decode(&result->requests[index].reply, &decoded) < 0)
		return 0;
	if (decoded.count && decoded.values[0].type == PX_INT)
		count = decoded.values[0].as.integer;
	px_decoded_clear(&decoded);
	return count;
}

/* sys.exit() in the code ends the command as it ends a script. */
static int show_exit(const char *argument)
{
	char *end;
	long code = strtol(argument, &end, 10);

	if (!*argument || !strcmp(argument, "None"))
		return PX_EXIT_OK;
	if (!*end)
		return (int)(code & 0xff);
	fprintf(stderr, "%s\n", argument);
	return PX_EXIT_FAILED;
}

/* An exception; one that engines before had as well is not shown again. */
static int show_exception(struct px_result *result, size_t index)
{
	const char *ename = "", *evalue = "", *traceback = "", *other = "";
	uint32_t engine = px_result_engine(result, index);

	(void)px_result_error(result, index, &ename, &evalue, &traceback);
	flush();
	if (!strcmp(ename, "SystemExit"))
		return show_exit(evalue);
	for (size_t i = 0; i < index; i++) {
		if (px_result_error(result, i, NULL, NULL, &other) < 0 || strcmp(other, traceback))
			continue;
		fprintf(stderr, "[%u:execute]: as on engine %u: ", engine,
			px_result_engine(result, i));
		px_visible_write(ename, stderr);
		if (*evalue) {
			fputs(": ", stderr);
			px_visible_write(evalue, stderr);
		}
		fputc('\n', stderr);
		return PX_EXIT_FAILED;
	}
	fprintf(stderr, "[%u:execute]:\n", engine);
	px_visible_write(traceback, stderr);
	if (!*traceback || traceback[strlen(traceback) - 1] != '\n')
		fputc('\n', stderr);
	return PX_EXIT_FAILED;
}

/* Shows the value or the error of a request that is ready. Returns its exit code. */
static int show_end(struct px_result *result, size_t index)
{
	uint32_t engine = px_result_engine(result, index);
	struct px_value value;
	int rc = px_result_value(result, index, &value);

	if (rc == PX_EREMOTE)
		return show_exception(result, index);
	if (rc < 0)
		return px_command_fail(rc);
	if (value.type == PX_STRING)
		printf("[%u] Out[%lld]: %s\n", engine, execution_count(result, index),
		       value.as.text.data);
	flush();
	return PX_EXIT_OK;
}

/* --- waiting --- */

/*
 * The first Ctrl-C stops the requests, a second one the wait for them. A signal that ends the
 * command, also that of a closed pipe, ends its requests with it. Returns 0 or the exit code.
 */
static int handle_signals(struct px_result *result)
{
	static int passed_on;
	int number = ended_by ? ended_by : ferror(stdout) ? SIGPIPE : 0;

	if (number) {
		(void)px_result_cancel(result, PX_ALL_ENTRIES);
		(void)px_result_wait(result, END_NS);
		return 128 + number;
	}
	if (interrupts == passed_on)
		return 0;
	if (passed_on)
		return 128 + SIGINT;
	passed_on = interrupts;
	(void)px_result_cancel(result, PX_ALL_ENTRIES);
	return 0;
}

/*
 * The worse of two exit codes: a dead pool is worse than a dead engine, and that is worse than any
 * exit code of the user's code.
 */
static int worse(int a, int b)
{
	if (a == PX_EXIT_NO_POOL || b == PX_EXIT_NO_POOL)
		return PX_EXIT_NO_POOL;
	if (a == PX_EXIT_ENGINE || b == PX_EXIT_ENGINE)
		return PX_EXIT_ENGINE;
	return a ? a : b;
}

static int show_all(struct px_result *result)
{
	int code = PX_EXIT_OK, stopped;

	for (size_t i = 0; i < px_result_count(result); i++) {
		struct stream out = { 0 }, err = { 0 };
		struct px_value value;

		while (px_result_value(result, i, &value) == PX_EAGAIN) {
			stopped = handle_signals(result);
			if (stopped)
				return stopped;
			(void)px_result_wait(result, LOOK_NS);
			show_stream(result, i, 1, &out, false);
			show_stream(result, i, 2, &err, false);
		}
		show_stream(result, i, 1, &out, true);
		show_stream(result, i, 2, &err, true);
		free(out.text);
		free(err.text);
		code = worse(code, show_end(result, i));
	}
	return code;
}

/* The signals that end the command, except those that it was started to ignore, as by nohup(1). */
static void catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
	struct sigaction handler = { .sa_handler = on_signal }, old;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			(void)sigaction(numbers[i], &handler, NULL);
}

/* As px_view_execute(), but a signal ends it: also where an engine is being started. */
static int send_code(struct px_client *client, struct px_targets *targets, const char *code,
		     struct px_result **out)
{
	struct px_outgoing message = { .kind = PX_REQUEST_EXECUTE,
				       .body = code,
				       .body_bytes = strlen(code) };
	int rc = px_targets_find(client, targets);

	if (rc == 0)
		rc = px_result_new(client, targets->ids, (uint32_t)targets->count, false, out);
	if (rc < 0)
		return rc;
	do
		rc = px_result_send(*out, &message, LOOK_NS);
	while ((rc == PX_ETIMEDOUT || rc == PX_EINTR) && !interrupts && !ended_by);
	return rc;
}

/* As show_all(), but what was printed is in the pool's log already. */
static int show_ends(struct px_result *result)
{
	int code = PX_EXIT_OK, stopped = 0;
	struct px_value value;

	for (size_t i = 0; i < px_result_count(result); i++) {
		while (px_result_value(result, i, &value) == PX_EAGAIN) {
			stopped = handle_signals(result);
			if (stopped)
				return stopped;
			(void)px_result_wait(result, NAP_NS);
		}
		code = worse(code, show_end(result, i));
	}
	return code;
}

/* Of a reader that is gone nothing is said. Returns the exit code. */
static int end_output(int code)
{
	flush();
	if (ended_by != SIGPIPE)
		return code;
	__fpurge(stdout);
	clearerr(stdout);
	return 128 + SIGPIPE;
}

/* report: -1, or where the command itself waits for a word, as this is the process that goes on. */
static int execute(const char *profile, struct px_targets *targets, const char *code, int report)
{
	struct px_result *result = NULL;
	struct px_client *client = NULL;
	int rc, exit_code = PX_EXIT_OK;

	rc = px_client_attach(profile, 0, &client);
	if (rc < 0) {
		exit_code = px_command_fail(rc);
		if (report >= 0)
			px_detach_report(report, exit_code);
		return exit_code;
	}
	catch_signals();
	rc = send_code(client, targets, code, &result);
	if (rc == 0 && report >= 0) {
		px_detach_report(report, PX_EXIT_OK);
		exit_code = show_ends(result);
		px_detach_log(&client->runtime);
	} else if (rc == 0) {
		exit_code = end_output(show_all(result));
	} else if (rc == PX_ETIMEDOUT || rc == PX_EINTR) {
		(void)px_result_cancel(result, PX_ALL_ENTRIES);
		exit_code = 128 + (ended_by ? ended_by : SIGINT);
	} else {
		exit_code = px_command_fail(rc);
	}
	if (rc < 0 && report >= 0)
		px_detach_report(report, exit_code);
	px_result_free(result);
	px_client_detach(client);
	return exit_code;
}

static int execute_detached(const char *profile, struct px_targets *targets, const char *code)
{
	int report = -1, exit_code = PX_EXIT_OK;
	pid_t pid = px_detach(&report, &exit_code);

	if (pid == 0)
		return execute(profile, targets, code, report);
	if (pid < 0)
		return px_command_fail((int)pid);
	if (exit_code == PX_EXIT_OK)
		printf("process %d sees to it, and ends it when it is ended; what comes of it: pxrun log\n",
		       (int)pid);
	return exit_code;
}

/* --- the command line --- */

/* All of standard input as a new string; NULL, with an error, if that fails. */
static char *read_input(void)
{
	char *text = NULL, *whole = NULL;
	size_t bytes = 0;

	if (px_data_read(STDIN_FILENO, "standard input", &text, &bytes) < 0)
		return NULL;
	if (memchr(text, '\0', bytes))
		px_fail(PX_EINVAL, "the code has a NUL byte in it");
	else if (!(whole = strndup(text, bytes)))
		px_fail(PX_ENOMEM, "no private memory for the code");
	free(text);
	return whole;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "detach", no_argument, NULL, 'd' },
		{ "profile", required_argument, NULL, 'p' },
		{ "targets", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct px_targets targets = { .count = 0 };
	const char *profile = NULL, *code;
	bool detach = false;
	char *input = NULL;
	int option, exit_code;

	while ((option = getopt_long(argc, argv, "dp:t:h", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			detach = true;
			break;
		case 'p':
			profile = optarg;
			break;
		case 't':
			if (px_targets_parse(optarg, &targets) < 0)
				return px_command_misuse(&px_verb_exec, "%s", px_last_error());
			break;
		case 'h':
			return px_command_help(&px_verb_exec);
		default:
			px_command_suggest(argv[optind - 1], options);
			return px_command_bad_option(&px_verb_exec);
		}
	}
	if (optind == argc)
		return px_command_misuse(&px_verb_exec, "no code to run");
	if (optind + 1 < argc)
		return px_command_misuse(&px_verb_exec,
					 "the code must be one argument: put it between quotes");
	if (!strcmp(argv[optind], "-")) {
		input = read_input();
		if (!input) {
			px_command_fail(PX_ESYSTEM);
			return PX_EXIT_FAILED;
		}
	}
	code = input ? input : argv[optind];
	exit_code = detach ? execute_detached(profile, &targets, code) :
			     execute(profile, &targets, code, -1);
	free(input);
	return exit_code;
}

const struct px_verb px_verb_exec = {
	.name = "exec",
	.summary = "run code on the engines of a pool",
	.run = run,
	.help = "usage: pxrun exec [OPTION...] CODE\n"
		"Runs code in the engines' namespace and prints what it prints and, as a prompt\n"
		"does, the value of a last expression. CODE '-' is read from standard input.\n\n"
		"  -t, --targets IDS      'all' (default) or ids of engines, such as 0,2\n"
		"  -d, --detach           return at once: what it prints, and how it ends, is in the\n"
		"                         pool's log\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n\n"
		"Ctrl-C raises KeyboardInterrupt in the code; a second one stops waiting for it.\n"
		"Exit code: 0, 1 if the code raised, 3 if no pool runs, 4 if an engine died.\n",
};
