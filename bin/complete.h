/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * complete.h - what may be typed next on a command line, for shells.
 */
#ifndef PX_COMPLETE_H
#define PX_COMPLETE_H

/*
 * `pxrun complete`, which the files in bin/completions call, and is in no list of verbs. words are those behind
 * `pxrun`; the last, which may be empty, is completed. Prints a line for each that fits: the word, a tab, and what
 * it means. Nothing: it is the shell's turn, which has the files. Returns an exit code.
 */
int px_complete(int count, char **words);

#endif
