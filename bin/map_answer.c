/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map_answer.c - what came back of a chunk: results to be written, records that failed, an engine's death.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/command.h"
#include "bin/map_run.h"
#include "machine/wall_clock.h"
#include "shm/error.h"

/* --- writing --- */

/* Behind a record that failed, results in order do not go on; unless a log says which they are. */
static bool is_wanted(const struct px_map_run *run, const struct px_map_chunk *chunk)
{
	return run->stop_at == 0 || chunk->first <= run->stop_at || run->job->unordered ||
	       run->job->log;
}

static int write_chunk(struct px_map_run *run, struct px_map_chunk *chunk)
{
	int rc = 0;

	if (is_wanted(run, chunk))
		rc = px_map_output_put(run->output, chunk->text, chunk->text_bytes, chunk->log,
				       chunk->log_bytes);
	px_map_drop(run, chunk);
	return rc;
}

int px_map_write(struct px_map_run *run, bool all)
{
	struct px_map_chunk *chunk, *next;
	int rc = 0;

	for (chunk = run->first; chunk && rc == 0; chunk = next) {
		next = chunk->next;
		if (chunk->state == PX_MAP_DONE)
			rc = write_chunk(run, chunk);
		else if (!all)
			break;
	}
	return rc;
}

/* Writes what it says if it is its turn, and else keeps it. */
static int deliver(struct px_map_run *run, struct px_map_chunk *chunk,
		   const struct px_map_reply *reply)
{
	int rc;

	chunk->state = PX_MAP_DONE;
	if (!is_wanted(run, chunk)) {
		px_map_drop(run, chunk);
		return 0;
	}
	if (run->job->unordered || chunk == run->first) {
		rc = px_map_output_put(run->output, reply->text, reply->text_bytes, reply->log,
				       reply->log_bytes);
		px_map_drop(run, chunk);
		return rc < 0 || run->job->unordered ? rc : px_map_write(run, false);
	}
	run->held_bytes -= chunk->bytes;
	rc = px_map_chunk_keep(chunk, reply);
	if (rc == 0)
		run->held_bytes += chunk->text_bytes + chunk->log_bytes;
	return rc;
}

/* --- failures --- */

static void say_failed(struct px_map_run *run, uint64_t seq, const char *words)
{
	run->failed++;
	px_map_progress_wipe(run);
	px_command_say("%s", words);
	if (!run->job->keep_going)
		px_map_stop(run, PX_EXIT_FAILED, seq);
}

static void take_failures(struct px_map_run *run, const struct px_map_chunk *chunk,
			  const struct px_map_reply *reply)
{
	uint64_t first = chunk->first;

	for (size_t i = 0; i < reply->failures_count; i++) {
		const struct px_value *pair = reply->failures[i].as.list.items;

		say_failed(run, first + (uint64_t)pair[0].as.integer, pair[1].as.text.data);
	}
}

/* Of the records of a chunk from an index on makes chunks of so many, behind it. */
static int again(struct px_map_run *run, struct px_map_chunk *chunk, uint32_t index, uint32_t each)
{
	char separator = run->input->separator;
	const char *at = px_map_chunk_at(chunk, index, separator);
	struct px_map_chunk *behind = chunk;

	for (; index < chunk->count; index += each) {
		uint32_t left = chunk->count - index;
		struct px_map_chunk *part = px_map_chunk_part(chunk, &at, chunk->first + index,
							      each < left ? each : left, separator);

		if (!part)
			return PX_ENOMEM;
		part->tries = chunk->tries;
		px_map_insert(run, part, behind);
		behind = part;
	}
	return 0;
}

/* Whether the engine that has answered is being ended, by `pxrun restart` say: it is shown so before it is told. */
static bool is_ended(const struct px_map_run *run, const struct px_map_chunk *chunk)
{
	struct px_engine_status engine = { .size = sizeof(engine) };
	uint32_t id = px_result_engine(chunk->result, 0);

	return px_client_engine_status(run->client, id, &engine) < 0 ||
	       engine.state != PX_ENGINE_IS_UP;
}

/*
 * Somebody else has interrupted a record: that one has failed, unless it was its engine that was ended, and those
 * behind it have not begun.
 */
static int take_interrupt(struct px_map_run *run, struct px_map_chunk *chunk,
			  const struct px_map_reply *reply)
{
	uint32_t next = reply->done + 1;

	if (chunk->cancelled || !*reply->interrupted)
		return 0;
	/* Once more, as after a death: it may have ended its engine itself. */
	if (chunk->tries <= run->job->retries && is_ended(run, chunk)) {
		chunk->tries++;
		return again(run, chunk, reply->done, chunk->count);
	}
	run->done++;
	say_failed(run, chunk->first + reply->done, reply->interrupted);
	return run->stop || next >= chunk->count ? 0 : again(run, chunk, next, chunk->count);
}

/* --- deaths --- */

#define SHOWN_BYTES 60
#define SHOWN_ROOM (4 * SHOWN_BYTES + 1)

/*
 * The beginning of its first record, as one field of one line: what would control a terminal is escaped as
 * by Python's repr(). Returns out.
 */
static const char *shown(const struct px_map_chunk *chunk, char out[SHOWN_ROOM])
{
	size_t used = 0;

	/* A NUL may be what ends the record, and ends what is shown in any case. */
	for (size_t i = 0; i < SHOWN_BYTES && chunk->data[i] && chunk->data[i] != '\n'; i++) {
		unsigned char c = (unsigned char)chunk->data[i];

		used += (size_t)snprintf(out + used, SHOWN_ROOM - used,
					 c < ' ' || c == 0x7f ? "\\x%02x" : "%c", c);
	}
	out[used] = '\0';
	return out;
}

