/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * join.h - the door for engines that somebody else has started: `pxrun engine`.
 *
 * Who:     the supervisor.
 * Blocks:  never.
 * Death:   of the process, before it serves: as of any other engine.
 */
#ifndef PX_JOIN_H
#define PX_JOIN_H

struct px_connection;
struct px_control;

/* Answers PX_CONTROL_JOIN. The connection has no more to do with the engine. */
void px_join_serve(struct px_connection *c, const struct px_control *head);

#endif
