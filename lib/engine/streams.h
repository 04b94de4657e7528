/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * streams.h - what an engine prints, on its way to the client that asked and to the log.
 *
 * Who:     file descriptors 1 and 2 are pipes whose read ends the engine holds. A thread
 *          of C reads them while a request runs; the main thread reads what is
 *          left at its end, so that all output precedes the reply.
 * Blocks:  never; output for which the client has no memory is dropped, and a line
 *          in the stream says how much.
 * Death:   what is still in the pipes is read by the supervisor, into the log.
 */
#ifndef PX_STREAMS_H
#define PX_STREAMS_H

#include "link/endpoint.h"

struct px_streams;

/* Takes the read ends. log: a descriptor to append to, lent. PX_ENOMEM, PX_ESYSTEM. */
int px_streams_new(int stdout_fd, int stderr_fd, int log, struct px_streams **out);
/* From here on output belongs to that client's request. */
void px_streams_begin(struct px_streams *streams, struct px_link *link, uint64_t id);
/* Sends bytes of another kind, behind what was printed before. PX_EINVAL: no request runs; PX_ENOMEM. */
int px_streams_publish(struct px_streams *streams, enum px_stream stream, const void *bytes,
		       size_t length);
/* Sends what is still in the pipes; from here on output goes to the log alone. */
void px_streams_end(struct px_streams *streams);

#endif
