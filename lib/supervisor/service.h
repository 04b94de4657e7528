/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service.h - tells a service manager, such as systemd, how the pool is, where one has started it.
 *
 * Who:     the supervisor.
 * Blocks:  no: the manager's socket takes datagrams.
 * Death:   the manager sees it by itself.
 */
#ifndef PX_SERVICE_H
#define PX_SERVICE_H

#include <stdint.h>

/* The pool serves. */
void px_service_ready(uint32_t engines);
/* It stops, or did not start: why. */
void px_service_stopping(const char *why);

#endif
