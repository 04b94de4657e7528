/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * template.h - the warm process that engines are forked from.
 *
 * Who:     one process a pool, with the interpreter and the preloaded modules.
 * Blocks:  on its control socket.
 * Death:   engines are the supervisor's children: they go on. The supervisor
 *          starts another template.
 */
#ifndef PX_TEMPLATE_H
#define PX_TEMPLATE_H

#include <stdint.h>

/* What an engine is born with. */
struct px_birth {
	uint32_t id, slot, epoch, generation;
	int control, out_read, err_read;
};

/*
 * Tells the supervisor that engines can be made (reason NULL) or why they cannot be forked,
 * and makes them. Returns 1 in each new engine, with *birth; 0 in the template, when
 * the supervisor is gone; PX_E… if the template cannot go on.
 */
int px_template_run(int control, int segment, const char *reason, struct px_birth *birth);
/* An engine that was started by exec rather than by fork: the rest of its birth. */
int px_engine_settle(int supervisor_pid);

#endif
