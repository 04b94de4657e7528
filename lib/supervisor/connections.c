/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connections.c - accepts clients, reads what they ask, and drops them.
 */
#include "supervisor/connections.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/killpoint.h"
#include "supervisor/client_requests.h"
#include "supervisor/connection.h"
#include "supervisor/pending.h"
#include "supervisor/process.h"
#include "supervisor/supervision.h"
#include "supervisor/supervisor.h"

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
		/* How it ended is not known: it is no child of ours. */
		struct px_death death = { .expected = !process_dead(c) };

		px_member_mark_dead(s->segment, c->member, &death);
		px_member_announce(s->segment);
		PX_KILLPOINT("supervisor.client.dead"); /* dead here: the pool ends */
	}
	px_pending_forget(s, c);
	px_loop_unwatch(s->loop, &c->socket_watch);
	px_loop_unwatch(s->loop, &c->death_watch);
	close(c->socket);
	if (c->pidfd >= 0)
		close(c->pidfd);
	free(c);
	if (member)
		px_sweep_mark(s);
}

void px_connections_reap(struct px_supervisor *s)
{
	struct px_connection *next;

	for (struct px_connection *c = s->connections.first; c; c = next) {
		next = c->next;
		if (c->gone)
			drop(c);
	}
}

/* --- reading packets --- */

static void died(void *ctx)
{
	px_connection_cut(ctx);
}

/* Reads one packet, so that other connections get their turn before the next. */
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
		px_connection_cut(c);
		return;
	}
	for (uint16_t i = 0; i < s->packet.head.fds; i++)
		close(s->packet.fds[i]);
	head = s->packet.head;
	px_client_request_serve(c, &head);
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
	/* pid 0: it is in another pid namespace; then only its socket tells of its end. */
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
 * No descriptor is left for a client that connects, and the listener would stay readable for
 * ever. So the client is accepted with the spare descriptor, told, and cut off.
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

	s->turn.admit = true;
}

void px_connections_admit(struct px_supervisor *s)
{
	int socket;

	if (s->closing)
		return;
	socket = accept4(s->connections.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (socket >= 0 && admit(s, socket) < 0) {
		px_log(&s->log, "%s", px_last_error());
		close(socket);
	} else if (socket < 0 && (errno == EMFILE || errno == ENFILE)) {
		turn_away(s);
	}
}

/* With the lock, so that existing files are of a dead supervisor. Nobody finds it by its name who is refused. */
static int bind_name(struct px_connections *all, int listener, const struct px_runtime *runtime)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[108];
	struct stat file;

	px_runtime_path(runtime, "control", path, sizeof(path));
	px_runtime_path(runtime, "bound", address.sun_path, sizeof(address.sun_path));
	(void)unlink(address.sun_path);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(address.sun_path, 0600) < 0 || lstat(address.sun_path, &file) < 0 ||
	    listen(listener, 128) < 0 || rename(address.sun_path, path) < 0)
		return px_fail_errno("listening on %s", path);
	all->device = file.st_dev;
	all->inode = file.st_ino;
	return 0;
}

bool px_connections_reachable(const struct px_supervisor *s)
{
	char path[128];
	struct stat file;

	px_runtime_path(&s->options->runtime, "control", path, sizeof(path));
	return lstat(path, &file) == 0 && file.st_dev == s->connections.device &&
	       file.st_ino == s->connections.inode;
}

/* Those who came by the old name still wait at the old listener. */
static void admit_all(struct px_supervisor *s)
{
	struct pollfd look = { .fd = s->connections.listener, .events = POLLIN };

	while (look.fd >= 0 && poll(&look, 1, 0) == 1)
		px_connections_admit(s);
}

int px_connections_listen(struct px_supervisor *s)
{
	struct px_connections *all = &s->connections;
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc;

	if (listener < 0)
		return px_fail_errno("making the control socket");
	rc = bind_name(all, listener, &s->options->runtime);
	if (rc < 0) {
		close(listener);
		return rc;
	}
	admit_all(s);
	px_connections_refuse(s);
	all->listener = listener;
	return px_loop_watch(s->loop, &all->listener_watch, listener, listener_ready, s);
}

int px_connections_open(struct px_supervisor *s)
{
	s->connections.spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return px_connections_listen(s);
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
