/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory_requests.h - handles what every member, client or engine, may ask of the supervisor.
 *
 * Who:     the supervisor.
 * Blocks:  never.
 */
#ifndef PX_MEMORY_REQUESTS_H
#define PX_MEMORY_REQUESTS_H

#include "pool/control.h"
#include "shm/member.h"

struct px_supervisor;

/* PX_CONTROL_EXTENT_GET, EXTENT_PUT or SWEEP. */
bool px_memory_request_is(uint16_t type);
/*
 * Does it, and answers. what: the member's name for the log ("engine 3"). An error only if the
 * answer could not be sent: then the member is to be cut off.
 */
int px_memory_request_serve(struct px_supervisor *s, int socket, struct px_member_id member,
			    const char *what, const struct px_control *head);
/* Answers with code and words (NULL: none) of a request that has this head. */
int px_memory_request_reply(int socket, const struct px_control *head, int code, const char *words,
			    uint64_t a, uint64_t b);

#endif
