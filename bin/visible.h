/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * visible.h - writes what another says, such as the words of an exception, as people are to see it.
 */
#ifndef PX_VISIBLE_H
#define PX_VISIBLE_H

#include <stddef.h>
#include <stdio.h>

/*
 * Writes a text, or so much of it. To a terminal, what would control that is escaped as by Python's repr(), but for
 * newlines and tabs.
 */
void px_visible_write(const char *text, FILE *to);
void px_visible_write_part(const char *text, size_t length, FILE *to);

#endif
