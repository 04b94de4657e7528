/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * address_space.h - says what a limit of the address space has to do with a failure.
 *
 * Who:     any thread, after a failure; no state.
 * Where:   getrlimit(2) and /proc/self/statm.
 * Blocks:  never.
 */
#ifndef PX_ADDRESS_SPACE_H
#define PX_ADDRESS_SPACE_H

/*
 * For a caller that has mapped, or tried to. Returns rc; if there was no memory for it and RLIMIT_AS is
 * set, px_last_error() has also the limit, how much of it is used, and what to do.
 */
int px_address_space_explain(int rc);

#endif
