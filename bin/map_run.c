/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map_run.c - reads records, posts them in chunks, and waits for whichever is done.
 */
#include "bin/map_run.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bin/command.h"
#include "shm/error.h"
#include "shm/os.h"

/* So many chunks an engine are posted, so that none waits for the next one. */
#define OUT_EACH 3
/* What may be held: results that came before their turn, above all. */
#define HELD_EACH 4096
#define HELD_BYTES ((size_t)64 << 20)
#define CHUNK_BYTES ((size_t)1 << 20)
/* How often signals and the bar are looked after. */
#define NAP_NS UINT64_C(200000000)
#define NAP_MS 200

volatile sig_atomic_t px_map_signals, px_map_signal;

static void on_signal(int number)
{
	px_map_signals++;
	px_map_signal = number;
}

/* Those that it was started to ignore, as by nohup(1), stay ignored. */
void px_map_catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction handler = { .sa_handler = on_signal }, old;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			(void)sigaction(numbers[i], &handler, NULL);
	/* A reader that is gone is an error of write(2). */
	(void)signal(SIGPIPE, SIG_IGN);
}

/* --- reading --- */

static bool may_hold(const struct px_map_run *run)
{
	size_t bytes = run->held_bytes + (run->building ? run->building->bytes : 0);

	return run->out < OUT_EACH * run->engines && run->held < HELD_EACH * run->engines &&
	       (bytes < HELD_BYTES || run->held == 0);
}

static bool is_full(const struct px_map_run *run)
{
	const struct px_map_chunk *chunk = run->building;
	uint32_t size = run->chunk ? run->chunk : run->size ? run->size : 1;

	return chunk && (chunk->count >= size || chunk->bytes >= CHUNK_BYTES);
}

/* Ends the chunk that is being filled. */
static void finish_building(struct px_map_run *run)
{
	px_map_insert(run, run->building, NULL);
	run->building = NULL;
}

static int add(struct px_map_run *run, const char *record, size_t bytes)
{
	uint64_t seq = run->input->seq;

	if (px_map_output_has(run->output, seq))
		return 0;
	/* Records of a chunk follow one another: what was done in an earlier run parts them. */
	if (run->building && run->building->first + run->building->count != seq)
		finish_building(run);
	if (!run->building)
		run->building = px_map_chunk_new(seq);
	if (!run->building)
		return PX_ENOMEM;
	return px_map_chunk_add(run->building, record, bytes, run->input->separator);
}

/*
 * Fills the chunk with what can be read without waiting. 1: it is to be posted; 0: it is better to wait for
 * more, or there is nothing.
 */
static int build(struct px_map_run *run)
{
	const char *record;
	size_t bytes;
	int rc;

	while (!is_full(run) && run->waiting == 0) {
		rc = px_map_input_next(run->input, &record, &bytes);
		if (rc > 0)
			rc = add(run, record, bytes);
		else if (rc == 0 && run->input->ended)
			run->exhausted = true;
		else if (rc == 0 && !px_map_input_waits(run->input))
			rc = px_map_input_read(run->input);
		else if (rc == 0)
			/* Nobody is to be idle, though the input is slow. */
			return run->building && run->out < run->engines;
		if (rc < 0 && rc != PX_EINTR)
			return rc;
		if (rc == PX_EINTR)
			return 0;
		if (run->exhausted)
			break;
	}
	return run->building || run->waiting;
}

/* --- posting --- */

/* The first that waits to be posted. */
static struct px_map_chunk *next_waiting(const struct px_map_run *run)
{
	struct px_map_chunk *chunk = run->first;

	while (chunk->state != PX_MAP_WAITS)
		chunk = chunk->next;
	return chunk;
}

static int post(struct px_map_run *run, struct px_map_chunk *chunk)
{
	int rc = px_map_chunk_post(chunk, run->view, run->job, run->input);
	if (rc < 0)
		return rc;
	chunk->state = PX_MAP_OUT;
	run->waiting--;
	run->out++;
	return 0;
}

static int feed(struct px_map_run *run)
{
	int rc = 0;

	while (rc == 0 && run->waiting && run->out < OUT_EACH * run->engines)
		rc = post(run, next_waiting(run));
	while (rc == 0 && !run->stop && !run->exhausted && !px_map_signals && may_hold(run)) {
		rc = build(run);
		if (rc <= 0)
			break;
		if (run->building && run->waiting == 0) {
			/* Without a search: the first of many may be slow. */
			finish_building(run);
			rc = post(run, run->last);
		} else {
			rc = post(run, next_waiting(run));
		}
	}
	return rc;
}

/* --- waiting --- */

