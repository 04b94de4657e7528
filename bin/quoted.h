/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quoted.h - prints texts in JSON.
 */
#ifndef PX_QUOTED_H
#define PX_QUOTED_H

#include <stddef.h>

/* A string of JSON, of a text, or of so much of it. Bytes that are not UTF-8 are written as they are. */
void px_quoted_print(const char *text);
void px_quoted_print_part(const char *text, size_t length);

#endif
