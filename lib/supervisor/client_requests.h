/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_requests.h - what clients may ask of the supervisor.
 *
 * Who:     whoever is connected; memory and sweeps are for members only.
 * Blocks:  never: what takes time is answered later (pending.h).
 */
#ifndef PX_CLIENT_REQUESTS_H
#define PX_CLIENT_REQUESTS_H

struct px_connection;
struct px_control;

/* Does what the head says, or begins to, and answers or sees to it that it is answered. */
void px_client_request_serve(struct px_connection *connection, const struct px_control *head);

#endif
