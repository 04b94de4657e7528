/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client.h - requests and replies of a client, below values and pickles.
 *
 * Who:     any thread, any call, at any time; also px_client_detach() while others are in calls.
 * Where:   private memory, and the endpoint's part of the segment.
 * Blocks:  what waits, sends or asks the supervisor; until the client is closed at the latest.
 * Death:   of an engine: its requests fail in words; of the supervisor: all do (PX_EPOOL).
 *
 * This is what pxrun.h's functions and the Python extension are built on.
 * Replies of one engine come in the order of the requests to it, so each
 * link has a queue of outstanding requests and a reply belongs to its head.
 *
 * Several threads may wait at once: one of them reads all rings (the leader),
 * the others sleep until it has something of theirs or leaves. A thread that waits for
 * whatever finishes (the one behind) leads only while nobody else does: who waits for an
 * answer takes the bell from it, and hands it back.
 *
 * Closing. Each call enters the client and leaves it; px_client_detach() says closed, has all who
 * wait look up, and waits until nobody is inside. Then the endpoint goes: who has memory of it in
 * hand without being inside (loans, shown regions, what is packed to be sent) holds it.
 */
#ifndef PX_CLIENT_H
#define PX_CLIENT_H

#include "client/completions.h"
#include "client/handle.h"
#include "client/journal.h"
#include "client/limits.h"
#include "client/output.h"
#include "client/pxrun.h"
#include "link/endpoint.h"
#include "pool/runtime.h"

struct px_engine_set;

/* One message to one engine, and what came back. */
struct px_request {
	struct px_result *result;
	struct px_request *next; /* in its link's queue, older to newer */
	struct px_member_id member;
	uint32_t engine;
	uint64_t id;
	_Atomic uint32_t done;
	int32_t code;                       /* when done */
	char *words;                        /* of a failure that is not the engine's reply */
	struct px_incoming reply;           /* body: small, long_body, or a loan */
	uint64_t submitted_ns, received_ns; /* CLOCK_REALTIME */
	struct px_output *output;           /* NULL: none yet. With the client's lock */
	struct px_ticket ticket;
	struct px_tracker *tracker; /* NULL: not asked for */
	bool urgent;
	bool late; /* its time limit was over: what stops it is PX_ETIMEDOUT. With the client's lock */
	bool aborted; /* done for its user; in the queue until the engine has passed it by */
	int32_t exit_signal, exit_code; /* of its engine's process, if died */
	bool died;                      /* that process, before it had answered */
	void *long_body;                /* from malloc; NULL: the body is short, or a loan */
	struct px_task *task;           /* NULL: it is none, or is done. With the client's lock */
	struct px_engine_set *refused;  /* NULL: none. Engines that said that they are not for it */
	uint32_t nth; /* of the result's entry of this index: which was done as the nth, from 0 */
	uint8_t small[48]; /* a short body */
};

/* A result of so many entries needs no second allocation. */
#define PX_RESULT_INLINE 8

struct px_result {
	struct px_handle handle;
	struct px_client *client;
	_Atomic uint32_t pending; /* requests without an answer */
	_Atomic uint32_t holds;   /* the user, and each request that was sent and is pending */
	uint32_t count;
	uint32_t sent; /* of the requests; the sending thread writes it, with the client's lock */
	uint32_t rung; /* of those that were sent: their engines know of it; as sent */
	uint64_t submitted_ns; /* CLOCK_REALTIME, of all that were sent at once */
	uint64_t start_by_ns;  /* until when the next one waits for its engine; 0: it does not */
	bool tracked;          /* every request has a tracker */
	_Atomic(void *) user;  /* px_result_set_user() */
	bool quiet;            /* what it prints is not kept */
	struct px_region *barrier;       /* held until all have answered; NULL: they do not meet */
	uint64_t items;                  /* of a map, whose entries are chunks; else 0 */
	uint64_t chunk;                  /* items of each; 0: they are dealt evenly */
	struct px_limit limit;           /* with the client's lock */
	struct px_completion completion; /* with the client's lock */
	uint32_t entry_waiters; /* with the client's lock: threads that wait for single entries */
	pthread_mutex_t lock;   /* decoded */
	struct px_decoded *decoded; /* [count], made by the first px_result_value() */
	struct px_request *requests;
	struct px_request inlined[];
};

