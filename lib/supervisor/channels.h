/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channels.h - the socket, the pipes and the file between the supervisor and an engine.
 *
 * Who:     the supervisor.
 * Blocks:  never.
 * Death:   of the engine: both have the read ends of the pipes. While it lives the engine reads its
 *          own output and sends it to the client; what is left at its death goes to the log.
 *          faulthandler writes the Python stack to the file, a sealed memfd that both have.
 */
#ifndef PX_CHANNELS_H
#define PX_CHANNELS_H

struct px_channels {
	int control, out, err, crash; /* -1: closed */
};
#define PX_CHANNELS_NONE ((struct px_channels){ -1, -1, -1, -1 })

/*
 * Makes them. theirs, in the order of PX_CONTROL_FORK: control, stdout and stderr to write,
 * both to read, crash text; the last three are ours as well. PX_ESYSTEM.
 */
int px_channels_open(struct px_channels *ours, int theirs[6]);
/* After they have been passed on. */
void px_channels_close_theirs(int theirs[6]);
void px_channels_close(struct px_channels *ours);

#endif
