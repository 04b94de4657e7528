/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interpreter.h - the interpreter of a pool's engines, for programs that are to run beside them.
 */
#ifndef PX_INTERPRETER_H
#define PX_INTERPRETER_H

#include "client/client.h"

/* Its path. PX_EPOOL, PX_ECORRUPT; PX_EINVAL: they have none. */
int px_interpreter_of(struct px_client *client, char *out, size_t out_bytes);
/*
 * What is started by exec next finds the package that was installed with this command, wherever its
 * interpreter looks: in a folder of its own, so that it finds nothing else there. In a build tree, and
 * where pip has installed it, there is no such folder, and the interpreter finds it by itself.
 */
void px_interpreter_offer_package(void);

#endif
