/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place.h - keeps engines that spin off the processor of whoever calls them.
 *
 * Who:     a member's endpoint, when a thread of it begins to wait.
 * Where:   a word of each bell says on which processor its owner waits; that owner writes it.
 * Blocks:  never; to change the processor takes some 50 us.
 * Death:   leaves nothing: the affinity that is changed for a moment is that of the thread itself.
 *
 * Who waits by spinning and who has to do the work must not share a processor while another one is free.
 * The scheduler moves nobody that spins and yields, so a pool would keep the places that it happened to
 * have when the first calls came.
 */
#ifndef PX_PLACE_H
#define PX_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"

struct px_place {
	struct px_doorbell_shm *caller; /* of whom was answered last; NULL: no engine's */
	uint64_t ended_ns;              /* when the last wait ended */
	bool hot;                       /* it was a short one */
	uint32_t calls;                 /* that came hot, less those that did not */
	uint64_t looked_ns;             /* at the place, whether it is a good one */
};

/* A wait begins: says where, and moves aside if the place is a bad one. short_ns: what is soon. */
void px_place_begin(struct px_place *place, const struct px_segment *segment,
		    struct px_doorbell_shm *bell, uint64_t now_ns, uint64_t short_ns);
/* It has ended. */
void px_place_end(struct px_place *place, uint64_t began_ns, uint64_t now_ns, uint64_t short_ns);

#endif
