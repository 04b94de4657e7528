/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connections.c - who is connected, and what they ask.
 */
#include "supervisor/connections.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/killpoint.h"
#include "supervisor/memory_requests.h"
#include "supervisor/pending.h"
#include "supervisor/status.h"
#include "supervisor/supervision.h"

const char *px_connection_name(const struct px_connection *c, char *out, size_t out_bytes)
{
	snprintf(out, out_bytes, "client in process %d", (int)c->pid);
	return out;
}

void px_connection_reply(struct px_connection *c, const struct px_control *head, int code,
			 const char *words, uint64_t a, uint64_t b)
{
	char name[48];

	if (px_memory_request_reply(c->socket, head, code, words, a, b) == 0)
		return;
	px_log(&c->supervisor->log, "%s is cut off: it does not read its answers",
	       px_connection_name(c, name, sizeof(name)));
	(void)shutdown(c->socket, SHUT_RDWR);
}

/* The words of the last failure. */
static void refuse(struct px_connection *c, const struct px_control *head, int code)
{
	px_connection_reply(c, head, code, px_last_error(), 0, 0);
}

/* --- what they ask; all of it needs no membership --- */

static struct px_engine *engine_of(struct px_connection *c, const struct px_control *head)
{
	struct px_supervisor *s = c->supervisor;
	struct px_engine *e = head->a < s->engines_count ? s->engines[head->a] : NULL;

	if (!e)
		(void)px_fail(PX_EENGINE, "there is no engine %" PRIu64, head->a);
	else if (e->life == PX_LIFE_GONE)
		(void)px_fail(PX_EENGINE, "there is no longer an engine %" PRIu64, head->a);
	else
		return e;
	refuse(c, head, PX_EENGINE);
	return NULL;
}

static void status(struct px_connection *c, const struct px_control *head)
{
	static char text[PX_CONTROL_TEXT_MAX];

	px_status_write(c->supervisor, text, sizeof(text));
	px_connection_reply(c, head, 0, text, 0, 0);
}

static void signal_engine(struct px_connection *c, const struct px_control *head)
{
	struct px_engine *e = engine_of(c, head);

	if (!e)
		return;
	if (head->b == 0 || head->b > (uint64_t)SIGRTMAX)
		px_connection_reply(c, head, PX_EINVAL, "there is no such signal", 0, 0);
	else if (!px_process_signal(&e->process, (int)head->b))
		px_connection_reply(c, head, PX_EENGINE, "the engine has no process at the moment",
				    0, 0);
	else
		px_connection_reply(c, head, 0, NULL, 0, 0);
}

static void restart(struct px_connection *c, const struct px_control *head)
{
	struct px_supervisor *s = c->supervisor;
	bool all = head->a == UINT64_MAX;
	struct px_engine *e = all ? NULL : engine_of(c, head);

	if ((!all && !e) || !px_pending_add(c, head, all ? 0 : e->id, all ? s->engines_count : 1))
		return;
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (all || s->engines[i] == e)
			px_engine_stop(s->engines[i], true);
	px_pending_answer(s);
}

static void remove_engine(struct px_connection *c, const struct px_control *head)
{
	struct px_engine *e = engine_of(c, head);

	if (!e || !px_pending_add(c, head, e->id, 1))
		return;
	px_engine_stop(e, false);
	px_pending_answer(c->supervisor);
}

static void add_engines(struct px_connection *c, const struct px_control *head)
{
	struct px_supervisor *s = c->supervisor;
	uint32_t first = s->engines_count;
	struct px_engine *e;

	if (head->a == 0 || head->a > PX_ENGINES_MAX - s->engines_count) {
		(void)px_fail(PX_EINVAL,
			      "%" PRIu64 " more engines: this pool has given %u of its %d ids, and "
			      "an id is not used again",
			      head->a, s->engines_count, PX_ENGINES_MAX);
		refuse(c, head, PX_EINVAL);
		return;
	}
	if (!px_pending_add(c, head, first, (uint32_t)head->a))
		return;
	for (uint64_t i = 0; i < head->a; i++)
		if (px_engine_new(s, &e) < 0) {
			px_log(&s->log, "%s", px_last_error());
			break;
		}
	px_engines_pump(s);
	px_pending_answer(s);
}