/* The outstanding requests to one engine's process; hangs on its link. */
struct px_queue {
	struct px_link *link;
	uint32_t engine;
	struct px_request *head, *tail;
	uint32_t waiting;               /* of them, those that are not aborted */
	struct px_queue *next, **where; /* in the list of active queues; where NULL: not in it */
	bool suspected;    /* it is to be asked, for the probes + 1st time (mending.c) */
	uint32_t probes;   /* how often it was */
	uint64_t probe_id; /* of what it was asked and has not answered; 0: nothing */
};

struct px_client {
	struct px_handle handle;
	uint32_t generation; /* px_forked_generation(): a forked child may not use it */
	int owner_pid, supervisor_pid;
	_Atomic bool closed;          /* nobody enters any more */
	_Atomic uint32_t entered;     /* calls that are inside */
	struct px_endpoint *endpoint; /* while it is not closed, or somebody is inside */
	struct px_runtime runtime;
	bool owns_pool; /* stop it on detach */
	_Atomic uint64_t next_id;
	pthread_mutex_t lock;     /* what follows, and the queues; taken before the endpoint's */
	_Atomic uint32_t changes; /* counts: px_client_changed() */
	_Atomic bool ended; /* closed, and every request has failed: there is nothing to wait for */
	int lost; /* what every call is: PX_EPOOL, the supervisor is gone; PX_ECLOSED, our socket is */
	uint64_t seen_members_seq;
	uint64_t looked_ns; /* when a poll last looked whether the pool is there */
	struct px_link *engine_links[PX_ENGINES_MAX]; /* by engine id, of the current process */
	struct px_member_id given_up[PX_ENGINES_MAX]; /* processes that sent what cannot be read */
	struct px_queue *active;                      /* queues that are not empty */
	struct px_tasks *tasks;                       /* NULL: there were none yet */
	struct px_completions finished;               /* for px_client_next() */
	struct px_completions watched;                /* for the extension */
	struct px_result *limited;                    /* those with a time limit */
	bool pumping;                                 /* there is a leader */
	uint32_t followers;                           /* threads that sleep until changed */
	const struct px_waiting *behind;              /* NULL: there is none */
	struct px_journal *journal;                   /* the last requests that were answered */
	_Atomic uint64_t outputs;                     /* pieces of output so far, of any request */
	int owner_fd; /* of a private pool: its end stops the pool; else -1 */
	struct px_descriptor_id owner_id;
	_Atomic uint32_t holds; /* the user, views and results keep the handle, not the pool */
};

/*
 * Enters: until px_client_leave() the endpoint stays. PX_ECLOSED: it is closed, or another
 * process's. Never around code of the user, which may close the client and would then wait for
 * itself.
 */
int px_client_enter(struct px_client *client);
void px_client_leave(struct px_client *client);
/* The same for the functions of pxrun.h, whose argument may be anything. */
int px_client_begin(struct px_client *client);
/* The endpoint, held (px_endpoint_release()), for longer than one is inside. PX_ECLOSED. */
int px_client_endpoint(struct px_client *client, struct px_endpoint **out);

/*
 * Sends one message to each of n engines. Body and buffers are sent once and shared. message->id is
 * given here. *result may be NULL. For an engine that is being restarted it waits until it is up.
 * If a later engine fails, its entry of the result carries the error; if the first fails, the call
 * does. As pxrun.h's requests. A signal does not end it. how: as px_how_read() has left it.
 */
int px_client_submit(struct px_client *client, const uint32_t *engines, uint32_t n,
		     struct px_outgoing *message, const struct px_how *how,
		     struct px_result **result);
/*
 * Makes the index-th of several messages, which a result is of: kind, flags, body and buffers. They are the
 * maker's, and stay until it is called again.
 */
typedef int px_message_maker(void *ctx, struct px_result *result, uint32_t index,
			     struct px_outgoing *out);
