/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stop.h - stopping a pool, and what is done about a supervisor that does not answer.
 *
 * Who:     any thread; of the calls on one control socket one at a time.
 * Where:   the control socket, and the pool's lock.
 * Blocks:  for the time that it is given, and at least a second where the supervisor does not answer.
 * Death:   of the supervisor is what is waited for.
 */
#ifndef PX_STOP_H
#define PX_STOP_H

#include <stdint.h>
#include <sys/types.h>

#include "pool/control.h"
#include "pool/runtime.h"

/*
 * Tells the supervisor at the other end of the socket to stop. If it says nothing for
 * wait->silence_ns it is killed, and its engines die with it: *killed is its pid then, else 0.
 * PX_ETIMEDOUT: its pid is not known here; PX_ESYSTEM; what wait->give_up() says.
 */
int px_pool_tell_stop(int control, const struct px_control_wait *wait, pid_t *killed);
/*
 * Waits until the pool's lock is free: then all its processes are gone. PX_ETIMEDOUT after
 * wait->silence_ns. Removes the files of a supervisor that was killed.
 */
int px_pool_await_end(const struct px_runtime *runtime, const struct px_control_wait *wait,
		      pid_t killed);
/* Kills the supervisor of a pool at once, whatever it does, and removes its files. *killed: its pid. PX_ENOPOOL; PX_ESYSTEM. */
int px_pool_force_end(const char *profile, uint64_t timeout_ns, pid_t *killed);
/* px_pool_stop(), and the pid of the supervisor that had to be killed for that, or 0. */
int px_pool_end(const char *profile, uint64_t timeout_ns, pid_t *killed);

#endif
