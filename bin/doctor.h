/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doctor.h - the checks of `pxrun doctor`: what this machine gives a pool.
 *
 * Each looks at one thing, changes nothing, and ends within a time limit. What it finds is a line; what that
 * means, and how to mend it, is another one.
 */
#ifndef PX_DOCTOR_H
#define PX_DOCTOR_H

#include <stdbool.h>

#include "pool/runtime.h"
#include "pool/settings.h"

enum px_doctor_state {
	PX_DOCTOR_OK,
	PX_DOCTOR_NOTE,    /* pools work, and something is slower, or missing */
	PX_DOCTOR_PROBLEM, /* a pool cannot be started, or will fail */
};

struct px_finding {
	enum px_doctor_state state;
	char found[1024], advice[1024];
};

struct px_doctor {
	const char *profile;
	struct px_settings settings; /* those of the profile, or all defaults if they are wrong */
	bool native;                 /* engines have no interpreter */
	bool hopeless;               /* no pool can start: it is not tried */
	char facts[4096]; /* what the engines' interpreter says of itself, JSON; "": nothing */
};

/* What was found. */
void px_doctor_found(struct px_finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Then: the state of it, and what to do. */
void px_doctor_advise(struct px_finding *finding, enum px_doctor_state state, const char *format,
		      ...) __attribute__((format(printf, 3, 4)));

/* --- the checks; a finding is zero before --- */

typedef void px_doctor_check(struct px_doctor *doctor, struct px_finding *finding);

/* doctor_machine.c */
px_doctor_check px_doctor_kernel, px_doctor_futex, px_doctor_event_loop, px_doctor_shm,
	px_doctor_huge_pages;
/* doctor_limits.c */
px_doctor_check px_doctor_processors, px_doctor_memory, px_doctor_processes, px_doctor_descriptors,
	px_doctor_address_space, px_doctor_file_size;
/* doctor_python.c; the first fills in `facts` */
px_doctor_check px_doctor_python, px_doctor_numpy, px_doctor_modules;
/* doctor_mpi.c */
px_doctor_check px_doctor_mpi;
/* doctor_pool.c; the first reads the settings, the last starts a pool and stops it */
px_doctor_check px_doctor_settings, px_doctor_folder, px_doctor_pools, px_doctor_trial;

#endif
