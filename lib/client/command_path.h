/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command_path.h - where the command pxrun is, which starts pools.
 *
 * Who:     any thread.
 * Blocks:  never.
 */
#ifndef PX_COMMAND_PATH_H
#define PX_COMMAND_PATH_H

/*
 * The command that was named, else $PXRUN_COMMAND, else bin/pxrun in the nearest folder above the
 * file that this code was loaded from (libpxrun, the extension: so a prefix, a virtual environment
 * and a build tree each have their own, wherever they are moved to), else the installed one, else
 * the one on PATH. Lends; out has PATH_MAX bytes.
 */
const char *px_command_path(const char *command, char *out);

#endif
