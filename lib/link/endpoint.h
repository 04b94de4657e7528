/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * endpoint.h - a member's place on the segment: its block, bell, memory, and links to peers.
 *
 * Who:     clients and engines alike; any thread: each function takes the endpoint's lock itself.
 *          But a link is read by one thread at a time.
 * Where:   private memory, over the member's block and bell in the segment.
 * Blocks:  never on a peer; on the supervisor while it grants an extent.
 * Death:   a dead peer's ring is read to its end; its link closes when
 *          nothing of its memory is held here any more, and the supervisor is told.
 */
#ifndef PX_ENDPOINT_H
#define PX_ENDPOINT_H

#include <pthread.h>
#include <stdbool.h>

#include "link/message.h"
#include "link/place.h"
#include "shm/doorbell.h"
#include "shm/lease.h"
#include "shm/member.h"
#include "shm/region.h"
#include "shm/ring.h"

/* Most buffers of one message: their descriptors lie in the frame. */
#define PX_BUFFERS_MAX ((PX_FRAME_MAX_BYTES - 128) / 2 / sizeof(struct px_region_shm))

/*
 * Private maps that no loan uses at the moment. The same regions are used again soon, and mapping
 * them again would cost more than the rest of a small message.
 */
#define PX_MAPS_KEPT 16
struct px_maps {
	struct px_map {
		uint64_t offset, bytes;
		void *at; /* NULL: none */
	} kept[PX_MAPS_KEPT];
	unsigned next; /* the oldest */
};

struct px_endpoint {
	struct px_segment *segment;
	struct px_member_id self;
	struct px_block_shm *block; /* ours, writable */
	struct px_doorbell_shm *bell;
	struct px_arena *arena;
	uint64_t heeded_seq; /* wanted_seq as seen; of the thread that calls px_endpoint_heed() */
	int control;         /* the socket to the supervisor */
	struct px_descriptor_id control_id;
	pthread_mutex_t lock;         /* links and rings; recursive use is a bug */
	pthread_mutex_t control_lock; /* one call at a time */
	struct px_link *links[PX_MEMBERS_MAX];
	struct px_endpoint *next; /* of this process's endpoints */
	struct px_maps maps;
	_Atomic uint64_t spin_ns;  /* how long to look for news before sleeping, lately */
	_Atomic uint64_t woken_ns; /* how long that took, lately, after a px_link_ring() that woke */
	_Atomic bool woke;         /* there was one since the last wait */
	struct px_place place;     /* of the thread that waits */
	uint32_t generation;      /* px_forked_generation(): a forked child may not use it */
	int owner_pid;
	bool closed;            /* with the lock: it is freed with the last hold */
	_Atomic uint32_t holds; /* its opener, loans, shown regions, calls that pack */
	_Atomic uint32_t shown; /* number of regions that px_endpoint_show() has given out */
};

/* One peer. */
struct px_link {
	struct px_endpoint *endpoint;
	struct px_member_id peer;
	struct px_link_shm *own;
	struct px_doorbell_shm *bell; /* the peer's */
	struct px_producer tx;
	struct px_consumer rx;
	struct px_leases leases; /* what we lent to it */
	_Atomic uint32_t held;   /* our loans of its memory */
	uint64_t urgent_seen;    /* of the peer's urgent_seq */
	bool finished;           /* nothing more is read from it; closed when held is 0 */
	void *user;              /* of the layer above, such as a client's queue of requests */
};

/* Memory of a peer that was lent to us with a message, until px_loan_release(). */
struct px_loan {
	struct px_link *link;  /* NULL if it is a copy */
	void *copy;            /* from malloc: what came with a brief lease; else NULL */
	const uint8_t *shared; /* read-only, in place, or the copy */
	uint64_t offset, bytes;
	bool live;    /* mapped shared: all see what is written */
	void *mapped; /* writable view, made by px_loan_map() */
	uint64_t mapped_bytes, mapped_skip;
	uint16_t lease, generation;
};

/* Where a message lies that was sent: how to abort it. */
struct px_ticket {
	uint64_t chunk_seq;        /* of the ring's chunk, which is used again one day */
	_Atomic uint32_t *aborted; /* the word in its frame */
};

/* A piece of a region of ours, held. region NULL: an empty buffer. */
struct px_part {
	struct px_region *region;
	uint64_t skip, bytes;
};

/* A message to send. Buffers lie in regions of ours, filled already; sending holds these. */
struct px_outgoing {
	uint16_t kind, flags;
	uint64_t id;
	int32_t code;
	uint64_t started_ns, completed_ns;
	const void *body;
	uint64_t body_bytes;
	struct px_region *body_region; /* body in a region already; else NULL */
	const struct px_part *buffers;
	uint32_t buffers_count;
	struct px_tracker *tracker; /* counts the leases of shown regions; may be NULL */
	struct px_ticket *ticket;   /* filled when it was sent; may be NULL */
	bool unrung;                /* px_link_ring() follows, when others have been sent as well */
	/* Of a native call to several engines: where they meet (shm/barrier.h); it is a buffer, too. */
	struct px_region *barrier;
};

