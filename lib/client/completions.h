/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * completions.h - results that have finished, in the order in which they did, each to be taken once.
 *
 * Who:     any thread of the client, with its lock.
 * Where:   private memory. The list goes through the results, and does not hold them: a result
 *          leaves it when it is taken, or when the last hold of it ends.
 * Blocks:  never. Whoever waits for a list (px_client_take()) is woken when it gets its first.
 * Death:   of an engine or the pool: its results finish, and are listed like others.
 *
 * A client has two lists: that of px_client_next(), which px_client_fd() tells of, and one for the
 * extension, whose own thread takes from it.
 */
#ifndef PX_COMPLETIONS_H
#define PX_COMPLETIONS_H

#include <stdbool.h>

#include "client/pxrun.h"

struct px_completions {
	struct px_result *first, *last;
	struct px_notifier *notifier; /* NULL: nobody has asked for a descriptor */
};

/* A result's place in its list. All zero: in none. */
struct px_completion {
	struct px_completions *list; /* where it is put when it has finished; NULL: nowhere */
	struct px_result *before, *next;
	bool listed;
	bool each; /* it is put there whenever an entry is done, not only at the end */
};

/*
 * The result has finished, or with each an entry of it: it is put into its list. True: it is the first
 * there, and threads that sleep in the client have been woken.
 */
bool px_completions_add(struct px_result *result);
/* Takes it out, if it is there. */
void px_completions_remove(struct px_result *result);
/* Takes the first out, held. NULL: there is none. */
struct px_result *px_completions_take(struct px_completions *list);
/* All leave: the client has ended. */
void px_completions_clear(struct px_completions *list);

/* The descriptor of a list, and the thread that reads rings for it. PX_ESYSTEM, PX_ENOMEM. */
int px_notifier_new(struct px_client *client, struct px_completions *list);
int px_notifier_fd(const struct px_notifier *notifier);
/* From now on the descriptor stays readable, for there is something that is no result. */
void px_notifier_alarm(struct px_notifier *notifier);
/* Of a closed client, without its lock: waits until the thread has left. NULL is fine. */
void px_notifier_free(struct px_notifier *notifier);

#endif
