/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * completions.c - lists of finished results, and descriptors that say whether they are empty.
 *
 * A futex cannot be polled. So a thread of ours reads the rings while nobody else does, and whoever
 * puts the first result into a list writes to its eventfd. It starts when somebody asks for the
 * descriptor.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/internal.h"
#include "shm/error.h"

#define LIMIT_LOOK_NS UINT64_C(50000000)

/* --- lists; with the client's lock --- */

struct px_notifier {
	struct px_client *client;
	pthread_t thread;
	int fd;
	struct px_descriptor_id id;
	bool alarmed;
};

static bool is_open(const struct px_notifier *notifier)
{
	return px_descriptor_check(notifier->fd, notifier->id, "px_client_fd()") == 0;
}

static void tell(const struct px_notifier *notifier)
{
	if (is_open(notifier))
		(void)eventfd_write(notifier->fd, 1);
}

bool px_completions_add(struct px_result *result)
{
	struct px_completion *place = &result->completion;
	struct px_completions *list = place->list;
	bool first = list && !list->first;

	if (!list || place->listed)
		return false;
	place->listed = true;
	place->next = NULL;
	place->before = list->last;
	if (first)
		list->first = result;
	else
		list->last->completion.next = result;
	list->last = result;
	/* Who waits was woken by the first, and does not sleep before the list is empty. */
	if (!first)
		return false;
	if (list->notifier)
		tell(list->notifier);
	px_client_wake(result->client, list);
	return true;
}

void px_completions_remove(struct px_result *result)
{
	struct px_completion *place = &result->completion;
	struct px_completions *list = place->list;
	eventfd_t count;

	if (!place->listed)
		return;
	place->listed = false;
	if (place->before)
		place->before->completion.next = place->next;
	else
		list->first = place->next;
	if (place->next)
		place->next->completion.before = place->before;
	else
		list->last = place->before;
	if (!list->first && list->notifier && !list->notifier->alarmed && is_open(list->notifier))
		(void)eventfd_read(list->notifier->fd, &count);
}

/* One more hold of a result, unless the last one ends just now. */
bool px_result_hold(struct px_result *result)
{
	uint32_t holds = atomic_load_explicit(&result->holds, memory_order_relaxed);

	while (holds &&
	       !atomic_compare_exchange_weak_explicit(&result->holds, &holds, holds + 1,
						      memory_order_relaxed, memory_order_relaxed))
		;
	return holds;
}

struct px_result *px_completions_take(struct px_completions *list)
{
	struct px_result *result;

	while ((result = list->first) != NULL) {
		px_completions_remove(result);
		if (px_result_hold(result))
			break;
	}
	return result;
}

void px_completions_clear(struct px_completions *list)
{
	while (list->first)
		px_completions_remove(list->first);
}

/* --- the descriptor --- */

/* Not before its time: the wait for a limit has an end, and any other one is over when there is a limit. */
static int has_limits(void *ctx)
{
	return ((const struct px_client *)ctx)->limited != NULL;
}

static int never(void *ctx)
{
	(void)ctx;
	return 0;
}

/* With the lock, which it leaves meanwhile: reads rings until something is late, and stops that. */
static void wait_for_limits(struct px_client *client)
{
	uint64_t next_ns = px_limits_next_ns(client);
	int (*done)(void *ctx) = next_ns == PX_FOREVER ? has_limits : never;

	if (next_ns > LIMIT_LOOK_NS && next_ns != PX_FOREVER)
		next_ns = LIMIT_LOOK_NS; /* there may be an earlier one by then */
	(void)px_client_wait_behind_locked(client, NULL, done, client, next_ns);
	if (!client->limited)
		return;
	pthread_mutex_unlock(&client->lock);
	px_limits_enforce(client);
	pthread_mutex_lock(&client->lock);
}

static void *notify(void *ctx)
{
	struct px_notifier *notifier = ctx;
	struct px_client *client = notifier->client;

	if (px_client_enter(client) < 0)
		return NULL;
	pthread_mutex_lock(&client->lock);
	/* With all signals blocked it ends with the client, or the pool. */
	while (!px_client_ended(client) && !client->lost)
		wait_for_limits(client);
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return NULL;
}

static int start(struct px_notifier *notifier)
{
	sigset_t all, old;
	int rc;

	/* Signals are for the threads of whoever uses the library. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&notifier->thread, NULL, notify, notifier);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc ? px_fail(PX_ESYSTEM, "the thread that tells of results cannot be started") : 0;
}

int px_notifier_new(struct px_client *client, struct px_completions *list)
{
	struct px_notifier *notifier = calloc(1, sizeof(*notifier));
	int rc;

	if (!notifier)
		return px_fail(PX_ENOMEM, "no private memory for a notifier");
	notifier->client = client;
	notifier->fd =
		px_descriptor_raise(eventfd(list->first != NULL, EFD_CLOEXEC | EFD_NONBLOCK));
	notifier->id = px_descriptor_identify(notifier->fd);
	rc = notifier->fd < 0 ? px_fail_errno("making an eventfd") : start(notifier);
	if (rc < 0) {
		px_descriptor_close(notifier->fd, notifier->id);
		free(notifier);
		return rc;
	}
	list->notifier = notifier;
	if (client->lost)
		px_notifier_alarm(notifier);
	return 0;
}

int px_notifier_fd(const struct px_notifier *notifier)
{
	return notifier->fd;
}

void px_notifier_alarm(struct px_notifier *notifier)
{
	notifier->alarmed = true;
	tell(notifier);
}

void px_notifier_free(struct px_notifier *notifier)
{
	if (!notifier)
		return;
	pthread_join(notifier->thread, NULL);
	px_descriptor_close(notifier->fd, notifier->id);
	free(notifier);
}
