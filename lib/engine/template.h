/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * template.h - the template's loop: forks engines when the supervisor asks for them.
 *
 * Who:     one process of the pool, with the interpreter and the preloaded modules loaded, or native.
 * Where:   descriptor 3 (control) of that process, which has one of the segment during a fork alone.
 * Blocks:  on its control socket.
 * Death:   engines are the supervisor's children and go on. The supervisor starts another template.
 */
#ifndef PX_TEMPLATE_H
#define PX_TEMPLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"

/* What a forked engine is given. */
struct px_birth {
	uint32_t id, slot, epoch, generation;
	int control, out_read, err_read, crash;
	struct px_segment *segment; /* attached */
};

/* What is done around a fork; each may be NULL. */
struct px_forking {
	void (*before)(void), (*after)(void), (*after_in_engine)(void);
	uint32_t python; /* PY_VERSION_HEX of the interpreter; 0: there is none */
};

/*
 * Tells the supervisor that engines can be forked (reason NULL) or why they cannot, then forks
 * them on demand. Returns 1 in each new engine, with *birth; 0 in the template, when the
 * supervisor is gone; PX_E… if the template cannot go on.
 */
int px_template_run(int control, const char *reason, const struct px_forking *forking,
		    struct px_birth *birth);
/*
 * What a forked engine has done already, for one started by exec: waits until it is the
 * child of the segment's supervisor, asks to die with it, and makes its own process group. PX_EPOOL:
 * the supervisor is gone. Of one that has joined, as another's child, that is up to its parent.
 */
int px_engine_set_up_process(const struct px_segment *segment, bool joined);

#endif
