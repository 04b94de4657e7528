/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_streams.c - what an engine prints, on its way to the client and to the log.
 */
#include "tests/c/side.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/streams.h"
#include "shm/error.h"

#define ARENA_UNITS 40

static struct px_segment *segment;
static struct side client, engine;
static struct px_streams *streams;
static int printed[2]; /* where the engine's code writes: standard output, standard error */
static int logged;

static int setup(void **state)
{
	int out[2], err[2];

	(void)state;
	segment = side_segment(ARENA_UNITS);
	side_open(&client, segment, PX_MEMBER_CLIENT);
	side_open(&engine, segment, PX_MEMBER_ENGINE);
	side_meet(&client, &engine);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(err), 0);
	printed[0] = out[1];
	printed[1] = err[1];
	logged = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(px_streams_new(3, out[0], err[0], logged, &streams), 0);
	return 0;
}

static void print(enum px_stream stream, const char *text)
{
	size_t length = strlen(text);

	assert_int_equal(write(printed[stream], text, length), (ssize_t)length);
}

/* Of what the last request printed, what had no room at its end. */
static struct px_outlet rest[2];

static void end(void)
{
	assert_true(px_streams_end(streams, rest));
	for (int i = 0; i < 2; i++)
		assert_int_equal(px_outlet_flush(&rest[i]), 0);
}

/* The texts of all that the client has got, by stream, and the order in which streams came. */
struct got {
	char *texts[PX_STREAMS];
	size_t lengths[PX_STREAMS];
	char order[64];
};

static void get_one(struct got *got, const struct px_incoming *in, uint64_t id)
{
	char *grown = realloc(got->texts[in->flags], got->lengths[in->flags] + in->body_bytes + 1);
	size_t count = strlen(got->order);

	assert_int_equal(in->kind, PX_STREAM);
	assert_int_equal(in->id, id);
	assert_non_null(grown);
	memcpy(grown + got->lengths[in->flags], in->body, in->body_bytes);
	got->lengths[in->flags] += in->body_bytes;
	grown[got->lengths[in->flags]] = '\0';
	got->texts[in->flags] = grown;
	if (count + 1 < sizeof(got->order) &&
	    (!count || got->order[count - 1] != "oedx"[in->flags]))
		got->order[count] = "oedx"[in->flags];
}

static struct got get_all(uint64_t id)
{
	struct got got = { 0 };
	struct px_incoming in;

	while (px_link_receive(client.link, &in) == 1) {
		get_one(&got, &in, id);
		px_incoming_free(&in);
		px_link_next(client.link);
	}
	return got;
}

static void forget(struct got *got)
{
	for (unsigned i = 0; i < PX_STREAMS; i++)
		free(got->texts[i]);
}

static void read_all(void)
{
	struct px_incoming in;

	while (px_link_receive(client.link, &in) == 1) {
		px_incoming_free(&in);
		px_link_next(client.link);
	}
}

static void assert_nothing_came(void)
{
	struct px_incoming in;

	assert_int_equal(px_link_receive(client.link, &in), 0);
}

static char *whole_log(void)
{
	off_t bytes = lseek(logged, 0, SEEK_END);
	char *text = calloc(1, (size_t)bytes + 1);

	assert_int_equal(pread(logged, text, (size_t)bytes, 0), bytes);
	return text;
}

/* Until the thread has read the pipe: then the log has it. */
static void await_log(const char *end)
{
	char *text = whole_log();

	while (strlen(text) < strlen(end) || strcmp(text + strlen(text) - strlen(end), end) != 0) {
		free(text);
		usleep(100);
		text = whole_log();
	}
	free(text);
}

/* --- */

static void what_a_request_prints_is_there_at_its_end(void **state)
{
	struct got got;

	(void)state;
	px_streams_begin(streams, engine.link, 7);
	print(PX_STREAM_STDOUT, "one\n");
	print(PX_STREAM_STDERR, "two\n");
	end();
	got = get_all(7);
	assert_string_equal(got.texts[PX_STREAM_STDOUT], "one\n");
	assert_string_equal(got.texts[PX_STREAM_STDERR], "two\n");
	forget(&got);
}