/* A message received. The body lies in the frame until px_link_next(), or is a loan. */
struct px_incoming {
	uint16_t kind, flags;
	uint64_t id;
	int32_t code;
	uint64_t started_ns, completed_ns;
	const void *body;
	uint64_t body_bytes;
	struct px_loan *body_loan; /* NULL: in the frame */
	/* Buffers_count; entries NULL for empty ones; a new array, taken by the caller. */
	struct px_loan **buffers;
	uint32_t buffers_count;
	const _Atomic uint32_t *aborted; /* in the frame */
	bool lost; /* there was no private memory for body or buffers: it has neither */
};

/*
 * Opens the endpoint of a member that the supervisor has joined: maps its block, makes
 * its arena (extents by PX_CONTROL_EXTENT_GET on control). Takes segment and control on success.
 */
int px_endpoint_open(struct px_segment *segment, struct px_member_id self, int control,
		     struct px_endpoint **out);
/*
 * Of the opener: closes every link and releases the endpoint. Mapping, arena and socket stay as
 * long as loans, shown regions and other holds, and are freed with the last. No other thread may
 * be in a call.
 */
void px_endpoint_close(struct px_endpoint *endpoint);
/* Keeps it while others may close it. Any thread that knows that it is not freed yet. */
void px_endpoint_hold(struct px_endpoint *endpoint);
/* Any thread, also after px_endpoint_close(). Does nothing in a forked child. */
void px_endpoint_release(struct px_endpoint *endpoint);

/*
 * The link to a peer, opened at the first call. PX_EENGINE if that member is
 * dead (or never was); PX_ENOMEM.
 */
int px_endpoint_link(struct px_endpoint *endpoint, struct px_member_id peer, struct px_link **out);
/* Marks the link finished: nothing more is sent or read. Closed when no loan is held. */
void px_link_finish(struct px_link *link);

/*
 * Publishes and rings. Grants leases on the buffers first. PX_EAGAIN: there is room once the peer
 * has read what waits for it. PX_ENOMEM: no memory for a body or a chunk, or no lasting lease for live
 * memory; there may be some once the peer has read all (px_link_drained()), and there may not.
 * In both cases nothing was sent and nothing is held.
 */
int px_link_send(struct px_link *link, const struct px_outgoing *message);
/* Rings the peer for messages that were sent `unrung`, by who will wait for their answers. */
void px_link_ring(struct px_link *link);
/* Bytes of the arena that what was sent and the peer has not read takes. */
uint64_t px_link_backlog(struct px_link *link);
/* Whether the peer has read all that was sent. */
bool px_link_drained(struct px_link *link);
/* Whether the peer holds a lease of the region. */
bool px_link_lends(struct px_link *link, const struct px_region *region);
/* Changes when the peer has given back leases or chunks of ours. No lock. */
uint64_t px_link_room_seq(const struct px_link *link);
/*
 * The oldest message: 1 and *in, 0 if none, PX_ECORRUPT (words name the member; finish
 * the link). Every offset and length was checked. Then px_link_next().
 */
int px_link_receive(struct px_link *link, struct px_incoming *in);
/* Goes past the message that was received: its body is no longer valid, unless it is a loan. */
void px_link_next(struct px_link *link);
/* Whether a message waits; no lock, the cheapest look. */
static inline bool px_link_ready(const struct px_link *link)
{
	return px_consumer_ready(&link->rx);
}
/* Ends leases that are over, takes back consumed chunks. */
void px_link_collect(struct px_link *link);
/*
 * The same for the link to a peer. There may be none: the link of a dead peer is freed with its
 * last loan.
 */
void px_endpoint_collect(struct px_endpoint *endpoint, struct px_member_id peer);
/* The same for all links. */
void px_endpoint_collect_all(struct px_endpoint *endpoint);
/* The same, and gives back what the arena keeps warm. The bytes given back. */
uint64_t px_endpoint_trim(struct px_endpoint *endpoint);
/*
 * Whether a member was refused memory that others may keep warm, and this one has not heeded it yet; heeds it:
 * as px_endpoint_trim(), but waits for no other thread. By one thread at a time (a client's has its lock),
 * whenever it looks for news: its bell is rung.
 */
bool px_endpoint_wanted(const struct px_endpoint *endpoint);
void px_endpoint_heed(struct px_endpoint *endpoint);

/* --- aborted and urgent messages, and interrupts (overtake.c) --- */