static void hello(struct px_connection *c, const struct px_control *head)
{
	struct px_supervisor *s = c->supervisor;
	struct px_control answer = { .type = PX_CONTROL_REPLY, .serial = head->serial };
	int rc;

	if (c->member.epoch) {
		px_connection_reply(c, head, PX_EINVAL, "this connection has said hello already", 0,
				    0);
		return;
	}
	if (head->a != PX_SEGMENT_VERSION) {
		(void)px_fail(PX_EVERSION,
			      "this client's pxrun speaks version %" PRIu64 " of the segment, the "
			      "pool's version %d: use the same pxrun for both",
			      head->a, PX_SEGMENT_VERSION);
		refuse(c, head, PX_EVERSION);
		return;
	}
	rc = px_member_join(s->segment, PX_MEMBER_CLIENT, -1, &c->member);
	if (rc < 0) {
		px_log(&s->log, "no room for another client: %s", px_last_error());
		refuse(c, head, rc);
		return;
	}
	px_member_live(s->segment, c->member, c->pid);
	px_member_announce(s->segment);
	PX_KILLPOINT("supervisor.client.joined"); /* dead here: so is the pool */
	answer.a = c->member.slot;
	answer.b = c->member.epoch;
	if (px_control_send(c->socket, &answer, NULL, &s->segment->fd, 1) < 0)
		(void)shutdown(c->socket, SHUT_RDWR);
}

static void stop(struct px_connection *c, const struct px_control *head)
{
	char why[64], name[48];

	px_connection_reply(c, head, 0, NULL, 0, 0);
	if (c->supervisor->closing)
		return;
	snprintf(why, sizeof(why), "a %s said so", px_connection_name(c, name, sizeof(name)));
	px_supervisor_stop(c->supervisor, why);
}

static void dispatch(struct px_connection *c, const struct px_control *head)
{
	struct px_supervisor *s = c->supervisor;
	char name[48];

	if (head->type == PX_CONTROL_STATUS) {
		status(c, head);
	} else if (head->type == PX_CONTROL_STOP) {
		stop(c, head);
	} else if (px_memory_request_is(head->type)) {
		if (!c->member.epoch)
			px_connection_reply(c, head, PX_EINVAL,
					    "only members may ask that: say hello", 0, 0);
		else if (px_memory_request_serve(s, c->socket, c->member,
						 px_connection_name(c, name, sizeof(name)),
						 head) < 0)
			(void)shutdown(c->socket, SHUT_RDWR);
	} else if (s->closing) {
		px_connection_reply(c, head, PX_EPOOL, "the pool is being stopped", 0, 0);
	} else if (head->type == PX_CONTROL_HELLO) {
		hello(c, head);
	} else if (head->type == PX_CONTROL_SIGNAL) {
		signal_engine(c, head);
	} else if (head->type == PX_CONTROL_RESTART) {
		restart(c, head);
	} else if (head->type == PX_CONTROL_ADD) {
		add_engines(c, head);
	} else if (head->type == PX_CONTROL_REMOVE) {
		remove_engine(c, head);
	} else {
		px_connection_reply(c, head, PX_EINVAL, "the supervisor knows no such request", 0,
				    0);
	}
}

/* --- the end of a connection --- */

static bool process_dead(const struct px_connection *c)
{
	struct pollfd look = { .fd = c->pidfd, .events = POLLIN };

	return c->pidfd >= 0 && poll(&look, 1, 0) == 1;
}

static void drop(struct px_connection *c)
{
	struct px_supervisor *s = c->supervisor;
	struct px_connection **where = &s->connections.first;
	bool member = c->member.epoch != 0;

	while (*where != c)
		where = &(*where)->next;
	*where = c->next;
	if (member) {
		/* How a process that is no child of ours ended is not to be known. */
		struct px_death death = { .expected = !process_dead(c) };

		px_member_bury(s->segment, c->member, &death);
		px_member_announce(s->segment);
		PX_KILLPOINT("supervisor.client.buried"); /* dead here: so is the pool */
	}
	px_pending_forget(s, c);
	px_loop_unwatch(s->loop, &c->socket_watch);
	px_loop_unwatch(s->loop, &c->death_watch);
	close(c->socket);
	if (c->pidfd >= 0)
		close(c->pidfd);
	free(c);
	if (member)
		px_sweep_now(s);
}

static void died(void *ctx)
{
	drop(ctx);
}

