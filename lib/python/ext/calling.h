/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * calling.h - reads the call that an APPLY request carries.
 *
 * Its body is the pickle of (f, args, kwargs), or begins with a letter that no pickle begins with
 * (pxrun/wire/frames.py writes these; all numbers are little-endian):
 *
 *   'N'  u32 length, "module\nname", args
 *        f is what the module has under that name, imported if need be. Asked for with each call, so that a
 *        module that was reloaded is followed.
 *   'K'  16 bytes token, u32 length, the pickle of f, args
 *        f is read once, and kept under the token. Length 0: it was sent before, by a request of its own.
 *   'V'  u32 lengths of the next four, the code, the name, the module whose globals it has (none: the engine's
 *        namespace), and what it brings along (wire/brought.py); args
 *        f has only that. A new one is made for each call.
 *
 * args are a pickle of a tuple, or flat (flat.h), and then the keywords may follow, flat as well. All that spares
 * most of what pickle takes for a call: 1 us of 2.5 us is its looking up of a global.
 *
 * Who:     the engine's main thread, with the interpreter's lock.
 * Death:   nothing here is shared.
 */
#ifndef PX_EXT_CALLING_H
#define PX_EXT_CALLING_H

#include "python/ext/running.h"

#define PX_CALL_BY_VALUE 'V'

struct px_call {
	PyObject *function, *args;
	PyObject *kwargs; /* or NULL */
};

/*
 * Reads the call; loans of the request are released as soon as nothing uses them. -1 with an exception
 * in the words that the client gets.
 */
int px_call_read(struct px_interpreter *py, struct px_incoming *in, struct px_call *call);
void px_call_free(struct px_call *call);

#endif