static void what_is_printed_comes_while_the_request_runs(void **state)
{
	struct px_incoming in;

	(void)state;
	px_streams_begin(streams, engine.link, 7);
	print(PX_STREAM_STDOUT, "early\n");
	in = side_await(&client);
	assert_memory_equal(in.body, "early\n", 6);
	end();
}

static void output_is_of_the_request_that_ran(void **state)
{
	struct got got;

	(void)state;
	for (uint64_t id = 1; id <= 100; id++) {
		char text[16];

		snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
		px_streams_begin(streams, engine.link, id);
		print(PX_STREAM_STDOUT, text);
		end();
		got = get_all(id);
		assert_string_equal(got.texts[PX_STREAM_STDOUT], text);
		free(got.texts[PX_STREAM_STDOUT]);
	}
}

static void output_between_requests_is_in_the_log_only(void **state)
{
	static const char *const printed_lines[] = { " engine 3: before\n", " engine 3: in it\n",
						     " engine 3: after\n" };
	char *log, *at;

	(void)state;
	print(PX_STREAM_STDOUT, "before\n");
	await_log("before\n");
	px_streams_begin(streams, engine.link, 1);
	print(PX_STREAM_STDOUT, "in it\n");
	end();
	free(get_all(1).texts[PX_STREAM_STDOUT]);
	print(PX_STREAM_STDERR, "after\n");
	await_log("after\n");
	assert_nothing_came();
	at = log = whole_log();
	for (size_t i = 0; i < 3; i++, at += strcspn(at, "\n") + 1)
		assert_memory_equal(at + strcspn(at, " "), printed_lines[i],
				    strlen(printed_lines[i]));
	assert_string_equal(at, "");
	free(log);
}

static void what_is_published_comes_after_what_was_printed(void **state)
{
	struct got got;

	(void)state;
	px_streams_begin(streams, engine.link, 7);
	print(PX_STREAM_STDOUT, "printed");
	assert_int_equal(px_streams_publish(streams, PX_STREAM_DISPLAY, "shown", 5), 0);
	print(PX_STREAM_STDERR, "warned");
	assert_int_equal(px_streams_publish(streams, PX_STREAM_DATA, "data", 4), 0);
	end();
	got = get_all(7);
	assert_string_equal(got.order, "odex");
	assert_string_equal(got.texts[PX_STREAM_DISPLAY], "shown");
	assert_string_equal(got.texts[PX_STREAM_DATA], "data");
	forget(&got);
}

static void what_is_displayed_without_end_is_refused(void **state)
{
	static char large[1 << 14];
	unsigned sent = 0;

	(void)state;
	px_streams_begin(streams, engine.link, 7);
	while (px_streams_publish(streams, PX_STREAM_DISPLAY, large, sizeof(large)) == 0) {
		sent++;
		read_all();
	}
	assert_int_equal(sent, PX_DISPLAYED_MAX_BYTES / sizeof(large));
	assert_words("a request displays at most");
	assert_int_equal(px_streams_publish(streams, PX_STREAM_DATA, "data", 4), 0);
	end();
	px_streams_begin(streams, engine.link, 8);
	assert_int_equal(px_streams_publish(streams, PX_STREAM_DISPLAY, "shown", 5), 0);
	end();
}

static void publishing_without_a_request_is_refused(void **state)
{
	(void)state;
	assert_int_equal(px_streams_publish(streams, PX_STREAM_DATA, "data", 4), PX_EINVAL);
	assert_words("no request runs to which this output would belong");
	px_streams_begin(streams, engine.link, 7);
	end();
	assert_int_equal(px_streams_publish(streams, PX_STREAM_DATA, "data", 4), PX_EINVAL);
	assert_nothing_came();
}

