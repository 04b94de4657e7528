/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nearest.h - finds the word that was meant by one that is not known.
 *
 * Who:     whoever tries the known words one after another.
 * Where:   private memory; words are lent.
 * Blocks:  never.
 */
#ifndef PX_NEAREST_H
#define PX_NEAREST_H

#include <stddef.h>

struct px_nearest {
	const char *word; /* what was written; it may go on behind its length */
	size_t length;
	const char *best; /* NULL: none is near enough */
	unsigned distance;
};

/*
 * Looks at one word that is known. Near are those of which no more than a third of the letters were
 * missed, added, changed, or exchanged with their neighbours.
 */
void px_nearest_try(struct px_nearest *nearest, const char *known);

#endif
