/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * supervisor.c - the requests of a client to its pool's supervisor.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/internal.h"
#include "client/stop.h"
#include "pool/control.h"
#include "shm/error.h"
#include "shm/os.h"

#define NS UINT64_C(1000000000)
/* A longer limit, such as PX_FOREVER, is none. */
#define LIMIT_MAX_NS (UINT64_C(1) << 60)
/* The words on a failure are not worth a longer wait. */
#define WHY_NS UINT64_C(1000000000)

/* Ends a wait for the supervisor when the client is closed meanwhile. */
static int give_up_if_closed(void *ctx)
{
	return px_client_check(ctx);
}

/* After a call that was PX_EPOOL, with its words: the pool stops, or is gone. With the lock. */
static int lost(struct px_client *client)
{
	if (!px_control_hung_up(client->endpoint->control))
		return PX_EPOOL;
	/* What engines published before they went still counts. */
	px_client_read_all(client);
	return px_client_lose(client, PX_EPOOL);
}

/* Another call may be waiting for its answer. The time that this takes is left of limit_ns, 0: no limit. */
static int lock_control(struct px_endpoint *endpoint, uint64_t *limit_ns)
{
	uint64_t began = px_os.now_ns(), until = began + *limit_ns, now;
	struct timespec at = { (time_t)(until / NS), (long)(until % NS) };

	if (pthread_mutex_trylock(&endpoint->control_lock) == 0)
		return 0; /* mostly; and ThreadSanitizer does not know of clocklock */
	if (!*limit_ns) {
		pthread_mutex_lock(&endpoint->control_lock);
		return 0;
	}
	if (pthread_mutex_clocklock(&endpoint->control_lock, CLOCK_MONOTONIC, &at))
		return px_fail(PX_ETIMEDOUT,
			       "another thread's call to the pool's supervisor was not answered "
			       "within %.3g s",
			       (double)*limit_ns / 1e9);
	now = px_os.now_ns();
	*limit_ns = now < until ? until - now : 1;
	return 0;
}

/* One call. The client was entered. packet: where the answer goes; NULL: it is not wanted. */
static int ask(struct px_client *client, struct px_control call, struct px_packet *packet,
	       uint64_t timeout_ns, int (*give_up)(void *ctx))
{
	struct px_control_wait wait = { .give_up = give_up, .ctx = client };
	struct px_packet *own = NULL;
	int rc;

	wait.limit_ns = timeout_ns < LIMIT_MAX_NS ? timeout_ns : 0;

	if (!packet) {
		packet = own = malloc(sizeof(*own));
		if (!own)
			return px_fail(PX_ENOMEM, "no private memory for a packet");
	}
	rc = lock_control(client->endpoint, &wait.limit_ns);
	if (rc == 0) {
		rc = px_endpoint_check(client->endpoint);
		if (rc == 0)
			rc = px_control_call(client->endpoint->control, &call, packet, &wait);
		pthread_mutex_unlock(&client->endpoint->control_lock);
	}
	free(own);
	if (rc == PX_EPOOL) {
		pthread_mutex_lock(&client->lock);
		rc = lost(client);
		pthread_mutex_unlock(&client->lock);
	}
	return rc;
}

/* The same; enters the client. */
static int call_with(struct px_client *client, const struct px_control *head, uint64_t timeout_ns,
		     struct px_packet *packet)
{
	int rc = px_client_begin(client);

	if (rc < 0)
		return rc;
	rc = ask(client, *head, packet, timeout_ns, give_up_if_closed);
	px_client_leave(client);
	return rc;
}

static int call(struct px_client *client, uint16_t type, uint64_t a, uint64_t b,
		uint64_t timeout_ns, struct px_packet *packet)
{
	struct px_control head = { .type = type, .a = a, .b = b };

	return call_with(client, &head, timeout_ns, packet);
}

