/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * killpoint.h - places where a test may kill the process it runs in.
 *
 * Who:     any thread of a process that has said its role.
 * Where:   a count in private memory; a file if only one process is to die.
 * Blocks:  never.
 * Death:   is what it is for: the comment at each point says what it leaves.
 *
 * PX_KILLPOINT("object.verb.state") stands after each step that another process
 * can see, with a comment that says what a death there leaves. Nothing in an
 * ordinary build. With --enable-killpoints each label is also a string in the
 * ELF section px_killpoints, from where tests/faults lists them, and
 *   PXRUN_KILLPOINT=ROLE:LABEL:N
 * (ROLE: client, engine, template, supervisor) makes the N-th passage in a
 * process of that role raise SIGKILL.
 */
#ifndef PX_KILLPOINT_H
#define PX_KILLPOINT_H

#ifdef PX_KILLPOINTS
#define PX_KILLPOINT(label)                                                                        \
	do {                                                                                       \
		static const char px_kp_label[] __attribute__((section("px_killpoints"), used)) =  \
			label;                                                                     \
		px_killpoint_pass(px_kp_label);                                                    \
	} while (0)
void px_killpoint_pass(const char *label);
/* Says what this process is; without it no kill point fires. Static string. */
void px_killpoint_role(const char *role);
#else
#define PX_KILLPOINT(label) ((void)0)
#define px_killpoint_role(role) ((void)(role))
#endif

#endif
