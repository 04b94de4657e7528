/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * amount.h - bytes and times as people read them.
 */
#ifndef PX_AMOUNT_H
#define PX_AMOUNT_H

struct px_amount {
	char at[32];
};

/* "12.5 MiB". */
struct px_amount px_amount_bytes(double bytes);
/* "3.2 s", "12 min"; "-" if it is negative. */
struct px_amount px_amount_seconds(double seconds);

#endif
