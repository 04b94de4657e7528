/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * process.h - a process of the pool, held by its pidfd, so that its pid cannot be another's.
 *
 * Who:     the supervisor, which is the parent (or became it as subreaper), but for processes that others
 *          have started (px_process_meet()).
 * Blocks:  px_process_spawn() until the child has executed its program; px_process_end() until
 *          the killed child is gone.
 * Death:   of the supervisor: children that were spawned here die with it (PR_SET_PDEATHSIG);
 *          those that the template forked ask for that themselves.
 */
#ifndef PX_PROCESS_H
#define PX_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct px_process {
	pid_t pid; /* 0: none */
	int pidfd;
	bool foreign; /* no child of ours: others reap it, and it has no process group of its own */
};

#define PX_SPAWN_FDS 9

struct px_spawn {
	char *const *argv; /* argv[0] is the program: a path, or a name to be found on PATH */
	char *const *environment;
	int fds[PX_SPAWN_FDS]; /* [i] becomes descriptor i; -1: /dev/null for 0 to 2, else closed */
};

/*
 * Starts a program in a process group of its own, with all signals at their defaults. PX_ESYSTEM:
 * it could not be run; the words name it.
 */
int px_process_spawn(const struct px_spawn *spawn, struct px_process *out);
/* Takes a process that became our child. PX_EINVAL: pid is no child of ours. PX_ESYSTEM. */
int px_process_adopt(pid_t pid, struct px_process *out);
/*
 * Holds a process that is no child of ours. How it has ended is known only if we look before its parent
 * does; else its exit code is PX_EXIT_UNKNOWN. PX_EINVAL: it is gone. PX_ESYSTEM.
 */
int px_process_meet(pid_t pid, struct px_process *out);
/* Sends a signal to the process alone. False if it is gone. */
bool px_process_signal(const struct px_process *process, int signal_number);
/* Likewise; the signal's handler is given the value. PX_EENGINE: it is gone. PX_ESYSTEM: too many signals wait. */
int px_process_signal_value(const struct px_process *process, int signal_number, uint64_t value);
/* Kills it and its process group, if that is its own. */
void px_process_kill(const struct px_process *process);

struct px_process_exit {
	int signal, code; /* signal 0: it exited */
};

/*
 * If it has ended: true, *out says how, its process group is killed, and *process is none. The
 * group is killed first: its number cannot be another group's as long as the leader is not
 * reaped.
 */
bool px_process_reap(struct px_process *process, struct px_process_exit *out);
/* Kills and reaps. */
void px_process_end(struct px_process *process);
/* "exit code 1", "SIGSEGV", "how is not known"; returns out. */
const char *px_exit_words(const struct px_process_exit *how, char *out, size_t out_bytes);

/*
 * Whatever the parent has done with them: every signal has its default disposition, and these
 * are blocked, no others. Async-signal-safe.
 */
void px_process_reset_signals(const sigset_t *blocked);

/* pidfd_open(2): a descriptor that is readable once the process is dead; -1 and errno. */
int px_pidfd_open(pid_t pid);

#endif