/* The same, with a message of its own for each of the engines, which may be there several times. */
int px_client_submit_each(struct px_client *client, const uint32_t *engines, uint32_t n,
			  px_message_maker *make, void *ctx, const struct px_how *how,
			  struct px_result **result);
/* Posts n messages as tasks, each an entry of one result. set: who may run them; NULL: anybody. */
int px_client_post(struct px_client *client, const struct px_engine_set *set, uint32_t n,
		   px_message_maker *make, void *ctx, const struct px_how *how,
		   struct px_result **result);
/*
 * The same in steps, for who has to look at signals meanwhile. A result of which nothing is sent;
 * tracked: it can be asked whether shown regions that were sent have been let go of. PX_EINVAL,
 * PX_ENOMEM.
 */
int px_result_new(struct px_client *client, const uint32_t *engines, uint32_t n, bool tracked,
		  struct px_result **out);
/*
 * Sends the message to those engines that have not got it. PX_ETIMEDOUT, PX_EINTR: it waited for
 * room, or for an engine; call it again, or give up by px_result_release(). Another error: it is
 * not sent to more engines.
 */
int px_result_send(struct px_result *result, struct px_outgoing *message, uint64_t timeout_ns);
/* Gives up one hold; the last frees. px_result_free() does, and ends the handle for its user. */
void px_result_release(struct px_result *result);
/*
 * A body that is too long for a frame is copied once for all of several engines. *made: the copy,
 * to be released when it was sent; NULL if there is none. The caller holds the endpoint.
 */
int px_share_body(struct px_endpoint *endpoint, struct px_outgoing *message, uint32_t n,
		  struct px_region **made);
/* px_client_next() of one of the client's lists; the result is held. */
int px_client_take(struct px_client *client, struct px_completions *list, uint64_t timeout_ns,
		   struct px_result **result);
/*
 * From now on the result is put into that list, NULL for none, when it has finished, at once if it
 * has; with each also whenever an entry is done. PX_ECLOSED.
 */
int px_result_list(struct px_result *result, struct px_completions *list, bool each);
/* The same for the list of px_client_next(), unless it is for another one. */
int px_result_tell(struct px_result *result);
/* Waits until the entry is done. PX_ETIMEDOUT, PX_EINTR, PX_ECLOSED. */
int px_request_wait(struct px_request *request, uint64_t timeout_ns);
/* Waits until more than so many entries are done. Likewise. */
int px_result_wait_more(struct px_result *result, uint32_t known, uint64_t timeout_ns);
/* How many entries are done; result->requests[i].nth is the one that was as the ith. */
uint32_t px_result_finished(const struct px_result *result);
/* What this client has of the arena, when what peers let go of has been counted. PX_ECLOSED. */
int px_client_usage(struct px_client *client, struct px_arena_usage *out);
/* Waits until nothing that was sent is unanswered. PX_ETIMEDOUT, PX_EINTR, PX_ECLOSED, PX_EPOOL. */
int px_client_wait_idle(struct px_client *client, uint64_t timeout_ns);
/*
 * Counts by engine id: the unanswered requests, in PX_ENGINES_MAX entries; the tasks that it has taken,
 * in as many, and in one more behind them those that no engine has taken. PX_ECLOSED.
 */
int px_client_queued(struct px_client *client, uint32_t *requests, uint32_t *tasks);
/*
 * The results that are not answered in all their entries, each once: a new array, free(3), of new
 * holds. PX_ECLOSED, PX_EPOOL, PX_ENOMEM.
 */
int px_client_outstanding(struct px_client *client, struct px_result ***results, size_t *count);
/* A new hold of that one of them, NULL if it is none. PX_ECLOSED, PX_EPOOL. */
int px_client_find(struct px_client *client, uint64_t id, struct px_result **result);
/* A result of one entry that is done, for px_result_tell(): something else has finished. PX_ECLOSED, PX_ENOMEM. */
int px_result_new_done(struct px_client *client, struct px_result **out);
/*
 * Copies the last entries of the journal, oldest first, to room for PX_JOURNAL_ENTRIES; of a closed
 * client, too. PX_ECLOSED in a forked child.
 */
