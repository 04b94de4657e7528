/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command_line.h - program and arguments of the template, and of engines started by exec.
 *
 *   [PYTHON] pxrun-engine --template|--engine --control 3 --version VERSION --preload MODULES
 *   --pool NAME [--sys-path FOLDERS] [--id N --slot N --epoch N --generation N] [--ranks N]
 *
 * With --ranks the engine has joined the pool, as others have started it, and is one of so many ranks of an
 * MPI world, unless it is 0.
 *
 * With --facts the program says what its interpreter has, and ends: for `pxrun doctor`.
 *
 * pxrun-engine is a script of the interpreter that pxrun was installed for. PYTHON is another one:
 * that of the settings, else of a Python client, else of an activated virtual environment. A native
 * pool's program is pxrun-native, which needs no interpreter, and is a template only.
 */
#ifndef PX_COMMAND_LINE_H
#define PX_COMMAND_LINE_H

#include <stdint.h>

#include "supervisor/supervisor.h"

/* argv points into the struct itself and into the options: do not copy it. */
struct px_command_line {
	char *argv[40];
	uint32_t count, numbers_count;
	char python[4096];
	char numbers[10][24];
};

/* mode: "--template", "--engine" or "--facts". */
void px_command_line_begin(struct px_command_line *command,
			   const struct px_supervisor_options *options, const char *mode);
/* At most ten, of which px_command_line_begin() has added some. */
void px_command_line_number(struct px_command_line *command, const char *option, uint64_t value);
/* The path of the command pxrun, as that of the other programs is found. Ours. */
const char *px_command_line_self(void);

#endif