/* One packet: the others have their turn before the next. */
static void socket_ready(void *ctx)
{
	struct px_connection *c = ctx;
	struct px_supervisor *s = c->supervisor;
	struct px_control head;
	char name[48];
	int rc = px_control_receive(c->socket, &s->packet);

	if (rc == PX_EAGAIN)
		return;
	if (rc < 0) {
		if (rc != PX_EPOOL)
			px_log(&s->log, "%s is cut off: %s",
			       px_connection_name(c, name, sizeof(name)), px_last_error());
		drop(c);
		return;
	}
	for (uint16_t i = 0; i < s->packet.head.fds; i++)
		close(s->packet.fds[i]);
	head = s->packet.head;
	dispatch(c, &head);
}

/* --- its beginning --- */

static int admit(struct px_supervisor *s, int socket)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);
	struct px_connection *c;
	int rc;

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return px_fail_errno("asking who connects");
	if (peer.uid != getuid())
		return px_fail(PX_EPERM,
			       "process %d of user %u is not let in: the pool is user %u's",
			       (int)peer.pid, (unsigned)peer.uid, (unsigned)getuid());
	c = calloc(1, sizeof(*c));
	if (!c)
		return px_fail(PX_ENOMEM, "no private memory for a connection");
	c->supervisor = s;
	c->socket = socket;
	c->pid = peer.pid;
	/* pid 0: it lives in another pid namespace, and its socket must do. */
	c->pidfd = peer.pid > 0 ? px_pidfd_open(peer.pid) : -1;
	rc = px_loop_watch(s->loop, &c->socket_watch, socket, socket_ready, c);
	if (rc == 0 && c->pidfd >= 0)
		rc = px_loop_watch(s->loop, &c->death_watch, c->pidfd, died, c);
	if (rc < 0) {
		px_loop_unwatch(s->loop, &c->socket_watch);
		if (c->pidfd >= 0)
			close(c->pidfd);
		free(c);
		return rc;
	}
	c->next = s->connections.first;
	s->connections.first = c;
	return 0;
}

/*
 * No descriptor is left for a client that connects. The listener would stay readable for ever, so
 * the client is accepted on the spare one, told, and cut off.
 */
static void turn_away(struct px_supervisor *s)
{
	/* Serial 0: in answer to whatever it asks. */
	struct px_control refusal = { .type = PX_CONTROL_REPLY, .code = PX_ESYSTEM };
	struct px_connections *all = &s->connections;
	struct rlimit files = { 0 };
	char words[200];
	int socket;

	(void)getrlimit(RLIMIT_NOFILE, &files);
	snprintf(
		words, sizeof(words),
		"the pool's supervisor (process %d) has no descriptor left for another client (its limit is "
		"%llu): close clients, or start the pool where `ulimit -Hn` is higher",
		(int)getpid(), (unsigned long long)files.rlim_cur);
	px_log(&s->log, "a client is turned away: %s", words);
	close(all->spare);
	socket = accept4(all->listener, NULL, NULL, SOCK_CLOEXEC);
	if (socket >= 0) {
		(void)px_control_send(socket, &refusal, words, NULL, 0);
		close(socket);
	}
	all->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void listener_ready(void *ctx)
{
	struct px_supervisor *s = ctx;
	int socket = accept4(s->connections.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (socket >= 0 && admit(s, socket) < 0) {
		px_log(&s->log, "%s", px_last_error());
		close(socket);
	} else if (socket < 0 && (errno == EMFILE || errno == ENFILE)) {
		turn_away(s);
	}
}

int px_connections_open(struct px_supervisor *s)
{
	struct px_connections *all = &s->connections;
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	px_runtime_path(&s->options->runtime, "control", address.sun_path,
			sizeof(address.sun_path));
	all->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	all->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (all->listener < 0)
		return px_fail_errno("making the control socket");
	/* We have the lock: what lies there is a dead supervisor's. */
	(void)unlink(address.sun_path);
	if (bind(all->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(address.sun_path, 0600) < 0 || listen(all->listener, 128) < 0)
		return px_fail_errno("listening on %s", address.sun_path);
	return px_loop_watch(s->loop, &all->listener_watch, all->listener, listener_ready, s);
}

void px_connections_refuse(struct px_supervisor *s)
{
	struct px_connections *all = &s->connections;

	px_loop_unwatch(s->loop, &all->listener_watch);
	if (all->listener >= 0)
		close(all->listener);
	all->listener = -1;
}

void px_connections_close(struct px_supervisor *s)
{
	struct px_connection *next;

	px_connections_refuse(s);
	for (struct px_connection *c = s->connections.first; c; c = next) {
		next = c->next;
		drop(c);
	}
	if (s->connections.spare >= 0)
		close(s->connections.spare);
	s->connections.spare = -1;
}