/* The sender: aborts a message. True: it will not be begun. False: it has begun, or begins now. */
bool px_link_abort(struct px_link *link, const struct px_ticket *ticket, uint64_t id);
/* The sender: whether the peer works on that message, and its progress. */
bool px_link_running(const struct px_link *link, uint64_t id, uint64_t *progress);
/* The sender: asks the peer to interrupt that message; PX_SIGNAL_INTERRUPT makes it look. */
void px_link_interrupt(struct px_link *link, uint64_t id);
/* The receiver: whether the sender asked for that. Async-signal-safe. */
bool px_link_interrupted(const struct px_link *link, uint64_t id);
/* The receiver: begins a message in its turn. False: it was aborted. */
bool px_link_begin(struct px_link *link, const struct px_incoming *in);
/* The receiver, while it works on a message: adds to its progress. */
void px_link_progress(struct px_link *link, uint64_t units);
/* The receiver: whether the peer sent an urgent message since the last call. */
bool px_link_urgent(struct px_link *link);
/*
 * The receiver: the first urgent message with an id above after_id, wherever it stands; as
 * px_link_receive(). It stays where it is, to be skipped in its turn.
 */
int px_link_find_urgent(struct px_link *link, uint64_t after_id, struct px_incoming *in);
/* The receiver: skips urgent messages up to that id at the head of the ring: they are done. */
int px_link_skip_urgent(struct px_link *link, uint64_t done_id);
/* The receiver: the id of the newest message, 0 if none waits. PX_ECORRUPT. */
int px_link_newest(struct px_link *link, uint64_t *id);
/* The receiver: how many messages are not read yet; counts no more than most. */
uint32_t px_link_waiting(const struct px_link *link, uint32_t most);
/* Makes a message of a frame; px_link_receive() does that with the oldest one. */
int px_link_decode(struct px_link *link, const struct px_frame *frame, struct px_incoming *in);

/* A writable view of the loan's bytes, private unless live; the same one each time. PX_ESYSTEM. */
int px_loan_map(struct px_loan *loan, void **out);
/* Any thread, also after px_endpoint_close(). */
void px_loan_release(struct px_loan *loan);
/* Frees an incoming message's loans and array. */
void px_incoming_free(struct px_incoming *in);

/* --- memory of our own --- */

/* A region for the caller's own code to work in, until px_endpoint_hide(). PX_ENOMEM. */
int px_endpoint_show(struct px_endpoint *endpoint, uint64_t bytes, struct px_region **out);
/* The same where other memory will do: at once, and nobody is asked to give some back. */
int px_endpoint_show_spare(struct px_endpoint *endpoint, uint64_t bytes, struct px_region **out);
/* The caller's code no longer uses it. Any thread, also after px_endpoint_close(). */
void px_endpoint_hide(struct px_endpoint *endpoint, struct px_region *region);
/*
 * The memory as something to send: where it lies, if that is a large region of ours that may be
 * lent, else a copy of it. PX_ENOMEM. px_parts_free() when it was sent.
 */
int px_endpoint_pack(struct px_endpoint *endpoint, const void *data, uint64_t bytes,
		     struct px_part *out);
/* The bytes of ours that peers hold, each region once. PX_ENOMEM: private memory. */
int px_endpoint_lent(struct px_endpoint *endpoint, uint64_t *bytes);
/* Copies into a new region; bytes may be 0. As px_endpoint_pack(). */
int px_endpoint_copy(struct px_endpoint *endpoint, const void *data, uint64_t bytes,
		     struct px_part *out);
/* Lets go of the regions; frees the array, which came from malloc. */
void px_parts_free(struct px_part *parts, uint32_t count);

/*
 * px_doorbell_wait() on our bell. It spins for as long as waits took lately, or, if px_link_ring() had
 * to wake a peer since the last one, as those did that began with that.
 */
int px_endpoint_wait(struct px_endpoint *endpoint, uint32_t why, uint64_t timeout_ns,
		     int (*ready)(void *ctx), int (*on_nap)(void *ctx), void *ctx);
/* The same with px_doorbell_idle(). */
int px_endpoint_idle(struct px_endpoint *endpoint, uint32_t why, uint64_t timeout_ns,
		     int (*ready)(void *ctx), int (*on_nap)(void *ctx), void *ctx);

/*
 * PX_EPOOL if the supervisor hung up, by one non-blocking look at the control socket; PX_ECLOSED as
 * px_endpoint_check(); 0 otherwise.
 */
int px_endpoint_look(const struct px_endpoint *endpoint);
/* Says why our process is about to end; of an engine alone, whose crash text it is. */
void px_endpoint_last_words(struct px_endpoint *endpoint, const char *words);
/* PX_ECLOSED if code of the user has closed the control socket, or the segment's descriptor. */
int px_endpoint_check(const struct px_endpoint *endpoint);

#endif