int px_client_journal(struct px_client *client, struct px_journal_entry *out, uint32_t *count);
/* What names a result among all of its client's. */
uint64_t px_result_id(const struct px_result *result);
/*
 * 1: the request waits in its engine's ring, and is now done with PX_EABORTED. 0: not so.
 * PX_ECLOSED.
 */
int px_request_abort(struct px_request *request);
/*
 * As px_client_signal() with SIGINT, but for the request alone that the engine began then, as its block says, whoever
 * asked for it: no other one is interrupted if that has ended.
 */
int px_client_interrupt(struct px_client *client, uint32_t engine, uint64_t began_ns,
			uint64_t timeout_ns);
/* px_result_interrupt(). */
int px_request_interrupt(struct px_request *request);
/* px_result_cancel(). */
int px_request_cancel(struct px_request *request);
/* The engine to which it was sent, or which has taken the task: PX_NO_ENGINE until one has. */
uint32_t px_request_engine(struct px_request *request);
/* 1 or 0: whether its engine works on it at the moment, and what it counted as done. PX_ECLOSED. */
int px_request_running(struct px_request *request, uint64_t *progress);
/* When its engine began it, CLOCK_REALTIME; 0: it has not, or the client is closed. For displays. */
uint64_t px_request_began_ns(struct px_request *request);
/*
 * 1 or 0: whether its engine has let go of every shown region that was sent with it; reads what has
 * come. A pool that is gone holds nothing. PX_ECLOSED: nobody knows any more.
 */
int px_request_sent(struct px_request *request);
/* Waits until that is so. PX_ETIMEDOUT, PX_EINTR, PX_ECLOSED. */
int px_request_wait_sent(struct px_request *request, uint64_t timeout_ns);
/* Waits until that is so of every entry. Likewise. */
int px_result_wait_sent(struct px_result *result, uint64_t timeout_ns);
/* A copy of what it printed so far; PX_ENOMEM, PX_ECLOSED in a forked child. */
int px_request_output(struct px_request *request, struct px_output *out);
/*
 * What it printed and published since the last call, at most so many bytes of what it printed; of a
 * last line that is not whole nothing, unless parts are wanted or it is done. In a forked child
 * nothing. PX_ENOMEM.
 */
int px_request_news(struct px_request *request, bool parts, size_t most, struct px_output *out);
/* How many bytes of what it printed px_request_news() has given. */
size_t px_request_told(struct px_request *request);
/* Of a result that is ready: whether that gives something of an entry. */
bool px_result_has_news(struct px_result *result);
/*
 * Whether the pool or that engine is gone for good: PX_EPOOL, PX_EENGINE, in words that say how.
 * engine may be no id of an engine.
 */
int px_client_check_gone(struct px_client *client, uint32_t engine);
/* PX_EENGINE, in words that name the live ones: there is no such engine, or no longer. PX_EPOOL. */
int px_client_check_engine(struct px_client *client, uint32_t engine);
/* For a call to all engines where there are none: PX_EENGINE, or PX_EPOOL as the pool is gone. */
int px_client_no_engines(struct px_client *client);
/*
 * Says hello on a connected control socket, which it takes on success. silence_ns: how long it waits
 * for an answer, as in struct px_control_wait.
 */
int px_client_open(const struct px_runtime *runtime, int control, uint64_t silence_ns,
		   struct px_client **out);
/* PX_ECLOSED if the handle is closed or another process's, or will be in a moment. */
int px_client_check(const struct px_client *client);
/*
 * PX_ECLOSED in a forked child, where neither the segment is nor anybody who would release a lock.
 */
int px_client_own(const struct px_client *client);
void px_client_hold(struct px_client *client);
void px_client_release(struct px_client *client);
/* Frees what px_result_value() made (decode.c). */
void px_decoded_free(struct px_result *result);
/* The entry's failure as code and words in px_last_error(); 0 if it succeeded. */
int px_request_failure(struct px_request *request);
/* Whether it was answered; then its code, words, reply and times stay as they are. */
static inline bool px_request_is_done(const struct px_request *request)
{
	/* SYNC request.done: acquire; partner: px_request_done(). */
	return atomic_load_explicit(&request->done, memory_order_acquire);
}

#endif
