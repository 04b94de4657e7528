/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * top_screen.h - the terminal of `pxrun top`.
 *
 * Blocks:  px_top_screen_key() only, for as long as it is told.
 * Death:   a signal that ends the program is left for px_top_screen_close(), which restores the terminal
 *          first; only SIGKILL leaves it as it is.
 */
#ifndef PX_TOP_SCREEN_H
#define PX_TOP_SCREEN_H

#include <stdbool.h>

#include "bin/top_table.h"

struct px_top_view {
	enum px_top_sort sort;
	uint32_t selected; /* an engine's id */
	uint32_t first;    /* the row that stands at the top */
	bool help;
	char words[256]; /* in the last line: a question, or what became of something */
};

/* Keys that are no characters. */
enum px_top_key {
	PX_TOP_NONE,      /* the time is over, or the window has another size */
	PX_TOP_QUIT = -1, /* a signal came, or the terminal is gone */
	PX_TOP_UP = 512,
	PX_TOP_DOWN,
	PX_TOP_PAGE_UP,
	PX_TOP_PAGE_DOWN,
	PX_TOP_HOME,
	PX_TOP_END,
};

/* PX_EINVAL, with words: it is not a terminal, or one that cannot show a screen. */
int px_top_screen_open(void);
/* Restores the terminal. Returns the signal that was to end the program, or 0. */
int px_top_screen_close(void);
void px_top_screen_draw(const struct px_top_sample *sample, struct px_top_view *view);
/* The next key: enum px_top_key, or a character. */
int px_top_screen_key(uint64_t timeout_ns);
/* Rows that there are for engines. */
uint32_t px_top_screen_page(void);

#endif
