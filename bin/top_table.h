/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * top_table.h - the lines of `pxrun top`, for a screen and for a pipe.
 */
#ifndef PX_TOP_TABLE_H
#define PX_TOP_TABLE_H

#include "bin/top_sample.h"

/* Characters of ASCII without controls, whatever a process calls itself. */
struct px_top_line {
	char at[256];
};

/* The keys that sort by it. */
enum px_top_sort {
	PX_TOP_BY_ID = 'N',
	PX_TOP_BY_CPU = 'P',
	PX_TOP_BY_MEMORY = 'M',
	PX_TOP_BY_TIME = 'T',
	PX_TOP_BY_ARRAYS = 'A',
};

struct px_top_line px_top_pool_line(const struct px_top_sample *sample);
struct px_top_line px_top_arena_line(const struct px_top_sample *sample);
struct px_top_line px_top_engine_title(void);
struct px_top_line px_top_engine_line(const struct px_top_engine *engine);
struct px_top_line px_top_client_title(void);
struct px_top_line px_top_client_line(const struct px_top_client *client);

/* Engines that have most come first; by id the lowest. Between equals, the lowest id. */
void px_top_sort_engines(struct px_top_sample *sample, enum px_top_sort by);

#endif
