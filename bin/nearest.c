/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nearest.c - the distance between words, by optimal string alignment.
 */
#include "bin/nearest.h"

#include <string.h>

#define LETTERS_MAX 32

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters are missed, added, changed or exchanged. Both words are short enough. */
static unsigned distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	/* Of the first i letters of a and the first j of b. */
	unsigned d[LETTERS_MAX + 1][LETTERS_MAX + 1];

	for (size_t i = 0; i <= a_length; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= b_length; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a_length; i++)
		for (size_t j = 1; j <= b_length; j++) {
			d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1,
					d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	return d[a_length][b_length];
}

void px_nearest_try(struct px_nearest *nearest, const char *known)
{
	size_t length = strlen(known);
	unsigned away;

	if (nearest->length > LETTERS_MAX || length > LETTERS_MAX)
		return;
	away = distance(nearest->word, nearest->length, known, length);
	if (away > (nearest->length + 1) / 3 || (nearest->best && away >= nearest->distance))
		return;
	nearest->best = known;
	nearest->distance = away;
}
