/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * completions.c - makes what arrives in shared memory known on a descriptor.
 *
 * A futex cannot be polled. So a thread of ours waits where px_result_wait() would,
 * and writes to an eventfd; it starts when somebody asks for the descriptor.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/client.h"
#include "shm/error.h"

struct px_notifier {
	struct px_client *client;
	pthread_t thread;
	int fd;
	uint64_t seen;
};

static void *notify(void *ctx)
{
	struct px_notifier *notifier = ctx;
	int rc;

	do {
		rc = px_client_wait_any(notifier->client, &notifier->seen, PX_FOREVER);
		/* Also of the end: who polls is then told by the next call. */
		(void)eventfd_write(notifier->fd, 1);
	} while (rc == 0 || rc == PX_EINTR);
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

static int notifier_new(struct px_client *client, struct px_notifier **out)
{
	struct px_notifier *notifier = calloc(1, sizeof(*notifier));
	int rc;

	if (!notifier)
		return px_fail(PX_ENOMEM, "no private memory for a notifier");
	notifier->client = client;
	notifier->seen = client->finished;
	notifier->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = notifier->fd < 0 ? px_fail_errno("making an eventfd") : start(notifier);
	if (rc < 0) {
		if (notifier->fd >= 0)
			close(notifier->fd);
		free(notifier);
		return rc;
	}
	*out = notifier;
	return 0;
}

int px_client_fd(struct px_client *client)
{
	int rc = px_client_begin(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	if (!client->notifier)
		rc = notifier_new(client, &client->notifier);
	if (rc == 0)
		rc = client->notifier->fd;
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return rc;
}

void px_notifier_quiet(struct px_notifier *notifier)
{
	eventfd_t count;

	if (notifier)
		(void)eventfd_read(notifier->fd, &count);
}

void px_notifier_free(struct px_notifier *notifier)
{
	if (!notifier)
		return;
	pthread_join(notifier->thread, NULL);
	close(notifier->fd);
	free(notifier);
}
