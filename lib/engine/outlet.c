/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * outlet.c - sends a stream, or withholds it.
 */
#include "engine/outlet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the end of a stream whose client reads nothing. */
#define LAST_BYTES 4096
/* So much goes into one frame. */
#define PIECE_BYTES (PX_FRAME_MAX_BYTES - 128)
#define ARENA_SHARE 32

int px_outlet_send(struct px_link *link, uint64_t id, enum px_stream stream, const void *bytes,
		   size_t length)
{
	struct px_outgoing out = {
		.kind = PX_STREAM,
		.flags = (uint16_t)stream,
		.id = id,
		.body = bytes,
		.body_bytes = length,
	};

	return px_link_send(link, &out);
}

void px_outlet_open(struct px_outlet *outlet, struct px_link *link, uint64_t id,
		    enum px_stream stream)
{
	*outlet = (struct px_outlet){ .link = link, .id = id, .stream = stream };
}

static int send(struct px_outlet *outlet, const char *bytes, size_t length)
{
	int rc = px_outlet_send(outlet->link, outlet->id, outlet->stream, bytes, length);

	if (rc == 0)
		outlet->sent_bytes += length;
	return rc;
}

/* Whether more than that part of what may wait in the link does wait there. */
static bool waits(const struct px_outlet *outlet, unsigned part)
{
	uint64_t most = outlet->link->endpoint->segment->arena_bytes / ARENA_SHARE;

	if (most > PX_OUTPUT_HEAD_BYTES)
		most = PX_OUTPUT_HEAD_BYTES;
	return px_link_backlog(outlet->link) > most / part;
}

/* --- what is withheld */

static void drop_first(struct px_outlet *outlet, size_t bytes)
{
	outlet->tail_start = (outlet->tail_start + bytes) % PX_OUTPUT_TAIL_BYTES;
	outlet->tail_bytes -= bytes;
}

static void leave_out(struct px_outlet *outlet, size_t bytes)
{
	drop_first(outlet, bytes);
	outlet->left_out_bytes += bytes;
}

static void withhold(struct px_outlet *outlet, const char *bytes, size_t length)
{
	outlet->withholds = true;
	if (!outlet->tail)
		outlet->tail = malloc(PX_OUTPUT_TAIL_BYTES);
	if (!outlet->tail) {
		outlet->left_out_bytes += length;
		return;
	}
	if (length > PX_OUTPUT_TAIL_BYTES) {
		outlet->left_out_bytes += length - PX_OUTPUT_TAIL_BYTES;
		bytes += length - PX_OUTPUT_TAIL_BYTES;
		length = PX_OUTPUT_TAIL_BYTES;
	}
	if (outlet->tail_bytes + length > PX_OUTPUT_TAIL_BYTES)
		leave_out(outlet, outlet->tail_bytes + length - PX_OUTPUT_TAIL_BYTES);
	while (length) {
		size_t end = (outlet->tail_start + outlet->tail_bytes) % PX_OUTPUT_TAIL_BYTES;
		size_t room = PX_OUTPUT_TAIL_BYTES - end;
		size_t part = length < room ? length : room;

		memcpy(outlet->tail + end, bytes, part);
		outlet->tail_bytes += part;
		bytes += part;
		length -= part;
	}
}

/* What is left out ends with a line, unless that one is long: then it ends anywhere. */
static void begin_with_a_line(struct px_outlet *outlet)
{
	for (size_t i = 0; i < outlet->tail_bytes && i < LAST_BYTES; i++)
		if (outlet->tail[(outlet->tail_start + i) % PX_OUTPUT_TAIL_BYTES] == '\n') {
			leave_out(outlet, i + 1);
			return;
		}
}

/* For those who watch it. */
static void tell_that_it_is_long(struct px_outlet *outlet)
{
	char note[128];
	int length = snprintf(note, sizeof(note),
			      "\n[pxrun: of what is printed from here on, only the last %u KiB are "
			      "shown, at the end]\n",
			      PX_OUTPUT_TAIL_BYTES >> 10);

	(void)send(outlet, note, (size_t)length);
}

static int tell_left_out(struct px_outlet *outlet)
{
	char note[96];
	int length, rc;

	if (!outlet->left_out_bytes)
		return 0;
	begin_with_a_line(outlet);
	length = snprintf(note, sizeof(note),
			  "\n[pxrun: %" PRIu64 " bytes of output are left out here]\n",
			  outlet->left_out_bytes);
	rc = send(outlet, note, (size_t)length);
	if (rc == 0)
		outlet->left_out_bytes = 0;
	return rc;
}

/*
 * Sends what is withheld, in pieces that need nothing but that the client reads on. PX_EAGAIN: not
 * all of it.
 */
static int let_go(struct px_outlet *outlet)
{
	int rc = tell_left_out(outlet);

	while (rc == 0 && outlet->tail_bytes) {
		size_t part = PX_OUTPUT_TAIL_BYTES - outlet->tail_start;

		if (part > outlet->tail_bytes)
			part = outlet->tail_bytes;
		if (part > PX_MESSAGE_SURE_BYTES)
			part = PX_MESSAGE_SURE_BYTES;
		rc = send(outlet, outlet->tail + outlet->tail_start, part);
		if (rc == 0)
			drop_first(outlet, part);
	}
	outlet->withholds = rc < 0;
	return rc;
}

/* --- the stream */

static bool passes(struct px_outlet *outlet)
{
	if (outlet->sent_bytes >= PX_OUTPUT_HEAD_BYTES) {
		if (!outlet->withholds)
			tell_that_it_is_long(outlet);
		return false;
	}
	/* A client that reads again finds some of it read before it gets more. */
	if (outlet->withholds && !waits(outlet, 2))
		(void)let_go(outlet);
	return !outlet->withholds && !waits(outlet, 1);
}

void px_outlet_write(struct px_outlet *outlet, const char *bytes, size_t length)
{
	if (!outlet->link || !px_member_alive(outlet->link->endpoint->segment, outlet->link->peer))
		return;
	if (!passes(outlet) || send(outlet, bytes, length) < 0)
		withhold(outlet, bytes, length);
}

void px_outlet_end(struct px_outlet *outlet, struct px_outlet *rest)
{
	*rest = *outlet;
	*outlet = (struct px_outlet){ 0 };
	/* However many requests wait for a client that reads nothing, they leave little each. */
	if (rest->withholds && waits(rest, 1) && rest->tail_bytes > LAST_BYTES)
		leave_out(rest, rest->tail_bytes - LAST_BYTES);
	if (!rest->withholds)
		px_outlet_free(rest);
}

int px_outlet_flush(struct px_outlet *rest)
{
	int rc = 0;

	if (rest->withholds && px_member_alive(rest->link->endpoint->segment, rest->link->peer))
		rc = let_go(rest);
	if (rc == 0)
		px_outlet_free(rest);
	return rc;
}

void px_outlet_free(struct px_outlet *outlet)
{
	free(outlet->tail);
	*outlet = (struct px_outlet){ 0 };
}
