/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * amount.c - bytes and times as people read them.
 */
#include "bin/amount.h"

#include <stdio.h>

struct px_amount px_amount_bytes(double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	unsigned unit = 0;
	struct px_amount text;

	for (; bytes >= 1024 && unit < 4; unit++)
		bytes /= 1024;
	snprintf(text.at, sizeof(text.at), unit && bytes < 100 ? "%.1f %s" : "%.0f %s", bytes,
		 units[unit]);
	return text;
}

struct px_amount px_amount_seconds(double seconds)
{
	struct px_amount text;

	if (seconds < 0)
		snprintf(text.at, sizeof(text.at), "-");
	else if (seconds < 10)
		snprintf(text.at, sizeof(text.at), "%.1f s", seconds);
	else if (seconds < 600)
		snprintf(text.at, sizeof(text.at), "%.0f s", seconds);
	else if (seconds < 36000)
		snprintf(text.at, sizeof(text.at), "%.0f min", seconds / 60);
	else
		snprintf(text.at, sizeof(text.at), "%.0f h", seconds / 3600);
	return text;
}
