/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client.c - a client's handle: attached, held, detached.
 */
#include "client/client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/internal.h"
#include "client/tasks.h"
#include "link/forked.h"
#include "machine/address_space.h"
#include "pool/control.h"
#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/os.h"

/* How long a private pool may take to stop before its client leaves it to end by itself. */
#define PRIVATE_STOP_NS UINT64_C(10000000000)
/* Of who closes, whether the others have left. */
#define LOOK_NS UINT64_C(100000)
/* How often who polls looks whether the pool is there: as often as who waits. */
#define POLL_LOOK_NS UINT64_C(50000000)

void px_client_hold(struct px_client *client)
{
	atomic_fetch_add_explicit(&client->holds, 1, memory_order_relaxed);
}

void px_client_release(struct px_client *client)
{
	/* SYNC private: who lets go last sees what the others did before they let go. */
	if (atomic_fetch_sub_explicit(&client->holds, 1, memory_order_acq_rel) != 1)
		return;
	pthread_mutex_destroy(&client->lock);
	free(client->journal); /* the rest is kept for a while */
	px_handle_discard(&client->handle);
}

void px_client_changed(struct px_client *client)
{
	/* SYNC client.changes: release; partner: await_end(). Followers look with the lock. */
	atomic_fetch_add_explicit(&client->changes, 1, memory_order_release);
	px_os.futex_wake(&client->changes);
}

static int closed(void)
{
	return px_fail(PX_ECLOSED, "this client is closed");
}

static bool is_closed(const struct px_client *client)
{
	/* Relaxed: a look that may be late. Whether one may go on, px_client_enter() says. */
	return atomic_load_explicit(&client->closed, memory_order_relaxed);
}

int px_client_usable(const struct px_client *client)
{
	if (is_closed(client))
		return closed();
	if (client->lost)
		return px_client_lost(client);
	return 0;
}

int px_client_own(const struct px_client *client)
{
	if (client->generation != px_forked_generation())
		return px_fail(PX_ECLOSED,
			       "this client belongs to process %d: attach a new one after a fork",
			       client->owner_pid);
	return 0;
}

int px_client_check(const struct px_client *client)
{
	int rc = px_client_own(client);

	return rc == 0 && is_closed(client) ? closed() : rc;
}

/* Who hears from px_client_enter() that it is closed finds all his results ready. */
static void await_end(struct px_client *client)
{
	for (;;) {
		/* SYNC client.changes: acquire, before the look at ended; partner: px_client_changed(). */
		uint32_t seen = atomic_load_explicit(&client->changes, memory_order_acquire);

		/* SYNC client.ended: acquire; partner: the release in end(). */
		if (atomic_load_explicit(&client->ended, memory_order_acquire))
			return;
		(void)px_os.futex_wait(&client->changes, seen, LOOK_NS);
	}
}

int px_client_enter(struct px_client *client)
{
	int rc = px_client_own(client);

	if (rc < 0)
		return rc;
	/* SYNC client.entered: seq_cst, store before load; partner: wait_until_left(). */
	atomic_fetch_add_explicit(&client->entered, 1, memory_order_seq_cst);
	if (!atomic_load_explicit(&client->closed, memory_order_seq_cst))
		return 0;
	await_end(client);
	px_client_leave(client);
	return closed();
}

void px_client_leave(struct px_client *client)
{
	/* SYNC client.left: release, of all that was done inside; partner: wait_until_left(). */
	atomic_fetch_sub_explicit(&client->entered, 1, memory_order_release);
}

int px_client_begin(struct px_client *client)
{
	int rc = px_handle_check(client, PX_HANDLE_CLIENT, "client");

	return rc < 0 ? rc : px_client_enter(client);
}

int px_client_endpoint(struct px_client *client, struct px_endpoint **out)
{
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	*out = client->endpoint;
	px_endpoint_hold(client->endpoint);
	px_client_leave(client);
	return 0;
}

