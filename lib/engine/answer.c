/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * answer.c - sends replies, and keeps those for which there is no room.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "shm/error.h"

void px_reply_free(struct px_reply *reply)
{
	px_parts_free(reply->parts, reply->parts_count);
	if (reply->release)
		reply->release(reply);
	memset(reply, 0, sizeof(*reply));
}

static void free_owner(struct px_reply *reply)
{
	free(reply->owner);
}

/* Replaces a reply by this thread's last error, cut to a length for which there is always room. */
static void only_words(struct px_outgoing *out, struct px_reply *reply, int code)
{
	px_reply_free(reply);
	reply->owner = strndup(px_last_error(), PX_MESSAGE_SURE_BYTES);
	reply->release = free_owner;
	out->code = code;
	out->body = reply->owner ? reply->owner : px_strerror(code);
	out->body_bytes = strlen(out->body);
	out->buffers = NULL;
	out->buffers_count = 0;
}

/* Output that had no room when its request ended, and then the reply. As px_link_send(). */
static int send_all(struct px_served *c, const struct px_outgoing *out)
{
	int rc = 0;

	for (unsigned i = 0; i < 2 && rc == 0; i++)
		if (c->unsent[i].withholds)
			rc = px_outlet_flush(&c->unsent[i]);
	return rc < 0 ? rc : px_link_send(c->link, out);
}

/*
 * PX_EAGAIN: the reply waits for the client, and the client's other requests wait behind it.
 *
 * A reply may only wait for what the client does anyway. That is reading: a client that waits for
 * anything reads its rings, and needs no memory of the arena to do so. It need not let go of arrays
 * that it holds, for its code may be waiting for this very reply. Hence:
 *  - Reading gives back chunks and brief leases. A reply that needs nothing else (PX_EAGAIN from
 *    px_link_send()) waits, for as long as it takes.
 *  - A reply that needs memory of the arena (PX_ENOMEM) waits while the client has messages to read,
 *    for reading them may give some back. When it has read all and there is still no
 *    memory, there may never be any: the client gets an error instead, in so few words that they
 *    need nothing but reading.
 *  - Output that had no room when its request ended goes before the reply, in pieces that wait
 *    as the first kind does.
 */
static int send_reply(struct px_served *c, struct px_outgoing *out, struct px_reply *reply)
{
	bool drained;
	int rc;

	c->room_seq = px_link_room_seq(c->link);
	rc = send_all(c, out);
	if (rc == PX_ENOMEM) {
		/*
		 * Checked before the second attempt, which then can use whatever the reading has
		 * freed.
		 */
		drained = px_link_drained(c->link);
		rc = send_all(c, out);
		if (rc == PX_ENOMEM && !drained)
			return PX_EAGAIN;
	}
	if (rc == 0 || rc == PX_EAGAIN)
		return rc;
	only_words(out, reply, rc);
	rc = px_link_send(c->link, out);
	/* Without a supervisor there is no memory; the next nap notices that it is gone. */
	return rc == PX_EPOOL ? PX_EAGAIN : rc;
}

/* Copies a body that lies in the request's frame, which is about to go. */
static void own_body(struct px_outgoing *out, struct px_reply *reply)
{
	if (reply->release || !out->body_bytes)
		return;
	reply->owner = malloc(out->body_bytes);
	if (!reply->owner) {
		out->code = PX_ENOMEM;
		out->body_bytes = 0;
		return;
	}
	out->body = memcpy(reply->owner, out->body, out->body_bytes);
	reply->release = free_owner;
}

void px_answer(struct px_loop *loop, struct px_served *c, struct px_outgoing *out,
	       struct px_reply *reply)
{
	if (send_reply(c, out, reply) != PX_EAGAIN) {
		px_reply_free(reply);
		return;
	}
	own_body(out, reply);
	c->outbox = *out;
	c->waiting = *reply;
	c->owed = true;
	loop->outboxes++;
}

void px_answer_again(struct px_loop *loop, struct px_served *c)
{
	c->owed = false;
	loop->outboxes--;
	px_answer(loop, c, &c->outbox, &c->waiting);
}
