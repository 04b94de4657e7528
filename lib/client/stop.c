/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stop.c - stops pools, also those whose supervisor does not answer.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/start.h"
#include "client/stop.h"
#include "pool/control.h"
#include "pool/holder.h"
#include "shm/error.h"
#include "shm/os.h"

/* A supervisor that is well answers within this, however busy the machine is. */
#define LEAST_NS UINT64_C(1000000000)

static uint64_t at_least(uint64_t timeout_ns)
{
	return timeout_ns < LEAST_NS ? LEAST_NS : timeout_ns;
}

/*
 * The supervisor alone has the other end of the socket. So if that is open after the pidfd was made,
 * the pidfd is the supervisor's, and not that of a later process with the same pid.
 */
static int kill_supervisor(int control, uint64_t silence_ns, pid_t *killed)
{
	pid_t pid = px_control_supervisor(control);
	int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	int rc = 0;

	if (px_control_hung_up(control)) {
		*killed = 0;
	} else if (pid <= 0) {
		rc = px_control_silent(0, silence_ns);
	} else if (pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0) {
		rc = px_fail_errno("killing the pool's supervisor (process %d), which does not "
				   "answer",
				   (int)pid);
	} else {
		*killed = pid;
	}
	if (pidfd >= 0)
		close(pidfd);
	return rc;
}

int px_pool_tell_stop(int control, const struct px_control_wait *wait, pid_t *killed)
{
	struct px_control call = { .type = PX_CONTROL_STOP };
	struct px_packet *packet = malloc(sizeof(*packet));
	struct px_control_wait limited = *wait;
	int rc;

	if (!packet)
		return px_fail(PX_ENOMEM, "no private memory for a packet");
	*killed = 0;
	limited.silence_ns = at_least(wait->silence_ns);
	rc = px_control_call(control, &call, packet, &limited);
	free(packet);
	if (rc == PX_ETIMEDOUT)
		rc = kill_supervisor(control, limited.silence_ns, killed);
	return rc == PX_EPOOL ? 0 : rc;
}

static int await_lock(const struct px_runtime *runtime, uint64_t timeout_ns,
		      int (*give_up)(void *ctx), void *ctx)
{
	uint64_t start = px_os.now_ns();

	/* Locking a file has no time limit, so this polls; stopping takes milliseconds. */
	while (px_runtime_alive(runtime)) {
		int rc = give_up ? give_up(ctx) : 0;

		if (rc < 0)
			return rc;
		if (px_os.now_ns() - start > timeout_ns)
			return px_fail(PX_ETIMEDOUT, "the pool '%s' has not stopped in %.1f s",
				       runtime->profile, (double)timeout_ns / 1e9);
		(void)poll(NULL, 0, 1);
	}
	return 0;
}

int px_pool_await_end(const struct px_runtime *runtime, const struct px_control_wait *wait,
		      pid_t killed)
{
	int rc;

	if (!killed)
		return await_lock(runtime, wait->silence_ns, wait->give_up, wait->ctx);
	rc = await_lock(runtime, at_least(wait->silence_ns), wait->give_up, wait->ctx);
	if (rc == 0)
		px_runtime_clean_dead(runtime);
	return rc;
}

/*
 * Sends a signal to the process that holds the pool's lock; *pid: its, 0 if there is none any more. As it holds
 * the lock after the pidfd was made, the pidfd is no later process's.
 */
static int signal_holder(const struct px_runtime *runtime, int number, pid_t *pid)
{
	int pidfd, rc = 0;

	*pid = px_holder_find(runtime);
	if (!*pid)
		return px_runtime_alive(runtime) ?
			       px_fail(PX_ESYSTEM,
				       "the pool '%s' runs, but its supervisor's process is not to be seen "
				       "from here: stop it where it was started",
				       runtime->profile) :
			       0;
	pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
	if (px_holder_find(runtime) != *pid)
		*pid = 0;
	else if (pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) < 0)
		rc = px_fail_errno("sending a signal to the pool's supervisor (process %d)",
				   (int)*pid);
	if (pidfd >= 0)
		close(pidfd);
	return rc;
}

static int kill_holder(const struct px_runtime *runtime, uint64_t timeout_ns, pid_t *killed)
{
	const struct px_control_wait wait = { .silence_ns = timeout_ns };
	int rc = signal_holder(runtime, SIGKILL, killed);

	return rc < 0 ? rc : px_pool_await_end(runtime, &wait, *killed);
}

/* Of a pool whose socket was deleted. */
static int end_lost(const struct px_runtime *runtime, uint64_t timeout_ns, pid_t *killed)
{
	pid_t told;
	int rc = signal_holder(runtime, SIGTERM, &told);

	*killed = 0;
	if (rc == 0)
		rc = await_lock(runtime, at_least(timeout_ns), NULL, NULL);
	return rc == PX_ETIMEDOUT ? kill_holder(runtime, timeout_ns, killed) : rc;
}

int px_pool_force_end(const char *profile, uint64_t timeout_ns, pid_t *killed)
{
	struct px_runtime runtime;
	int rc = px_pool_find(profile, &runtime);

	if (rc == 0)
		rc = kill_holder(&runtime, timeout_ns, killed);
	return rc == 0 && !*killed ? px_pool_none(&runtime) : rc;
}

int px_pool_end(const char *profile, uint64_t timeout_ns, pid_t *killed)
{
	const struct px_control_wait wait = { .silence_ns = timeout_ns };
	struct px_runtime runtime;
	int control = -1, rc = px_pool_find(profile, &runtime);
	bool lost = false;

	if (rc == 0)
		rc = px_pool_dial(&runtime, at_least(timeout_ns), &control, &lost);
	if (lost)
		return end_lost(&runtime, timeout_ns, killed);
	if (rc < 0)
		return rc;
	rc = px_pool_tell_stop(control, &wait, killed);
	close(control);
	return rc < 0 ? rc : px_pool_await_end(&runtime, &wait, *killed);
}

int px_pool_stop(const char *profile, uint64_t timeout_ns)
{
	pid_t killed;

	return px_pool_end(profile, timeout_ns, &killed);
}
