/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stacks.h - the Python stacks of an engine's process, which goes on meanwhile.
 *
 * Who:     the command. Several at once wait for one another.
 * Where:   the process writes them into memfds of its own (python/ext/stacks.c), which are read by way of
 *          /proc.
 * Blocks:  each function for two seconds at most.
 * Death:   of the process: it has no stacks.
 */
#ifndef PX_STACKS_H
#define PX_STACKS_H

struct px_stacks {
	int pid, pidfd;
	int all, one; /* the files: with all threads, and with one of them */
};

/*
 * Here and below the words begin with a verb and say what to do: "has ended". PX_EENGINE: it has none that
 * could be seen; PX_ETIMEDOUT, PX_ESYSTEM.
 */
int px_stacks_open(int pid, struct px_stacks *out);
void px_stacks_close(struct px_stacks *stacks);
/*
 * The stacks of all its threads that run Python: *out is a new text, free(3). In its first line it has the main
 * thread's name in what follows, then what faulthandler writes. PX_EAGAIN: code in C keeps
 * the interpreter's lock. PX_EENGINE, PX_ETIMEDOUT, PX_ENOMEM, PX_ESYSTEM.
 */
int px_stacks_read(const struct px_stacks *stacks, char **out);
/*
 * If so, the stack of one thread, the main one or another: *out is a new text, of frames as faulthandler writes
 * them, the innermost first; "": it does not run Python. PX_EENGINE, PX_ETIMEDOUT, PX_ENOMEM, PX_ESYSTEM.
 */
int px_stacks_read_one(const struct px_stacks *stacks, int tid, char **out);

#endif
