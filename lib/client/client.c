/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client.c - a client's handle: attached, held, detached.
 */
#include "client/client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/internal.h"
#include "link/forked.h"
#include "pool/control.h"
#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/os.h"

/* How long a private pool may take to stop before its client leaves it to end by itself. */
#define PRIVATE_STOP_NS UINT64_C(10000000000)

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
	pthread_cond_destroy(&client->changed);
	free(client);
}

int px_client_usable(const struct px_client *client)
{
	if (client->closed)
		return px_fail(PX_ECLOSED, "this client is closed");
	if (client->lost)
		return px_fail(PX_EPOOL, "the pool's supervisor is gone, and its engines with it");
	return 0;
}

int px_client_own(const struct px_client *client)
{
	if (!client->closed && client->endpoint->generation != px_forked_generation())
		return px_fail(PX_ECLOSED,
			       "this client belongs to process %d: attach a new one after a fork",
			       client->endpoint->owner_pid);
	return 0;
}

int px_client_check(const struct px_client *client)
{
	int rc = px_client_own(client);

	if (rc == 0 && client->closed)
		rc = px_fail(PX_ECLOSED, "this client is closed");
	return rc;
}

int px_client_poll(struct px_client *client)
{
	int rc = px_client_own(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	rc = px_client_usable(client);
	if (rc == 0) {
		px_notifier_quiet(client->notifier);
		px_client_read_all(client);
		if (!client->active && px_endpoint_orphaned(client->endpoint))
			rc = px_client_lose(client);
	}
	pthread_mutex_unlock(&client->lock);
	return rc;
}

/* --- the pool --- */

static int hello(int control, struct px_member_id *self, int *segment_fd)
{
	struct px_control call = { .type = PX_CONTROL_HELLO, .a = PX_SEGMENT_VERSION };
	struct px_packet *packet = malloc(sizeof(*packet));
	int rc;

	if (!packet)
		return px_fail(PX_ENOMEM, "no private memory for a packet");
	rc = px_control_call(control, &call, NULL, packet);
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

int px_client_open(const struct px_runtime *runtime, int control, struct px_client **out)
{
	struct px_client *client = calloc(1, sizeof(*client));
	struct px_segment *segment;
	struct px_member_id self = { 0 };
	int fd = -1, rc;

	if (!client)
		return px_fail(PX_ENOMEM, "no private memory for a client");
	px_killpoint_role("client");
	rc = hello(control, &self, &fd);
	if (rc < 0)
		goto no_hello;
	rc = px_segment_attach(fd, &segment);
	if (rc < 0)
		goto no_segment;
	rc = px_endpoint_open(segment, self, control, &client->endpoint);
	if (rc < 0)
		goto no_port;
	client->runtime = *runtime;
	client->owner_fd = -1;
	atomic_init(&client->next_id, 1);
	atomic_init(&client->holds, 1);
	pthread_mutex_init(&client->lock, NULL);
	pthread_cond_init(&client->changed, NULL);
	*out = client;
	return 0;

no_port:
	px_segment_detach(segment);
	fd = -1;
no_segment:
	if (fd >= 0)
		close(fd);
no_hello:
	free(client);
	return rc;
}

void px_client_detach(struct px_client *client)
{
	struct px_endpoint *endpoint;

	if (!client || client->closed)
		return;
	/* A child's copy: nothing of it is its own. */
	if (client->endpoint->generation != px_forked_generation())
		return;
	if (client->owns_pool)
		(void)px_client_stop_pool(client, PRIVATE_STOP_NS);
	pthread_mutex_lock(&client->lock);
	px_client_read_all(client);
	client->closed = true;
	px_client_fail_all(client, PX_ECLOSED, "the client was closed before the result came");
	pthread_cond_broadcast(&client->changed);
	endpoint = client->endpoint;
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (endpoint->links[slot]) {
			free(endpoint->links[slot]->user);
			endpoint->links[slot]->user = NULL;
		}
	while (client->pumping || client->lurking || client->waiters) {
		/* Threads that wait see `closed` and leave; their bell may have to be rung. */
		pthread_mutex_unlock(&client->lock);
		px_doorbell_ring(endpoint->bell, PX_BELL_FRAME);
		px_os.yield();
		pthread_mutex_lock(&client->lock);
	}
	pthread_mutex_unlock(&client->lock);
	px_notifier_free(client->notifier);
	if (client->owner_fd >= 0)
		close(client->owner_fd);
	px_endpoint_close(endpoint);
	px_client_release(client);
}

int px_client_engines(struct px_client *client, uint32_t *ids, size_t cap)
{
	uint32_t given;
	size_t count = 0;
	int rc = px_client_check(client);

	if (rc < 0)
		return rc;
	/* SYNC engines.count: acquire; partner: px_engine_new(). */
	given = atomic_load_explicit(&client->endpoint->segment->header->engines_count,
				     memory_order_acquire);
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

/* What peers have let go of is free. */
static void collect_all(struct px_client *client)
{
	pthread_mutex_lock(&client->lock);
	for (uint32_t slot = 0; slot < PX_MEMBERS_MAX; slot++)
		if (client->endpoint->links[slot])
			px_link_collect(client->endpoint->links[slot]);
	pthread_mutex_unlock(&client->lock);
}

uint64_t px_client_trim(struct px_client *client)
{
	if (client->closed || px_client_own(client) < 0)
		return 0;
	collect_all(client);
	return px_arena_trim(client->endpoint->arena, 0);
}

void px_client_usage(struct px_client *client, struct px_arena_usage *out)
{
	collect_all(client);
	px_arena_usage(client->endpoint->arena, out);
}