/* Code on the engine may close one; what it prints on the other is seen, then as before. */
static void a_closed_stream_leaves_the_other(void **state)
{
	struct got got;

	(void)state;
	close(printed[PX_STREAM_STDOUT]);
	for (uint64_t id = 1; id <= 3; id++) {
		px_streams_begin(streams, engine.link, id);
		print(PX_STREAM_STDERR, "still here");
		end();
		got = get_all(id);
		assert_string_equal(got.texts[PX_STREAM_STDERR], "still here");
		assert_null(got.texts[PX_STREAM_STDOUT]);
		free(got.texts[PX_STREAM_STDERR]);
	}
}

static void nothing_is_sent_to_a_dead_client(void **state)
{
	(void)state;
	px_streams_begin(streams, engine.link, 7);
	side_kill(&client, &(struct px_death){ .exit_signal = 9 });
	print(PX_STREAM_STDOUT, "nobody\n");
	end();
	await_log("nobody\n");
	assert_nothing_came();
}

/* --- output without end */

#define LINE_BYTES 64
#define LINES ((2 * PX_OUTPUT_HEAD_BYTES + 4 * PX_OUTPUT_TAIL_BYTES) / LINE_BYTES)

static void print_lines(uint32_t count)
{
	char line[LINE_BYTES + 1];

	for (uint32_t i = 0; i < count; i++) {
		snprintf(line, sizeof(line), "%-*u\n", LINE_BYTES - 1, i);
		print(PX_STREAM_STDOUT, line);
	}
}

/* Nobody reads: what waits in the link is bounded, and the last line is among it. */
static void output_that_nobody_reads_is_bounded(void **state)
{
	uint64_t most = segment->arena_bytes / 32;
	const char *text;
	struct got got;

	(void)state;
	if (most > PX_OUTPUT_HEAD_BYTES)
		most = PX_OUTPUT_HEAD_BYTES;
	px_streams_begin(streams, engine.link, 7);
	print_lines(LINES);
	end();
	/* Chunks grow by doubling. */
	assert_true(px_link_backlog(engine.link) < 3 * most);
	got = get_all(7);
	text = got.texts[PX_STREAM_STDOUT];
	assert_int_equal(strtoul(text, NULL, 10), 0);
	assert_non_null(strstr(text, "bytes of output are left out here]"));
	assert_int_equal(strtoul(text + got.lengths[PX_STREAM_STDOUT] - LINE_BYTES, NULL, 10),
			 LINES - 1);
	forget(&got);
}

/* The next request's output is whole again. */
static void output_after_what_was_left_out_is_whole(void **state)
{
	struct got got;

	(void)state;
	px_streams_begin(streams, engine.link, 7);
	print_lines(LINES);
	end();
	free(get_all(7).texts[PX_STREAM_STDOUT]);
	px_streams_begin(streams, engine.link, 8);
	print(PX_STREAM_STDOUT, "next");
	end();
	got = get_all(8);
	assert_string_equal(got.texts[PX_STREAM_STDOUT], "next");
	forget(&got);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test_setup(what_a_request_prints_is_there_at_its_end, setup),
		cmocka_unit_test_setup(what_is_printed_comes_while_the_request_runs, setup),
		cmocka_unit_test_setup(output_is_of_the_request_that_ran, setup),
		cmocka_unit_test_setup(output_between_requests_is_in_the_log_only, setup),
		cmocka_unit_test_setup(what_is_published_comes_after_what_was_printed, setup),
		cmocka_unit_test_setup(what_is_displayed_without_end_is_refused, setup),
		cmocka_unit_test_setup(publishing_without_a_request_is_refused, setup),
		cmocka_unit_test_setup(a_closed_stream_leaves_the_other, setup),
		cmocka_unit_test_setup(nothing_is_sent_to_a_dead_client, setup),
		cmocka_unit_test_setup(output_that_nobody_reads_is_bounded, setup),
		cmocka_unit_test_setup(output_after_what_was_left_out_is_whole, setup),
	};

	return run_cases(cases, NULL, NULL);
}
