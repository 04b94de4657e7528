/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * streams.h - sends what an engine prints to the client of the running request, and to the log.
 *
 * Who:     a thread of C reads the pipes all the time; the engine's main thread reads what is left
 *          at the end of a request, so that all output precedes the reply.
 * Where:   descriptors 1 and 2 are pipes, whose read ends the engine has as well.
 * Blocks:  never; of output for which there is no room, the middle is left out (outlet.h).
 * Death:   the supervisor reads what is still in the pipes, into the log.
 */
#ifndef PX_STREAMS_H
#define PX_STREAMS_H

#include "engine/outlet.h"
#include "link/endpoint.h"

struct px_streams;

/* Takes the read ends; log is a descriptor to append to, lent. PX_ENOMEM, PX_ESYSTEM. */
int px_streams_new(uint32_t engine, int stdout_fd, int stderr_fd, int log, struct px_streams **out);
/* From now on output belongs to that client's request. */
void px_streams_begin(struct px_streams *streams, struct px_link *link, uint64_t id);
/*
 * Sends other output (PX_STREAM_DISPLAY, _DATA) after what was printed. PX_EINVAL: no request
 * runs; PX_EAGAIN, PX_ENOMEM: as px_link_send(); PX_EABORTED: it would have displayed more
 * than PX_DISPLAYED_MAX_BYTES.
 */
int px_streams_publish(struct px_streams *streams, enum px_stream stream, const void *bytes,
		       size_t length);
/*
 * Sends what is still in the pipes; from now on output goes to the log only. What there is no room
 * for is in rest, of both streams: the caller's, who sends or frees it (outlet.h). False: code that
 * ran has closed our descriptors.
 */
bool px_streams_end(struct px_streams *streams, struct px_outlet rest[2]);

#endif
