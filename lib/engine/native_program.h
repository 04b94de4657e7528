/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native_program.h - the program that a native pool's supervisor starts: the template, and the engines
 * that are forked from it.
 *
 * Who:     main() of pxrun-native. The arguments are as supervisor/command_line.h says.
 * Where:   as template.h and loop.h.
 * Blocks:  until it is told to end.
 * Death:   as template.h and loop.h.
 */
#ifndef PX_NATIVE_PROGRAM_H
#define PX_NATIVE_PROGRAM_H

/* Returns the exit code. */
int px_native_program(int argc, char **argv);

#endif
