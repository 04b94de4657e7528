/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.h - the type pxrun._pxrun.Stream: an engine's stdout and stderr, which need no flushing after a request
 * that has written nothing. Flushing both took 0.4 us of each request.
 *
 * Who:     any thread with the interpreter's lock.
 * Death:   nothing here is shared.
 */
#ifndef PX_EXT_STREAM_H
#define PX_EXT_STREAM_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

/* Whether something was written to a Stream since this was set to false. */
extern bool px_streams_written;
/* Whether that says it of this one, too: it is a Stream, whose buffer nobody else has. */
bool px_stream_tells(PyObject *stream);

#endif