int px_client_look(struct px_client *client)
{
	int rc;

	px_client_read_all(client);
	rc = client->active || px_tasks_any(client) ? 0 : px_endpoint_look(client->endpoint);
	return rc < 0 ? px_client_lose(client, rc) : 0;
}

/* What others find out at their naps, for who never waits, but asks again and again. */
static int look_around(struct px_client *client)
{
	uint64_t now = px_os.now_ns();
	int rc;

	if (now - client->looked_ns < POLL_LOOK_NS)
		return 0;
	client->looked_ns = now;
	rc = px_endpoint_look(client->endpoint);
	if (rc < 0) {
		/* What engines published before they went still counts. */
		px_client_read_all(client);
		return px_client_lose(client, rc);
	}
	px_tasks_mend(client);
	return 0;
}

int px_client_poll(struct px_client *client)
{
	int rc = px_client_begin(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	rc = px_client_usable(client);
	if (rc == 0)
		rc = px_client_look(client);
	if (rc == 0)
		rc = look_around(client);
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return rc;
}

int px_client_fd(struct px_client *client)
{
	int rc = px_client_begin(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	if (!client->finished.notifier)
		rc = px_notifier_new(client, &client->finished);
	if (rc == 0)
		rc = px_notifier_fd(client->finished.notifier);
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return rc;
}

/* --- the pool --- */

static int hello(int control, uint64_t silence_ns, struct px_member_id *self, int *segment_fd)
{
	struct px_control call = { .type = PX_CONTROL_HELLO, .a = PX_SEGMENT_VERSION };
	const struct px_control_wait wait = { .silence_ns = silence_ns };
	struct px_packet *packet = malloc(sizeof(*packet));
	int rc;

	if (!packet)
		return px_fail(PX_ENOMEM, "no private memory for a packet");
	rc = px_control_call(control, &call, packet, &wait);
	if (rc == 0 && packet->head.fds != 1)
		rc = px_fail(PX_ECORRUPT, "the supervisor sent no segment");
	if (rc == 0) {
		self->slot = (uint32_t)packet->head.a;
		self->epoch = (uint32_t)packet->head.b;
		*segment_fd = packet->fds[0];
	}
	free(packet);
	return rc;
}

int px_client_open(const struct px_runtime *runtime, int control, uint64_t silence_ns,
		   struct px_client **out)
{
	struct px_client *client = calloc(1, sizeof(*client));
	struct px_segment *segment;
	struct px_member_id self = { 0 };
	int fd = -1, rc;

	if (client)
		client->journal = calloc(1, sizeof(*client->journal));
	if (!client || !client->journal) {
		free(client);
		return px_fail(PX_ENOMEM, "no private memory for a client");
	}
	px_killpoint_role("client");
	rc = hello(control, silence_ns, &self, &fd);
	if (rc < 0)
		goto no_hello;
	rc = px_address_space_explain(px_segment_attach(fd, &segment));
	if (rc < 0)
		goto no_segment;
	rc = px_endpoint_open(segment, self, control, &client->endpoint);
	if (rc < 0)
		goto no_port;
	px_handle_init(&client->handle, PX_HANDLE_CLIENT);
	client->generation = px_forked_generation();
	client->owner_pid = getpid();
	client->supervisor_pid = segment->header->supervisor_pid;
	client->runtime = *runtime;
	client->owner_fd = -1;
	atomic_init(&client->next_id, 1);
	atomic_init(&client->holds, 1);
	pthread_mutex_init(&client->lock, NULL);
	*out = client;
	return 0;

no_port:
	px_segment_detach(segment);
	fd = -1;
no_segment:
	if (fd >= 0)
		close(fd);
no_hello:
	free(client->journal);
	free(client);
	return rc;
}

/* --- the end --- */

/* Has every thread that waits look up, and nothing more to wait for. */
static void end(struct px_client *client)
{
	pthread_mutex_lock(&client->lock);
	px_client_read_all(client);
	px_client_fail_all(client, PX_ECLOSED, "the client was closed before the result came");
	/* SYNC client.ended: release; partner: the acquire in await_end(). */
	atomic_store_explicit(&client->ended, true, memory_order_release);
	px_completions_clear(&client->finished);
	px_completions_clear(&client->watched);
	if (client->finished.notifier)
		px_notifier_alarm(client->finished.notifier);
	px_client_changed(client);
	pthread_mutex_unlock(&client->lock);
}

/* What those inside are doing ends by itself: they wait in naps, and copy. */
static void wait_until_left(struct px_client *client)
{
	uint32_t inside;

	/* SYNC client.entered: seq_cst, after the store of closed; partner: px_client_enter(). */
	/* SYNC client.left: acquire, by the same load; partner: px_client_leave(). */
	while ((inside = atomic_load_explicit(&client->entered, memory_order_seq_cst)) > 0) {
		px_doorbell_wake(client->endpoint->bell);
		px_os.futex_wait(&client->entered, inside, LOOK_NS);
	}
}

static void free_queues(struct px_client *client)
{
	for (uint32_t engine = 0; engine < PX_ENGINES_MAX; engine++)
		if (client->engine_links[engine]) {
			free(client->engine_links[engine]->user);
			client->engine_links[engine]->user = NULL;
		}
}

static void free_notifier(struct px_client *client)
{
	struct px_notifier *notifier;

	/* Results that are freed later look at their list. */
	pthread_mutex_lock(&client->lock);
	notifier = client->finished.notifier;
	client->finished.notifier = NULL;
	pthread_mutex_unlock(&client->lock);
	px_notifier_free(notifier);
}

void px_client_detach(struct px_client *client)
{
	/* A child's copy: nothing of it is its own. */
	if (!client || px_handle_check(client, PX_HANDLE_CLIENT, "client") < 0 ||
	    px_client_own(client) < 0)
		return;
	/*
	 * SYNC client.entered: seq_cst, before the look at who is inside; partner:
	 * px_client_enter().
	 */
	if (atomic_exchange_explicit(&client->closed, true, memory_order_seq_cst))
		return;
	px_handle_end(&client->handle);
	end(client);
	wait_until_left(client);
	if (client->owns_pool)
		px_client_stop_private(client, PRIVATE_STOP_NS);
	free_notifier(client);
	px_descriptor_close(client->owner_fd, client->owner_id);
	free_queues(client);
	px_tasks_free(client);
	px_endpoint_close(client->endpoint);
	px_client_release(client);
}

/* --- engines and memory --- */

int px_client_live(const struct px_client *client, uint32_t *ids, size_t cap)
{
	/* SYNC engines.count: acquire; partner: px_engine_new(). */
	uint32_t given = atomic_load_explicit(&client->endpoint->segment->header->engines_count,
					      memory_order_acquire);
	size_t count = 0;

	for (uint32_t id = 0; id < given && id < PX_ENGINES_MAX; id++) {
		uint32_t state = px_client_engine_state(client, id);

		if (state != PX_ENGINE_UP && state != PX_ENGINE_STARTING)
			continue;
		if (count < cap)
			ids[count] = id;
		count++;
	}
	return (int)count;
}

int px_client_engines(struct px_client *client, uint32_t *ids, size_t cap)
{
	int rc = cap ? px_need(ids, "ids") : 0;

	if (rc == 0)
		rc = px_client_begin(client);
	if (rc < 0)
		return rc;
	rc = px_client_live(client, ids, cap);
	px_client_leave(client);
	return rc;
}

uint64_t px_client_trim(struct px_client *client)
{
	uint64_t bytes;

	if (px_client_begin(client) < 0)
		return 0;
	bytes = px_endpoint_trim(client->endpoint);
	px_client_leave(client);
	return bytes;
}

int px_client_usage(struct px_client *client, struct px_arena_usage *out)
{
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	px_endpoint_collect_all(client->endpoint);
	px_arena_usage(client->endpoint->arena, out);
	px_client_leave(client);
	return 0;
}
