/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parts.h - how a number of items is cut into parts: what scatter, gather and map have in common.
 *
 * Blocks are as even as can be, the larger ones first (as numpy.array_split()); cyclic parts have every
 * n-th item.
 *
 * Who:     any thread.
 * Where:   nowhere.
 * Blocks:  never.
 * Death:   none.
 */
#ifndef PX_PARTS_H
#define PX_PARTS_H

#include "client/pxrun.h"

/* Items start, start + step, ..., of which there are count. */
struct px_part_range {
	int64_t start, step, count;
};

static inline struct px_part_range px_part_range(enum px_distribution distribution, int64_t items,
						 int64_t parts, int64_t index)
{
	int64_t each = items / parts, more = items % parts;
	struct px_part_range range = { index, parts, each + (index < more) };

	if (distribution == PX_BLOCK) {
		range.start = index * each + (index < more ? index : more);
		range.step = 1;
	}
	return range;
}

/* PX_EINVAL: it is none. */
int px_distribution_check(enum px_distribution distribution);
/* An axis of so many, which may count from the end: from 0 on. PX_EINVAL. */
int px_axis(int axis, int ndim, int *out);

#endif