int px_client_ask_why(struct px_client *client, uint32_t engine)
{
	struct px_control call = { .type = PX_CONTROL_WHY, .a = engine };
	const struct px_control_wait wait = { .silence_ns = WHY_NS };
	struct px_endpoint *endpoint = client->endpoint;
	struct px_packet *packet = malloc(sizeof(*packet));
	int rc = 0;

	if (!packet)
		return px_fail(PX_ENOMEM, "no private memory for a packet");
	if (pthread_mutex_trylock(&endpoint->control_lock) == 0) {
		rc = px_endpoint_check(endpoint);
		if (rc == 0)
			rc = px_control_call(endpoint->control, &call, packet, &wait);
		pthread_mutex_unlock(&endpoint->control_lock);
	}
	free(packet);
	return rc == PX_EPOOL ? lost(client) : rc;
}

int px_client_signal(struct px_client *client, uint32_t engine, int signal_number,
		     uint64_t timeout_ns)
{
	return call(client, PX_CONTROL_SIGNAL, engine, (uint64_t)signal_number, timeout_ns, NULL);
}

int px_client_interrupt(struct px_client *client, uint32_t engine, uint64_t began_ns,
			uint64_t timeout_ns)
{
	struct px_control head = { .type = PX_CONTROL_SIGNAL,
				   .a = engine,
				   .b = (uint64_t)PX_SIGNAL_INTERRUPT,
				   .c = began_ns };

	return call_with(client, &head, timeout_ns, NULL);
}

int px_client_restart_engine(struct px_client *client, uint32_t engine, uint64_t timeout_ns)
{
	return call(client, PX_CONTROL_RESTART, engine, 0, timeout_ns, NULL);
}

int px_client_remove_engine(struct px_client *client, uint32_t engine, uint64_t timeout_ns)
{
	return call(client, PX_CONTROL_REMOVE, engine, 0, timeout_ns, NULL);
}

int px_client_add_engines(struct px_client *client, uint32_t count, uint64_t timeout_ns,
			  uint32_t *first)
{
	struct px_packet *packet;
	int rc = px_need(first, "first");

	if (rc < 0)
		return rc;
	packet = malloc(sizeof(*packet));
	if (!packet)
		return px_fail(PX_ENOMEM, "no private memory for a packet");
	rc = call(client, PX_CONTROL_ADD, count, 0, timeout_ns, packet);
	if (rc == 0)
		*first = (uint32_t)packet->head.a;
	free(packet);
	return rc;
}

int px_client_status_json(struct px_client *client, char **json)
{
	struct px_packet *packet;
	char *text;
	int rc = px_need(json, "json");

	if (rc < 0)
		return rc;
	packet = malloc(sizeof(*packet));
	if (!packet)
		return px_fail(PX_ENOMEM, "no private memory for a packet");
	rc = call(client, PX_CONTROL_STATUS, 0, 0, 0, packet);
	if (rc == 0) {
		text = strdup(packet->text);
		if (text)
			*json = text;
		else
			rc = px_fail(PX_ENOMEM, "no private memory for the status");
	}
	free(packet);
	return rc;
}

static int stop_pool(struct px_client *client, uint64_t timeout_ns, int (*give_up)(void *ctx))
{
	const struct px_control_wait wait = { .silence_ns = timeout_ns,
					      .give_up = give_up,
					      .ctx = client };
	pid_t killed;
	int rc;

	pthread_mutex_lock(&client->endpoint->control_lock);
	/* At a number that user code has closed somebody else may be, who must not be killed. */
	rc = px_endpoint_check(client->endpoint);
	if (rc == 0)
		rc = px_pool_tell_stop(client->endpoint->control, &wait, &killed);
	pthread_mutex_unlock(&client->endpoint->control_lock);
	return rc < 0 ? rc : px_pool_await_end(&client->runtime, &wait, killed);
}

int px_client_stop_pool(struct px_client *client, uint64_t timeout_ns)
{
	int rc = px_client_begin(client);

	if (rc < 0)
		return rc;
	rc = stop_pool(client, timeout_ns, give_up_if_closed);
	px_client_leave(client);
	return rc;
}

int px_client_stop_private(struct px_client *client, uint64_t timeout_ns)
{
	return stop_pool(client, timeout_ns, NULL);
}