/* A line of the log, new. */
static char *log_line(const struct px_map_run *run, const struct px_map_chunk *chunk, int number,
		      int code)
{
	unsigned long long seq = chunk->first;
	char record[SHOWN_ROOM], *line = NULL;

	if (!number && !code)
		code = PX_EXIT_FAILED; /* it has ended its engine in peace, which is no success */
	if (asprintf(&line, "%llu\t:\t%.3f\t%10.3f\t%zu\t0\t%d\t%d\t%s %s\n", seq,
		     (double)px_wall_ns() / 1e9, 0.0, chunk->bytes - 1, code, number,
		     run->job->shell ? "sh -c" : "map", shown(chunk, record)) < 0)
		return NULL;
	return line;
}

/* A record that killed its engine. */
static int give_up(struct px_map_run *run, struct px_map_chunk *chunk, const char *words)
{
	int number = 0, code = 0, rc;
	struct px_map_reply reply = { .text = "", .log = "" };
	char said[1024], record[SHOWN_ROOM], *line = NULL;

	(void)px_result_death(chunk->result, 0, &number, &code);
	snprintf(said, sizeof(said), "record %llu, '%s': %s", (unsigned long long)chunk->first,
		 shown(chunk, record), words);
	run->done++;
	say_failed(run, chunk->first, said);
	if (run->job->log) {
		line = log_line(run, chunk, number, code);
		if (!line)
			return px_fail(PX_ENOMEM, "no private memory for the job log");
		reply.log = line;
		reply.log_bytes = strlen(line);
	}
	rc = deliver(run, chunk, &reply);
	free(line);
	return rc;
}

/* Each record is run once more, by itself: who has killed the engine is known when it does so again. */
static int take_death(struct px_map_run *run, struct px_map_chunk *chunk)
{
	char words[512];
	int rc = 0;

	snprintf(words, sizeof(words), "%s", px_last_error());
	chunk->tries++;
	if (chunk->count == 1 && chunk->tries > 1 + run->job->retries)
		return give_up(run, chunk, words);
	rc = again(run, chunk, 0, 1);
	px_map_drop(run, chunk);
	return rc;
}

/* --- answers --- */

#define TARGET_NS 10e6
/* More do not stay in a processor's cache: of trivial functions they take half as long again. */
#define SIZE_MAX_RECORDS 8192u
#define GROWTH 8u

/* Finds how many records take about TARGET_NS. */
static void learn(struct px_map_run *run, const struct px_map_chunk *chunk,
		  const struct px_map_reply *reply)
{
	double ns = reply->done ? (double)reply->ns / reply->done : 0, size;
	uint32_t most = run->size > GROWTH * chunk->count ? run->size : GROWTH * chunk->count;

	if (ns <= 0)
		return;
	run->record_ns = run->record_ns > 0 ? 0.7 * run->record_ns + 0.3 * ns : ns;
	size = TARGET_NS / run->record_ns;
	if (most > SIZE_MAX_RECORDS)
		most = SIZE_MAX_RECORDS;
	run->size = size < 1 ? 1 : size > most ? most : (uint32_t)size;
}

/* What it has written to its standard error, and what by other ways than Python's to its standard output. */
static int show_output(struct px_map_run *run, const struct px_map_chunk *chunk)
{
	char piece[4096];
	uint64_t from = 0;
	size_t got;
	int rc = 0;

	while (px_result_output(chunk->result, 0, 2, from, piece, sizeof(piece), &got) == 0 &&
	       got) {
		px_map_progress_wipe(run);
		fwrite(piece, 1, got, stderr);
		from += got;
	}
	from = 0;
	while (rc == 0 &&
	       px_result_output(chunk->result, 0, 1, from, piece, sizeof(piece), &got) == 0 &&
	       got) {
		rc = px_map_output_put(run->output, piece, got, NULL, 0);
		from += got;
	}
	return rc;
}

static int take_reply(struct px_map_run *run, struct px_map_chunk *chunk,
		      const struct px_map_reply *reply)
{
	int rc = take_interrupt(run, chunk, reply);

	learn(run, chunk, reply);
	run->done += reply->done;
	take_failures(run, chunk, reply);
	return rc < 0 ? rc : deliver(run, chunk, reply);
}

/* Whether a process has died with it; otherwise there is just no engine any more. */
static bool is_death(const struct px_map_chunk *chunk)
{
	int number, code;

	return px_result_death(chunk->result, 0, &number, &code) == 0;
}

int px_map_answer(struct px_map_run *run, struct px_map_chunk *chunk)
{
	struct px_map_reply reply;
	int rc = show_output(run, chunk), code;

	run->out--;
	if (rc < 0)
		return rc;
	code = px_map_chunk_reply(chunk, &reply);
	if (code == 0)
		return take_reply(run, chunk, &reply);
	if (chunk->cancelled) {
		px_map_drop(run, chunk);
		return 0;
	}
	if (code == PX_EENGINE) {
		struct px_value value;
		bool died = is_death(chunk);

		code = px_result_value(chunk->result, 0, &value); /* its words, once more */
		if (died)
			return take_death(run, chunk);
	} else if (code == PX_EREMOTE) {
		const char *ename = "", *words = "";
		bool plain;

		(void)px_result_error(chunk->result, 0, &ename, &words, NULL);
		plain = !strcmp(ename, "Unusable"); /* in words that say it all */
		code = px_fail(PX_EREMOTE, "%s%s%s", plain ? "" : ename, plain ? "" : ": ", words);
	}
	px_map_drop(run, chunk);
	return code;
}
