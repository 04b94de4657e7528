/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_requests.h - handles what clients ask of the supervisor.
 *
 * Who:     the supervisor, for any connection; memory and sweeps only for members.
 * Blocks:  never: what takes time is answered later (pending.h).
 */
#ifndef PX_CLIENT_REQUESTS_H
#define PX_CLIENT_REQUESTS_H

struct px_connection;
struct px_control;

/* Does what the packet asks, or starts doing it, and answers now or later. */
void px_client_request_serve(struct px_connection *connection, const struct px_control *head);

#endif
