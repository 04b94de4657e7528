/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stack.c - `pxrun stack`: where engines are in their code, without stopping them.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/engine_call.h"
#include "bin/stacks.h"
#include "bin/visible.h"

/* Before the name of a thread, where its frames begin. */
#define TITLE "Thread "

/* --- frames, as faulthandler writes them: the innermost first --- */

static size_t line_bytes(const char *line)
{
	size_t length = strcspn(line, "\n");

	return length + (line[length] == '\n');
}

/* Whether a frame is of pxrun's own code in an engine, which is below that of users. */
static bool is_ours(const char *frame)
{
	size_t length = line_bytes(frame);

	return memmem(frame, length, "/pxrun/engine/", 14) ||
	       memmem(frame, length, "/pxrun-engine\"", 14);
}

/* Whether the innermost frame is the one that serves requests: what runs is no Python. */
static bool in_loop(const char *frames)
{
	return memmem(frames, line_bytes(frames), "/pxrun/engine/program.py\"", 25);
}

/* Prints them, without those of ours below the last of a user's; if there is none of these, all. */
static void print_frames(const char *frames)
{
	const char *line = frames, *end = NULL;

	for (; *line == ' '; line += line_bytes(line))
		if (!is_ours(line))
			end = line + line_bytes(line);
	px_visible_write_part(frames, (size_t)((end ? end : line) - frames), stdout);
}

/* --- a process --- */

static void print_work(uint32_t engine, const struct px_engine_work *work, const char *frames)
{
	bool loop = in_loop(frames);
	char time[32];

	printf("engine %u, process %d: ", engine, work->pid);
	if (!work->busy)
		printf("%s\n", loop ? "idle" : "between two requests");
	else if (*work->function)
		printf("in native code for %s, %s, which %s asked for; 'gdb -p %d' shows its C stack\n",
		       px_engine_work_time(work, time), work->function, work->asked_by, work->pid);
	else
		printf("busy for %s with what %s asked for\n", px_engine_work_time(work, time),
		       work->asked_by);
	if (!loop)
		print_frames(frames);
}

/* Whether this line is the title of a thread that has that name. */
static bool is_title_of(const char *line, const char *id)
{
	return !strncmp(line, TITLE, strlen(TITLE)) &&
	       !strncmp(line + strlen(TITLE), id, strcspn(id, "\n"));
}

/* All threads, of which the first line of the text has the name of the main one. */
static void print_all(uint32_t engine, const struct px_engine_work *work, const char *text)
{
	const char *line = text + line_bytes(text);

	while (*line && !is_title_of(line, text))
		line += line_bytes(line);
	print_work(engine, work, line + line_bytes(line));
	for (line = text + line_bytes(text); *line; line += line_bytes(line)) {
		if (strncmp(line, TITLE, strlen(TITLE)) != 0 || is_title_of(line, text))
			continue;
		printf("%.*s:\n", (int)strcspn(line, "(") - 1, line);
		print_frames(line + line_bytes(line));
	}
}

/* The main thread alone, which has the interpreter's lock or waits for who has it. */
static int print_main(uint32_t engine, const struct px_engine_work *work,
		      const struct px_stacks *stacks)
{
	char *frames = NULL, time[32];
	int rc = px_stacks_read_one(stacks, work->pid, &frames);

	if (rc < 0)
		return rc;
	printf("engine %u, process %d: in native code, which keeps the interpreter's lock, for %s with "
	       "what %s asked for\n",
	       engine, work->pid, px_engine_work_time(work, time),
	       work->busy ? work->asked_by : "nobody");
	print_frames(frames);
	free(frames);
	return 0;
}

/* Prints what a process does. */
static int print(struct px_client *client, uint32_t engine, struct px_engine_work *work)
{
	struct px_engine_work now;
	struct px_stacks stacks;
	char *text = NULL;
	int rc = px_stacks_open(work->pid, &stacks);

	if (rc < 0)
		return rc;
	rc = px_stacks_read(&stacks, &text);
	/* What it does now, unless it has ended meanwhile. */
	if (px_engine_work_read(client, engine, &now) == 0 && now.pid == work->pid)
		*work = now;
	if (rc == PX_EAGAIN)
		rc = print_main(engine, work, &stacks);
	else if (rc == 0)
		print_all(engine, work, text);
	free(text);
	px_stacks_close(&stacks);
	return rc;
}

/* --- the verb --- */

static int show(struct px_client *client, uint32_t engine)
{
	struct px_engine_work work;
	int rc = px_engine_work_read(client, engine, &work);

	if (rc < 0)
		return px_command_fail(rc);
	if (!work.pid) {
		printf("engine %u: it has no process at the moment\n", engine);
		return PX_EXIT_OK;
	}
	rc = print(client, engine, &work);
	if (rc == 0)
		return PX_EXIT_OK;
	px_command_written(fflush(stdout) == 0);
	px_command_say("engine %u, process %d, %s", engine, work.pid, px_last_error());
	return px_command_exit(rc);
}

static int run(int argc, char **argv)
{
	struct px_engine_call call;
	int code = px_engine_call_begin(&px_verb_stack, argc, argv, NULL, &call);

	if (code < 0) {
		code = PX_EXIT_OK;
		for (size_t i = 0; i < call.targets.count; i++) {
			int one = show(call.client, call.targets.ids[i]);

			code = one ? one : code;
		}
	}
	px_engine_call_end(&call);
	return code;
}

const struct px_verb px_verb_stack = {
	.name = "stack",
	.summary = "show where engines are in their code",
	.run = run,
	.help = "usage: pxrun stack [OPTION...] [ID...]\n"
		"Shows the Python stacks of engines, of all threads, while these run on.\n\n"
		"  -t, --targets IDS      'all' (default) or ids of engines, such as 0,2\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n",
};