/* Takes what is done. */
static int take(struct px_map_run *run, uint64_t timeout_ns)
{
	struct px_result *result;
	int rc = 0;

	while (rc == 0 && run->out) {
		rc = px_client_next(run->client, timeout_ns, &result);
		if (rc == PX_ETIMEDOUT || rc == PX_EINTR)
			return 0;
		/* Its PX_EINTR is another one: results could not be written, and what follows must not be. */
		if (rc == 0)
			rc = px_map_answer(run, px_result_user(result));
		timeout_ns = 0;
	}
	return rc;
}

/* Until there is more to read, or something is done. */
static int wait_for_either(struct px_map_run *run)
{
	struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .events = POLLIN } };
	nfds_t count = 1;

	if (run->out) {
		fds[1].fd = px_client_fd(run->client);
		if (fds[1].fd < 0)
			return fds[1].fd;
		count = 2;
	}
	(void)poll(fds, count, NAP_MS);
	return 0;
}

static int wait_for_news(struct px_map_run *run)
{
	bool reads = !run->stop && !run->exhausted && may_hold(run);

	if (px_map_signals && !run->stop)
		return 0;
	return reads ? wait_for_either(run) : take(run, NAP_NS);
}

/* --- the end --- */

/* Whether nothing is to be waited for: what is cancelled has a moment to say what it has done. */
static bool is_over(const struct px_map_run *run)
{
	const struct px_map_chunk *chunk = run->first;

	if (!run->stop)
		return run->exhausted && !run->building && run->out == 0 && run->waiting == 0;
	if (run->out == 0 && run->waiting == 0)
		return true;
	while (chunk && (chunk->cancelled || chunk->state == PX_MAP_DONE))
		chunk = chunk->next;
	return !chunk && px_os.now_ns() > run->stop_by_ns;
}

/* Says why it cannot go on. A reader that has enough is no error. */
static void stop_for(struct px_map_run *run, int rc)
{
	bool unread = run->output->unread;

	px_map_progress_wipe(run);
	if (!unread && rc != PX_EINTR)
		(void)px_command_fail(rc);
	px_map_stop(run,
		    unread         ? 128 + SIGPIPE :
		    rc == PX_EINTR ? 128 + px_map_signal :
				     px_command_exit(rc),
		    0);
}

static int step(struct px_map_run *run)
{
	int rc = take(run, 0);

	if (rc == 0)
		rc = feed(run);
	if (rc == 0 && !is_over(run))
		rc = px_map_output_flush(run->output);
	if (rc == 0 && !run->stop && px_map_output_unread(run->output))
		rc = px_fail(PX_ESYSTEM, "nobody reads the results");
	if (rc == 0 && !is_over(run))
		rc = wait_for_news(run);
	px_map_progress_show(run);
	return rc;
}

/* What is finished is not lost, though what should come before it never will. */
static int write_rest(struct px_map_run *run)
{
	int rc = px_map_write(run, true);

	return rc < 0 ? rc : px_map_output_flush(run->output);
}

static void say_end(const struct px_map_run *run)
{
	if (run->failed)
		fprintf(stderr, "pxrun: %llu of %llu records failed\n",
			(unsigned long long)run->failed, (unsigned long long)run->done);
	if (px_map_signals)
		fprintf(stderr, "pxrun: ended by a signal: %llu records are done%s\n",
			(unsigned long long)run->done,
			run->job->log ? ", and --resume does the rest" : "");
}

int px_map_run(struct px_map_run *run)
{
	uint32_t ids[PX_ENGINES_MAX];
	int count = px_client_engines(run->client, ids, PX_ENGINES_MAX);
	int rc = px_view_any(run->client, &run->view);
	bool broken = false;

	run->engines = count > 0 ? (uint32_t)count : 1;
	run->began_ns = px_os.now_ns();
	if (rc < 0)
		return px_command_fail(rc);
	while (!broken && !is_over(run)) {
		if (px_map_signals && !run->stop)
			px_map_stop(run, 128 + px_map_signal, 0);
		rc = px_map_signals > 1 ? PX_EINTR : step(run);
		broken = rc < 0 && run->stop; /* it cannot even end */
		if (rc < 0)
			stop_for(run, rc);
	}
	px_map_progress_wipe(run);
	rc = broken || run->output->failed ? 0 : write_rest(run);
	if (rc < 0)
		stop_for(run, rc);
	say_end(run);
	while (run->first)
		px_map_drop(run, run->first);
	if (run->building)
		px_map_chunk_free(run->building);
	px_view_free(run->view);
	return run->stop ? run->stop : run->failed ? PX_EXIT_FAILED : PX_EXIT_OK;
}
