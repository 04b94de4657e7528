/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * process_name.h - what ps calls a process.
 */
#ifndef PX_PROCESS_NAME_H
#define PX_PROCESS_NAME_H

#define PX_PROCESS_NAME_BYTES 17

/* The name that it has given itself, with '?' for what would control a terminal; "": it is gone. Returns out. */
const char *px_process_name(int pid, char out[PX_PROCESS_NAME_BYTES]);

#endif
